#!/usr/bin/env python3
"""Nothing that happens to `packbridge-serve` moves the frames on the bus: 500 live streams, a hung and a killed process, a hung broker,
a client of Link that floods the control process. Judged by the moments at which an SLCAN adapter hears the first frame of each set.

    isolation.py BINARY_DIRECTORY [--seconds 15] [--streams 500]

The last line counts the checks: `N passed, N failed`.
"""

import argparse
import contextlib
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib

from end_to_end import Bridge, healthy_pack
from home_assistant_process import Broker
from judging import Report, wait_until
from serve_process import Serve

#: A set goes out once in this time (amendment 28), and its beginning may move by this part of it (design.md: 20 %).
PERIOD, MOST = 1.0, 0.2
FIRST_OF_SET = 0x359


class Sets:
    """When the sets began, as the adapter heard them."""

    def __init__(self, adapter):
        self.times = []
        adapter.heard = lambda at, identifier: self.times.append(at) if identifier == FIRST_OF_SET else None

    def jitter(self, since, until):
        """How many sets began in this time, and the largest distance of two neighbours from one period."""
        times = [at for at in self.times if since - PERIOD * 1.5 <= at <= until]
        return len(times), max((abs(b - a - PERIOD) for a, b in zip(times, times[1:])), default=PERIOD)


class Streams:
    """A process with many live streams."""

    def __init__(self, binaries, port, count, seconds):
        self.process = subprocess.Popen(
            [binaries / "packbridge-serve-bench", "streams", str(port), str(count), str(int(seconds))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self):
        self.process.kill()
        self.process.wait()


def status(serve):
    with urllib.request.urlopen(f"http://127.0.0.1:{serve.port()}/api/v1/status", timeout=10) as answer:
        return json.load(answer)


def streams_open(serve):
    with contextlib.suppress(OSError, ValueError):
        return status(serve)["process"]["streams"]
    return 0


def link_message(kind, payload, sequence=1):
    body = struct.pack("<BBHI", 1, kind, len(payload), sequence) + payload
    return b"PB" + body + struct.pack("<I", zlib.crc32(body))


def flood(path, seconds, what):
    """Writes as fast as the control process reads, and reads nothing."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.settimeout(0.5)
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            sent += client.send(what)
    client.close()
    return sent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--streams", type=int, default=500)
    options = parser.parse_args()
    binaries, seconds = options.binaries.resolve(), options.seconds
    report = Report("isolation")
    bridge = Bridge(binaries, "control", "pylontech", healthy_pack())
    sets = Sets(bridge.near)
    link = f"{bridge.folder.name}/link"

    def steady(what, begun):
        ended = time.monotonic()
        count, jitter = sets.jitter(begun, ended)
        expected = (ended - begun) / PERIOD
        print(f"{what}: {count} sets in {ended - begun:.1f} s, jitter {jitter * 1000:.0f} ms", flush=True)
        report.check(f"{what}: the sets go on", count >= expected - 1, f"({count} sets in {ended - begun:.1f} s)")
        report.check(f"{what}: jitter at most {MOST * PERIOD * 1000:.0f} ms", jitter <= MOST * PERIOD, f"({jitter * 1000:.0f} ms)")

    with tempfile.TemporaryDirectory(prefix="packbridge-isolation-") as folder:
        broker = Broker(folder).start()
        serve = Serve(
            binaries, link, folder, history={"path": f"{folder}/history.db"}, mqtt={"host": "localhost", "port": broker.port, "interval": 1, "commands": True})
        streams = None
        try:
            report.check("the sets begin", wait_until(lambda: len(sets.times) > 3, 30), bridge.process.poll())
            begun = time.monotonic()
            time.sleep(seconds / 2)
            steady("alone", begun)

            begun = time.monotonic()
            serve.start()
            streams = Streams(binaries, serve.port(), options.streams, 3600)
            report.check(f"{options.streams} streams are open", wait_until(lambda: streams_open(serve) == options.streams, 30), f"({streams_open(serve)})")
            time.sleep(seconds)
            steady(f"{options.streams} streams", begun)

            begun = time.monotonic()
            serve.send(signal.SIGSTOP)
            time.sleep(seconds)
            steady("serve hangs", begun)
            serve.send(signal.SIGCONT)
            begun = time.monotonic()
            # What waited is old; the gap in the numbers shows what was lost.
            fresh = lambda: (now := status(serve))["link"]["last_snapshot_age_ms"] < 1500 and now["health"]["link"] == "ok"
            report.check("serve that hung is up to date again", wait_until(fresh, 10))
            time.sleep(2)
            steady("serve goes on", begun)

            begun = time.monotonic()
            for _ in range(5):
                serve.stop(signal.SIGKILL)
                time.sleep(0.5)
                serve.start()
                serve.port()
                time.sleep(1)
            steady("serve is killed again and again", begun)
            report.check("serve that was killed is back", wait_until(fresh, 10))

            begun = time.monotonic()
            broker.hang()
            time.sleep(seconds)
            steady("the broker hangs", begun)
            report.check("the page goes on without the broker", fresh())
            broker.resume()

            begun = time.monotonic()
            replay = link_message(18, struct.pack("<I", 0))
            order = link_message(16, struct.pack("<IBiq", 7, 3, 20_000, 0))  # refused: no time to live
            floods = [threading.Thread(target=flood, args=(link, seconds, what)) for what in (replay * 100, order * 100, b"PB\x01" + bytes(997))]
            for one in floods:
                one.start()
            for one in floods:
                one.join()
            steady("clients flood Link", begun)
            report.check("serve hears the control process after the flood", wait_until(fresh, 10))
            report.check("a flood of refused orders changes no limit", bridge.bus.latest[0x351]["ChargeCurrentLimit"] == 120.0, bridge.bus.latest[0x351])
        finally:
            if streams:
                streams.stop()
            serve.stop()
            broker.stop()
            code, log = bridge.stop()
            report.check("the control process ends cleanly", code == 0, f"(code {code})\n{log}")
    print(f"{report.passed} passed, {report.failed} failed")
    return report.failed > 0


if __name__ == "__main__":
    sys.exit(main())
