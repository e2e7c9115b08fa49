#!/usr/bin/env python3
"""Another program feeds readings over Link, in both ways that docs/link.md describes: binary messages, built here from that page, and
JSON lines through `packbridge feed`.

    link_input.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from judging import Report, conclude


def message(kind, payload, sequence):
    covered = struct.pack("<BBHI", 1, kind, len(payload), sequence) + payload
    return b"PB" + covered + struct.pack("<I", zlib.crc32(covered))


def optional(layout, value):
    return struct.pack("<B" + layout, value is not None, value or 0)


def flag(value):
    return bytes([0 if value is None else 2 if value else 1])


def reading(identity, pack, cells, current, soc, settings=True):
    """Kind 19, field by field as docs/link.md lists them."""
    data = struct.pack("<IB", identity, pack)
    data += bytes([len(cells)]) + struct.pack(f"<{len(cells)}H", *cells)
    data += optional("i", sum(cells)) + optional("i", current)
    data += bytes([2]) + struct.pack("<Bi", 2, 221) + struct.pack("<Bi", 2, 215)  # two cell sensors
    data += struct.pack("<Bi", 2, 300)  # MOSFET
    data += optional("i", soc) + optional("i", 9900)  # SoC, SoH
    data += optional("i", 280_000 * soc // 10_000) + optional("i", 280_000) + optional("i", 280_000)  # remaining, full, rated
    data += optional("i", 12) + optional("i", None)  # cycles, throughput
    data += flag(True) + flag(True) + flag(False)  # charge, discharge, balancing
    data += optional("I", 0)  # alarms
    data += optional("q", None) + struct.pack("<q", 0)  # running time and its step
    data += optional("i", None) * 3  # limits that the BMS publishes
    data += bytes([settings])
    if settings:
        values = [3650, 3500, 2700, 2900, None, None, 150_000, 150_000, 600, -10, 650, -200, 950, None, 3400, 10, 16]
        data += b"".join(optional("i", value) for value in values) + flag(True) * 3
    return data + b"\0"  # not just started


class Bridge:
    def __init__(self, binaries, bms):
        self.binaries = binaries
        self.folder = tempfile.TemporaryDirectory(prefix="packbridge-test-")
        self.link = f"{self.folder.name}/link"
        self.configuration = pathlib.Path(self.folder.name) / "packbridge.yaml"
        self.configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {bms}
            inverter: {{dialect: pylontech, port: "virtual:none"}}
            limits: {{charge: 30 A, discharge: 130 A}}
            files: {{state: none, link: {self.link}}}
            """
        )
        self.process = subprocess.Popen([binaries / "packbridge", "control", "--config", self.configuration])
        end = time.monotonic() + 10
        while not pathlib.Path(self.link).exists() and time.monotonic() < end:
            time.sleep(0.05)

    def status(self):
        result = subprocess.run(
            [self.binaries / "packbridge", "status", "--json", "--link", self.link], capture_output=True, text=True)
        return json.loads(result.stdout)

    def wait(self, condition, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition(status := self.status()):
                return status
            time.sleep(0.5)
        return None

    def stop(self, report):
        self.process.terminate()
        report.equal("exit code", self.process.wait(10), 0)


def limits(status):
    return status["told"]["ccl_mA"], status["told"]["dcl_mA"]


def check_course(report, bridge, stop):
    """The limits rise while readings come and are 0 half a minute after the last one."""
    risen = bridge.wait(lambda s: limits(s) == (30_000, 130_000), 60)
    report.check("the limits rise to what is configured", risen is not None, limits(bridge.status()))
    if risen:
        report.equal("state", risen["packs"][0]["state"], "active")
        report.equal("SoC", risen["told"]["soc_pct"], 63)
        report.equal("cells", len(risen["packs"][0]["cells_mV"]), 16)
    stop.set()
    stopped = time.monotonic()
    zero = bridge.wait(lambda s: limits(s) == (0, 0), 35)
    report.check("silence ends in limits of 0 A within 30 s", zero is not None and time.monotonic() - stopped < 32)


def binary(binaries):
    report = Report("binary messages over Link")
    bridge = Bridge(binaries, "{protocol: link}")
    stop = threading.Event()
    client = socket.socket(socket.AF_UNIX)
    client.connect(bridge.link)
    received = []

    def listen():
        while data := client.recv(65536):
            received.append(data)

    def feed():
        sequence = 0
        while not stop.wait(0.5):
            sequence += 1
            cells = [3310 + (i + sequence) % 5 for i in range(16)]
            client.sendall(message(19, reading(sequence, 1, cells, -12_500, 6300), sequence))

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=feed, daemon=True).start()
    check_course(report, bridge, stop)
    # For a pack that does not exist the answer is a refusal: kind 17, the identity, 3 = no such pack.
    client.sendall(message(19, reading(4711, 2, [3300] * 16, 0, 6300), 5000))
    time.sleep(0.5)
    refusal = struct.pack("<IB", 4711, 3)
    report.check("a reading for another pack is refused", any(b"PB\x01\x11\x05\x00" in data and refusal in data for data in received))
    bridge.stop(report)
    return report


def json_lines(binaries):
    report = Report("JSON lines through packbridge feed")
    bridge = Bridge(binaries, "{protocol: link}")
    stop = threading.Event()
    feeder = subprocess.Popen([binaries / "packbridge", "feed", "--link", bridge.link], stdin=subprocess.PIPE, text=True)

    def feed():
        count = 0
        while not stop.wait(0.5):
            count += 1
            pack = {
                "id": 1, "cells_mV": [3310 + (i + count) % 5 for i in range(16)], "current_mA": -12_500, "soc_cpct": 6300,
                "capacity_mAh": 280_000, "temps_dC": [221, 215], "mos_dC": 300, "charge_fet": True, "discharge_fet": True, "alarms": [],
                "settings": {"ovp_mV": 3650, "uvp_mV": 2700, "charge_ocp_mA": 150_000, "discharge_ocp_mA": 150_000},
            }
            pack["pack_mV"] = sum(pack["cells_mV"])
            print(json.dumps({"packs": [pack]}), file=feeder.stdin, flush=True)

    threading.Thread(target=feed, daemon=True).start()
    check_course(report, bridge, stop)
    feeder.stdin.close()
    report.equal("exit code of feed", feeder.wait(10), 0)
    for line, what in (
        ('{"packs":[{"id":7,"cells_mV":[3300]}]}', "another pack"), ('{"packs":[{"id":1,"age_ms":5}]}', "an old reading"),
        ('{"packs":[{"id":1,"cell_mV":[3300]}]}', "a misspelled key"), ("nonsense", "no JSON"),
    ):
        result = subprocess.run(
            [binaries / "packbridge", "feed", "--link", bridge.link], input=line + "\n", capture_output=True, text=True)
        report.check(f"{what} is refused", result.returncode == 1 and result.stderr, result)
    bridge.stop(report)
    return report


def foreign_pack(binaries):
    report = Report("a pack that has a BMS of its own")
    bridge = Bridge(binaries, "{protocol: jk-4e57, port: /dev/null}")
    result = subprocess.run(
        [binaries / "packbridge", "feed", "--link", bridge.link], input='{"packs":[{"id":1,"cells_mV":[3300]}]}\n',
        capture_output=True, text=True)
    report.equal("exit code", result.returncode, 1)
    report.check("the reason is told", "protocol is `link`" in result.stderr, result.stderr)
    report.equal("age of the pack", bridge.status()["packs"][0]["age_ms"] is None, True)
    bridge.stop(report)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reports = [scenario.result() for scenario in [pool.submit(one, binaries) for one in (binary, json_lines, foreign_pack)]]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
