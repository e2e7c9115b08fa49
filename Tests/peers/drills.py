#!/usr/bin/env python3
"""What happens in a cellar, on the real processes and judged on the bus: 200 web clients that never read, a disk that is full, a
history that is deleted and one that is overwritten under way, a CAN adapter that is pulled out.

    drills.py BINARY_DIRECTORY

Other drills are where their subject is: kill -9 of serve and control in run_supervision.py, of the broker in mosquitto.py, a hung
broker in isolation.py, the BMS unplugged in end_to_end.py, the kernel's CAN interface in Tests/vm/real_socketcan.py, the clock set
forward and back in Tests/vm/installed_services.py. The last line counts the checks: `N passed, N failed`.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from judging import Report, conclude, wait_until
from run_supervision import Run, started
from slcan_wire import Adapter

CLIENTS = 200
#: serve writes every 10 s; a drill lasts a write and a bit.
A_WRITE = 12


class Cellar(Run):
    """`packbridge run` with record and history on one small disk."""

    def __init__(self, binaries, disk):
        super().__init__(binaries, more=f"history: {{folder: {disk}}}", state=disk)
        self.database = pathlib.Path(disk) / "history.db"

    def history_is_good(self):
        with contextlib.suppress(OSError):
            answer = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/status", timeout=2)
            return json.load(answer)["health"]["history"] == "ok" and self.database.exists()
        return False


@contextlib.contextmanager
def small_disk():
    """A folder that can be filled without harm; nil where nothing can be mounted."""
    with tempfile.TemporaryDirectory(prefix="packbridge-disk-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode == 0
        try:
            yield folder, mounted
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)


def stalled_clients(bridge, report):
    clients, begun = [], time.monotonic()
    for _ in range(CLIENTS):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", bridge.port))
        client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        clients.append(client)
    time.sleep(A_WRITE)
    report.check("200 stalled clients: the page answers others", wait_until(bridge.page, 10))
    bridge.steady(report, "200 stalled clients", begun)
    for client in clients:
        client.close()


def full_disk(bridge, report, disk):
    begun = time.monotonic()
    filler = pathlib.Path(disk) / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    report.check("the disk is full", os.statvfs(disk).f_bavail == 0)
    time.sleep(A_WRITE)
    bridge.steady(report, "full disk", begun)
    report.check("full disk: the page answers", bridge.page())
    filler.unlink()
    report.check("full disk: the history is good again when there is room", wait_until(bridge.history_is_good, 40))


def lost_history(bridge, report, what, harm):
    """The file is harmed while it is open; then serve is killed, and begins again with what it finds."""
    begun = time.monotonic()
    report.check(f"{what}: there was a history", wait_until(bridge.database.exists, 20))
    harm(bridge.database)
    time.sleep(A_WRITE)
    report.check(f"{what}: the page answers", wait_until(bridge.page, 20))
    victim = bridge.serve
    os.kill(victim, signal.SIGKILL)
    report.check(f"{what}: serve begins again", wait_until(lambda: bridge.serve not in (None, victim) and bridge.page(), 40))
    report.check(f"{what}: there is a good history again", wait_until(bridge.history_is_good, 30))
    bridge.steady(report, what, begun)


def delete(database):
    for file in database.parent.glob("history.db*"):
        file.unlink()


def overwrite(database):
    with open(database, "r+b") as file:
        file.write(random.Random(7).randbytes(database.stat().st_size))


def pull_out(bridge):
    bridge.can.unlink()
    bridge.near.unplug()


def plug_in(bridge):
    """Another adapter in the place of the one that was pulled out."""
    old, bridge.near = bridge.near, Adapter()
    bridge.near.other, bridge.near.heard, old.other.other = old.other, old.heard, bridge.near
    bridge.can.symlink_to(bridge.near.path)


def adapter_unplugged(bridge, report):
    control = bridge.control
    pull_out(bridge)
    time.sleep(5)
    report.check("an adapter that is pulled out ends nothing", bridge.control == control)
    before = len(bridge.sets.times)
    plug_in(bridge)
    report.check("another is used within 15 s", wait_until(lambda: len(bridge.sets.times) > before, 15))
    report.check("its limits are those of before", wait_until(lambda: bridge.bus.latest[0x351]["ChargeCurrentLimit"] == 120.0, 60), bridge.bus.latest.get(0x351))
    begun = time.monotonic()
    time.sleep(5)
    bridge.steady(report, "after the adapter was changed", begun)


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    report = Report("drills")
    with small_disk() as (disk, mounted):
        bridge = Cellar(binaries, disk)
        try:
            started(report, bridge)
            report.check("the limits rise", bridge.bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 120.0, 60))
            control = bridge.control
            stalled_clients(bridge, report)
            if mounted:
                full_disk(bridge, report, disk)
            else:
                print("nothing can be mounted here, so no disk is filled")
            lost_history(bridge, report, "history deleted", delete)
            lost_history(bridge, report, "history overwritten", overwrite)
            adapter_unplugged(bridge, report)
            report.check("the control process is the same all the time", bridge.control == control)
            report.check("no limit ever left what is configured", all(
                s["ChargeCurrentLimit"] <= 120.0 for _, i, s in bridge.bus.history if i == 0x351))
        finally:
            code, log = bridge.stop()
            report.check("packbridge run ends with 0", code == 0, f"(code {code})")
            if report.failed:
                print(log[-5000:])
    return conclude([report])


if __name__ == "__main__":
    sys.exit(main())
