#!/usr/bin/env python3
"""An inverter that asks a Pylontech battery over RS485, written from the protocol's description, against PackBridge as a real process.

    pylontech_rs485.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time
import tty


from jk_bms import JKBMS, Pack
from judging import Report, conclude


def checksum(body):
    return -sum(body) & 0xFFFF


def request(command, information="", address=2, wrong=0):
    count = len(information)
    nibble = -(count >> 8 & 15) - (count >> 4 & 15) - (count & 15) & 15
    body = f"20{address:02X}46{command:02X}{nibble:X}{count:03X}{information}".encode()
    return b"~" + body + f"{checksum(body) + wrong & 0xFFFF:04X}".encode() + b"\r"


class Answer:
    """A checked answer; raises when anything about its frame is wrong."""

    def __init__(self, raw):
        assert raw[:1] == b"~" and raw[-1:] == b"\r" and raw == raw.upper(), raw
        body = raw[1:-5]
        assert int(raw[-5:-1], 16) == checksum(body), f"checksum of {raw}"
        self.version, self.address, cid1, self.code = (int(body[i:i + 2], 16) for i in range(0, 8, 2))
        assert cid1 == 0x46, cid1
        length = int(body[8:12], 16)
        digits = body[12:]
        assert length & 0xFFF == len(digits) and (sum(length >> s & 15 for s in (0, 4, 8, 12)) & 15) == 0, f"LENGTH of {raw}"
        self.information = bytes.fromhex(digits.decode())

    def word(self, at, signed=False):
        return int.from_bytes(self.information[at:at + 2], "big", signed=signed)


class Line:
    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.slave, self.path = slave, os.ttyname(slave)

    def ask(self, telegram, seconds=1.0):
        """The raw answer, or None, and how long its first byte took."""
        os.write(self.master, telegram)
        began, answer, first = time.monotonic(), b"", None
        while time.monotonic() - began < seconds:
            if select.select([self.master], [], [], 0.05)[0]:
                answer += os.read(self.master, 4096)
                first = first or time.monotonic() - began
                if answer.endswith(b"\r"):
                    return answer, first
        return None, first


def run(binaries, settings, name, step=0.1, sign=1, every_address=False):
    report = Report(name)
    pack = Pack(cells_mV=[3310 + 2 * (i % 5) for i in range(16)], current_mA=-12_500, soc_pct=63)
    bms, line = JKBMS(pack), Line()
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        configuration = pathlib.Path(folder) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-4e57, port: {bms.path}}}
            inverter: {{{settings}, port: "rs485:{line.path}@9600"}}
            limits: {{charge: 40 A, discharge: 130 A}}
            files: {{state: none, link: {folder}/link}}
            """
        )
        process = subprocess.Popen([binaries / "packbridge", "control", "--config", configuration])
        try:
            answer, _ = line.ask(request(0x63, "02"), 1.0)
            report.check("nothing is answered before the battery is known", answer is None, answer)
            # A real inverter asks once a second; the limits rise meanwhile.
            latencies, limits, end = [], None, time.monotonic() + 60
            while time.monotonic() < end:
                answer, first = line.ask(request(0x63, "02"))
                if answer:
                    limits = Answer(answer)
                    latencies.append(first)
                    if round(limits.word(4) * step) == 40 and abs(round(limits.word(6, True) * step)) == 130:
                        break
                time.sleep(0.5)
            report.check("the limits rise to what is configured", limits and round(limits.word(4) * step) == 40, limits and limits.information.hex())
            if not limits:
                return report
            report.equal("charge voltage", limits.word(0), 55_200)
            report.equal("discharge voltage", limits.word(2), 44_800)
            discharge = limits.word(6, True) * step
            report.equal("discharge limit", discharge, 130.0 * sign, 0.001)
            report.equal("status", limits.information[8], 0xC0)
            report.check("every answer begins within 100 ms", latencies and max(latencies) < 0.1, f"({max(latencies):.3f} s)")
            state = Answer(line.ask(request(0x61, "02"))[0])
            report.equal("state of charge", state.information[4], 63)
            report.equal("voltage", state.word(0), pack.voltage_mV // 10 * 10, 10)
            report.equal("current", state.word(2, True), -1250)
            report.equal("highest cell", state.word(11), max(pack.cells_mV))
            report.equal("lowest cell", state.word(15), min(pack.cells_mV))
            analog = Answer(line.ask(request(0x42, "02"))[0])
            report.equal("cells", [analog.word(3 + 2 * i) for i in range(16)], pack.cells_mV)
            report.equal("code of an unknown command", Answer(line.ask(request(0x95, "02"))[0]).code, 4)
            report.equal("version", Answer(line.ask(request(0x4F))[0]).version, 0x33)
            report.check("silence for a wrong checksum", line.ask(request(0x63, "02", wrong=1), 0.4)[0] is None)
            other = line.ask(request(0x63, "03", address=3), 0.4)[0]
            if every_address:
                report.check("another address is answered from the first", other and Answer(other).address == 2, other)
            else:
                report.check("silence for another address", other is None, other)
            pack.warnings = 1 << 10
            end, cut = time.monotonic() + 5, None
            while time.monotonic() < end and not (cut and cut.word(4) == 0):
                cut = Answer(line.ask(request(0x63, "02"))[0])
                time.sleep(0.2)
            report.check("an alarm stops the charge", cut.word(4) == 0 and cut.information[8] & 0x80 == 0, cut.information.hex())
            decoded = subprocess.run(
                [binaries / "packbridge", "decode", "--protocol", "pylontech-rs485", "--json", "63:" + line.ask(request(0x63, "02"))[0].decode().strip()],
                capture_output=True, text=True)
            report.check("packbridge decode understands it", '"charge_A":0.0' in decoded.stdout, decoded.stdout)
        finally:
            process.terminate()
            report.equal("exit code", process.wait(10), 0)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    scenarios = [
        lambda: run(binaries, "dialect: pylontech-rs485", "Pylontech over RS485"),
        lambda: run(binaries, "profile: srne-rs485", "the profile of SRNE", step=0.01, every_address=True),
        lambda: run(binaries, "profile: vevor-eml", "the profile of Vevor", sign=-1),
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reports = [future.result() for future in [pool.submit(scenario) for scenario in scenarios]]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
