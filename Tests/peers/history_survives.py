#!/usr/bin/env python3
"""The history survives kill -9, a full disk and a damaged file, and says what was lost. Judged with Python's own sqlite3.

    history_survives.py [--products .build/debug] [--kills 200]

The full disk needs root (a small tmpfs); without it that part is skipped, and says so.
"""
import argparse
import contextlib
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time

import serve_alone
from serve_alone import ROOT, Skipped, check


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--products", default=ROOT / ".build/debug")
    options.add_argument("--kills", type=int, default=200)
    chosen = options.parse_args()
    products = pathlib.Path(chosen.products)

    def kill_9():
        return killed(products, chosen.kills)

    def damaged_file():
        return damaged(products)

    def disk_full():
        return full_disk(products)

    return serve_alone.judge(kill_9, damaged_file, disk_full)


def configuration(path):
    return {"web": {"port": 0}, "history": {"path": str(path)}}


def killed(products, kills):
    """Kill -9 at a random moment, mostly around a write, again and again."""
    with tempfile.TemporaryDirectory(prefix="packbridge-") as folder:
        path = pathlib.Path(folder) / "history.db"
        # Ten snapshots in a second, so that there is always something on its way.
        with serve_alone.running(products, configuration(path), per_second=10, folder=folder, start=False) as serve:
            chance = random.Random(4)
            lines = -1
            for number in range(kills):
                serve.start()
                time.sleep(chance.choice([chance.uniform(0, 0.3), chance.uniform(0, 1.5), 10.5 if number % 20 == 0 else 0]))
                serve.kill()
                if not path.exists():
                    continue
                with sqlite3.connect(path) as database:
                    check(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), f"kill {number}: damaged")
                    count = database.execute("SELECT count(*) FROM second_row").fetchone()[0] if lines >= 0 or has_rows(database) else 0
                check(count >= lines, f"kill {number}: {lines} rows before, {count} now")
                lines = max(lines, count)
            serve.start()
            check(serve.json("/api/v1/status")["health"]["history"] == "ok", "the history is not in order after the kills")
            serve.stop()
        check(lines > 0, "nothing was ever stored")
        left = [name for name in os.listdir(folder) if ".damaged-" in name]
        check(not left, f"a good file was taken for a damaged one: {left}")
    return f"{kills} kills, {lines} rows, no damage"


def has_rows(database):
    return database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'second_row'").fetchone()[0] == 1


def damaged(products):
    """Every page overwritten: the file is moved aside, a new one begun, and that is told."""
    with tempfile.TemporaryDirectory(prefix="packbridge-") as folder:
        path = pathlib.Path(folder) / "history.db"
        with serve_alone.running(products, configuration(path), folder=folder) as serve:
            time.sleep(11)
            serve.stop()
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # The first page stays, so that only a look inside can find it.
            size = path.stat().st_size
            check(size > 50_000, f"only {size} bytes of history to damage")
            with open(path, "r+b") as file:
                file.seek(8192)
                file.write(random.Random(5).randbytes(size - 8192))
            serve.start()
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not told(serve):
                time.sleep(0.2)
            check(told(serve), "the damage is not told")
            check(any(".damaged-" in name for name in os.listdir(folder)), "the damaged file is not kept")
            check(serve.json("/api/v1/snapshot")["snapshot"] > 0, "no live data")
            check(serve.json("/api/v1/status")["health"]["history"] == "ok", "no new history")


def told(serve):
    return any("damaged" in event["text"] for event in serve.json("/api/v1/events?kind=history")["events"])


def full_disk(products):
    """A disk that fills up is told, costs no live data, and the history goes on when there is room again."""
    if os.geteuid() != 0:
        raise Skipped("only root can mount a small disk")
    with tempfile.TemporaryDirectory(prefix="packbridge-") as folder, tempfile.TemporaryDirectory() as disk:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True)
        if mounted.returncode != 0:
            raise Skipped("nothing can be mounted here")
        try:
            path = pathlib.Path(disk) / "history.db"
            with serve_alone.running(products, configuration(path), per_second=5, folder=folder) as serve:
                time.sleep(11)
                filler = pathlib.Path(disk) / "filler"
                with open(filler, "wb", buffering=0) as file:
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(bytes(4096))
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and serve.json("/api/v1/status")["health"]["history"] != "lost":
                    serve.get("/api/v1/snapshot")
                    time.sleep(0.5)
                status = serve.json("/api/v1/status")
                check(status["health"]["history"] == "lost", "a full disk is not noticed")
                check("full" in status["history"]["problem"], f"a full disk is called {status['history']['problem']}")
                before = serve.json("/api/v1/snapshot")["snapshot"]
                time.sleep(2)
                check(serve.json("/api/v1/snapshot")["snapshot"] > before, "live data stopped with the disk")
                filler.unlink()
                deadline = time.monotonic() + 40
                while time.monotonic() < deadline and serve.json("/api/v1/status")["health"]["history"] != "ok":
                    time.sleep(0.5)
                check(serve.json("/api/v1/status")["health"]["history"] == "ok", "it does not recover")
                ended = [e for e in serve.json("/api/v1/events?kind=history")["events"] if e.get("until_ms")]
                check(ended, "the time without a history is not told")
                serve.stop()
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    sys.exit(main())
