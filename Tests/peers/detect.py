#!/usr/bin/env python3
"""`packbridge detect` on lines of every kind: units written in Python and units of the simulator. What it sends is recorded, and
nothing but reads and the trigger of a status record may be among it.

    detect.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import threading
import time
import tty


from jk_bms import JKBMS, Pack
from judging import Report, conclude


class Tap:
    """A line with the units at the far end and a record of what the near end sent."""

    def __init__(self, far):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.slave, self.path, self.sent = slave, os.ttyname(slave), b""
        self.far = os.open(far, os.O_RDWR | os.O_NOCTTY) if far else None
        if self.far is not None:
            tty.setraw(self.far)
        threading.Thread(target=self._carry, daemon=True).start()

    def _carry(self):
        while True:
            ends = [self.master] + ([self.far] if self.far is not None else [])
            for end in select.select(ends, [], [])[0]:
                try:
                    data = os.read(end, 4096)
                    if end == self.master:
                        self.sent += data
                    if self.far is not None:
                        os.write(self.far if end == self.master else self.master, data)
                except OSError:
                    return


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


READ_ALL = bytes.fromhex("4E5700130000000006030000000000006800000129")


def harmless(sent):
    """The requests of a record of bytes; None when something else is among them."""
    requests = []
    while sent:
        for length, good in (
            (21, sent[:21] == READ_ALL),
            (8, sent[1:2] == b"\x03" and sent[6:8] == crc(sent[:6])),
            (11, sent[1:9] == bytes.fromhex("1016200001020000") and sent[9:11] == crc(sent[:9])),
        ):
            if good:
                requests.append(sent[:length])
                sent = sent[length:]
                break
        else:
            return None
    return requests


def detect(binaries, port):
    result = subprocess.run([binaries / "packbridge", "detect", "--json", port], capture_output=True, text=True, timeout=60)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def simulated(binaries, folder, protocol, addresses):
    path = f"{folder}/{protocol}-{'-'.join(map(str, addresses))}"
    command = [binaries / "packbridge", "simulate", "bms", "--pty", path, "--protocol", protocol, "--seconds", "60"]
    process = subprocess.Popen(command + [x for a in addresses for x in ("--address", str(a))], stdout=subprocess.DEVNULL)
    while not os.path.exists(path):
        time.sleep(0.05)
    return process, path


def gps(binaries):
    report = Report("a unit on its GPS connector")
    tap = Tap(JKBMS(Pack()).path)
    code, found = detect(binaries, tap.path)
    report.equal("exit code", code, 0)
    report.equal("protocols", [f["protocol"] for f in found], ["jk-4e57"])
    report.equal("cells", found and found[0]["cells"], 16)
    report.equal("voltage", found and found[0]["voltage_mV"], 52_800)
    report.equal("what was sent", harmless(tap.sent), [READ_ALL])
    return report


def nothing(binaries):
    report = Report("a line on which nobody answers")
    tap = Tap(None)
    code, found = detect(binaries, tap.path)
    report.equal("exit code", code, 1)
    report.equal("findings", found, [])
    requests = harmless(tap.sent)
    report.check("only reads and triggers were sent", requests is not None, tap.sent.hex())
    report.check("every protocol was tried", requests and len(requests) == 1 + 2 * (15 + 16), requests and len(requests))
    return report


def rs485(binaries, folder):
    report = Report("units on RS485")
    process, path = simulated(binaries, folder, "jk-55aaeb90", [2, 13])
    try:
        tap = Tap(path)
        code, found = detect(binaries, tap.path)
        report.equal("exit code", code, 0)
        report.equal("protocols", [f["protocol"] for f in found], ["jk-55aaeb90", "jk-modbus"])
        for finding in found:
            report.equal(f"addresses over {finding['protocol']}", finding["addresses"], [2, 13])
            report.equal("cells", finding["cells"], 16)
            report.equal("busy", finding["busy"], False)
        report.check("only reads and triggers were sent", harmless(tap.sent) is not None, tap.sent.hex())
    finally:
        process.terminate()
    return report


def master(binaries, folder):
    report = Report("a bus with a master")
    process, path = simulated(binaries, folder, "jk-55aaeb90", [0, 1, 4])
    try:
        tap = Tap(path)
        code, found = detect(binaries, tap.path)
        report.equal("exit code", code, 0)
        report.equal("protocols", [f["protocol"] for f in found], ["jk-55aaeb90"])
        report.equal("busy", found and found[0]["busy"], True)
        report.equal("addresses", found and found[0]["addresses"], [0, 1, 4])
        report.check("nothing was sent", tap.sent == b"", tap.sent.hex())
        check = pathlib.Path(folder) / "found.yaml"
        check.write_text(f"battery: {{chemistry: lfp, cells: 16}}\nbms: {found[0]['entry']}\ninverter: growatt-spf5000es\n")
        report.equal("the entry that it proposes is good", subprocess.run(
            [binaries / "packbridge", "check", check], stdout=subprocess.DEVNULL).returncode, 0)
    finally:
        process.terminate()
    return report


def can_bus(binaries, folder):
    report = Report("units on CAN")
    process, path = simulated(binaries, folder, "jk-can", [0, 5])
    try:
        code, found = detect(binaries, f"slcan:{path}@250000")
        report.equal("exit code", code, 0)
        report.equal("protocols", [f["protocol"] for f in found], ["jk-can"])
        report.equal("addresses", found and found[0]["addresses"], [0, 5])
    finally:
        process.terminate()
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        scenarios = [pool.submit(gps, binaries), pool.submit(nothing, binaries)]
        scenarios += [pool.submit(one, binaries, folder) for one in (rs485, master, can_bus)]
        reports = [scenario.result() for scenario in scenarios]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
