#!/usr/bin/env python3
"""The simulators, the demo and `decode` as a person and a script use them, judged by peers that share no code with them.

    tools.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import can
import cantools
import serial
from jk_bms import Pack, frame, reply
from judging import Report, children, conclude, wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READ_ALL = frame(0x06, 0x03, 0x00, b"\x00")


@contextlib.contextmanager
def running(*command, lines=None):
    """A process whose JSON lines are collected in `lines`; ends with SIGTERM."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)

    def collect():
        for line in process.stdout:
            if lines is not None:
                lines.append(json.loads(line))

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
        reader.join(5)


def ask(line):
    """One read-all request. - Returns: {identifier: bytes} of a reply whose length and sum are right, else None."""
    line.reset_input_buffer()
    line.write(READ_ALL)
    head = line.read(4)
    if len(head) < 4 or head[:2] != b"NW":
        return None
    rest = line.read(struct.unpack(">H", head[2:])[0] - 2)
    whole = head + rest
    if len(whole) < 24 or struct.unpack(">I", whole[-4:])[0] != sum(whole[:-4]) & 0xFFFF:
        return None
    body, fields = whole[11:-9], {}
    widths = {0x79: None, 0x80: 2, 0x81: 2, 0x82: 2, 0x83: 2, 0x84: 2, 0x85: 1}
    while body and body[0] in widths:
        width = widths[body[0]]
        start = 2 if width is None else 1
        width = body[1] if width is None else width
        fields[body[0]] = body[start : start + width]
        body = body[start + width :]
    return fields


def simulated_bms(binaries, folder):
    report = Report("simulate bms")
    path, states = folder / "bms", []
    command = [
        binaries / "packbridge", "simulate", "bms", "--pty", path, "--cells", 8, "--soc", 41, "--current", -30,
        "--temperature", -4, "--json", "--fault", "unplug@4+3",
    ]
    with running(*command, lines=states) as process:
        report.check("the line appears under its name", wait_until(path.exists, 10) is not None)
        began = time.monotonic()
        with serial.Serial(str(path), 115200, timeout=1) as line:
            fields = ask(line) or {}
            cells = fields.get(0x79, b"")
            voltages = [struct.unpack(">BH", cells[i : i + 3])[1] for i in range(0, len(cells), 3)]
            report.check("eight cells answer", len(voltages) == 8 and all(2900 < v < 3500 for v in voltages), voltages)
            report.check("the state of charge is that of the command line", fields.get(0x85) in (b"\x28", b"\x29"), fields.get(0x85))
            time.sleep(1.2)
            fields = ask(line) or {}
            raw = struct.unpack(">H", fields.get(0x84, b"\0\0"))[0]
            report.check("30 A of discharge: bit 15 clear, 10 mA", raw & 0x8000 == 0 and abs(raw - 3000) < 100, raw)
            total = struct.unpack(">H", fields.get(0x83, b"\0\0"))[0] * 10
            voltages = [struct.unpack(">BH", fields[0x79][i : i + 3])[1] for i in range(0, 24, 3)] if 0x79 in fields else []
            report.check("the pack's voltage is the cells' sum", abs(total - sum(voltages)) < 60, (total, voltages))
            time.sleep(max(0, began + 4.7 - time.monotonic()))
            report.check("the fault comes when it was asked for", ask(line) is None)
            report.check("and goes again", wait_until(lambda: ask(line), 8) is not None)
        process.send_signal(signal.SIGINT)
        report.check("Ctrl-C ends it with 0", process.wait(5) == 0, process.returncode)
    report.check("its name is gone with it", not path.is_symlink())
    report.check("it says what is true of the pack", states and abs(states[-1]["current_mA"] + 30_000) < 500
                 and "unplug" in sum((s["faults"] for s in states), []), states[-1:])

    occupied = folder / "file"
    occupied.write_text("mine")
    refused = subprocess.run([binaries / "packbridge", "simulate", "bms", "--pty", occupied], capture_output=True, text=True)
    report.check("a file of somebody else is not replaced", refused.returncode == 1 and occupied.read_text() == "mine", refused)
    usage = subprocess.run(
        [binaries / "packbridge", "simulate", "bms", "--pty", folder / "x", "--cells", "33"], capture_output=True, text=True)
    report.check("33 cells are wrong usage", usage.returncode == 2 and "1 to 32" in usage.stderr, usage)
    return report


def simulated_inverter(binaries, folder, dialect):
    report = Report(f"simulate inverter, {dialect}")
    database = cantools.database.load_file(ROOT / "dbc" / f"{dialect}.dbc")
    path, states = folder / dialect, []
    with running(
        binaries / "packbridge", "simulate", "inverter", "--pty", path, "--dialect", dialect, "--json", lines=states
    ):
        wait_until(path.exists, 10)
        bus = can.Bus(interface="slcan", channel=str(path), bitrate=500_000, sleep_after_open=0.1)
        limits = database.get_message_by_name("BMS_Limits")
        values = {s.name: 0 for s in limits.signals} | {
            "ChargeVoltage": 55.2, "ChargeCurrentLimit": 77.5, "DischargeCurrentLimit": 123.4}
        bus.send(can.Message(arbitration_id=limits.frame_id, data=limits.encode(values), is_extended_id=False))
        told = wait_until(lambda: [s for s in states if s["cvl_V"] is not None], 5)
        last = told[-1] if told else {}
        report.check("it understands what cantools encoded",
                     (last.get("cvl_V"), last.get("ccl_A"), last.get("dcl_A")) == (55.2, 77.5, 123.4), last)
        beats, end = [], time.monotonic() + 3.5
        while time.monotonic() < end:
            message = bus.recv(0.2)
            if message:
                beats.append(message.arbitration_id)
        expected = 0x305 if dialect == "pylontech" else 0x301
        report.check("its heartbeat comes every second", set(beats) == {expected} and 2 <= len(beats) <= 6, beats)
        bus.shutdown()
    return report


def whole_chain(binaries, folder):
    """`simulate bms` and `simulate inverter` with the bridge between them, nothing else: what the README offers to try."""
    report = Report("bridge between the simulators")
    bms, inverter, told = folder / "chain-bms", folder / "chain-can", []
    with running(binaries / "packbridge", "simulate", "bms", "--pty", bms, "--current", 20, "--soc", 55) as source, running(
        binaries / "packbridge", "simulate", "inverter", "--pty", inverter, "--json", lines=told
    ):
        wait_until(lambda: bms.exists() and inverter.exists(), 10)
        configuration = folder / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-4e57, port: {bms}}}
            inverter: {{dialect: pylontech, port: "slcan:{inverter}"}}
            limits: {{charge: 100 A, discharge: 100 A}}
            files: {{state: none, link: {folder}/link}}
            """
        )
        with running(binaries / "packbridge", "control", "--config", configuration):
            time.sleep(4)
            status = subprocess.run(
                [binaries / "packbridge", "status", "--config", configuration], capture_output=True, text=True, timeout=10)
            report.check("a normal start is not called a lost BMS", status.returncode == 0
                         and "joining" in status.stdout and "lost" not in status.stdout, status.stdout + status.stderr)
            report.check("the limits rise to 100 A", wait_until(
                lambda: told and told[-1]["ccl_A"] == 100.0 and told[-1]["dcl_A"] == 100.0, 50), told[-1:])
            source.terminate()
            report.check("without the BMS both are 0 A within 30 s", wait_until(
                lambda: told[-1]["ccl_A"] == 0.0 and told[-1]["dcl_A"] == 0.0, 32), told[-1:])
            frames = told[-1]["frames"]
            time.sleep(2.2)
            report.check("and the frames go on", told[-1]["frames"] > frames + 6, told[-1:])
    return report


def demo(binaries, folder):
    report = Report("demo")
    environment = os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(
        [binaries / "packbridge", "demo", "--json", "--seconds", "40", "--peaceful"], stdout=subprocess.PIPE, text=True,
        env=environment)
    started = wait_until(lambda: children(process.pid), 10)
    states = [json.loads(line) for line in process.stdout]
    report.check("it ends by itself with 0", process.wait(10) == 0, process.returncode)
    report.check("the control process was a child of its own and is gone", started and not any(
        pathlib.Path(f"/proc/{child}").exists() for child in started.values()), started)
    last = states[-1] if states else {}
    told = last.get("bridge", {}).get("told", {})
    report.check("the inverter is told limits above zero", told.get("ccl_mA", 0) > 0 and told.get("dcl_mA", 0) > 0, told)
    report.check("each limit has its reason", all(
        last.get("bridge", {}).get("reasons", {}).get(limit, {}).get("text") for limit in ("cvl", "ccl", "dcl")))
    clock = [s["clock_s"] for s in states]
    report.check("the day goes fast", clock and clock[-1] - clock[0] > 60 * len(clock), clock[:1] + clock[-1:])
    moved = {s["bridge"]["told"]["voltage_mV"] for s in states if s["bridge"]["transmitting"]}
    report.check("the battery lives", len(moved) > 3, moved)
    return report


def decoding(binaries, folder):
    """Where the output of `decode` goes wrong."""
    report = Report("decode")
    command = [binaries / "packbridge", "decode", "--protocol", "jk-4e57", "--json", "-"]
    lines = (reply(Pack()).hex() + "\n").encode()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(lines)
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    report.check("a line is answered before the next one is there", first["accepted"] is True)
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        for _ in range(2000):
            process.stdin.write(lines)
        process.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    said = process.stderr.read()
    report.check("a reader that has gone ends it quietly", process.wait(10) in (0, 141, -signal.SIGPIPE) and not said, said)
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, input=lines, stdout=full, stderr=subprocess.PIPE, timeout=10)
    report.check("a full disk is said, exit code 1", result.returncode == 1 and b"space" in result.stderr, result)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as name, concurrent.futures.ThreadPoolExecutor(8) as pool:
        folder = pathlib.Path(name)
        futures = [pool.submit(scenario, binaries, folder) for scenario in (simulated_bms, whole_chain, demo, decoding)]
        futures += [pool.submit(simulated_inverter, binaries, folder, dialect) for dialect in ("pylontech", "growatt")]
        reports = [future.result() for future in futures]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
