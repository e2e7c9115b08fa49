#!/usr/bin/env python3
"""End to end against independent peers: a JK-BMS written here on one pseudo-terminal, PackBridge in the middle as a real process,
python-can behind an SLCAN adapter on another, cantools with the project's DBC files as the judge of every frame.

    end_to_end.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import can
import cantools
from jk_bms import JKBMS, Pack
from judging import Report, conclude
from slcan_wire import wire

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Bus:
    """The inverter: collects what PackBridge sends, decoded by cantools."""

    def __init__(self, path, dialect):
        self.database = cantools.database.load_file(ROOT / "dbc" / f"{dialect}.dbc")
        # No answers of the adapter are awaited: python-can's SLCAN only reads frames.
        self.bus = can.Bus(interface="slcan", channel=path, bitrate=500_000, sleep_after_open=0.1)
        self.latest = {}
        self.history = []  # (time, identifier, signals)
        self.undecoded = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            message = self.bus.recv(1)
            if message is None:
                continue
            try:
                signals = self.database.decode_message(message.arbitration_id, message.data, decode_choices=False)
            except Exception as error:
                self.undecoded.append((message, error))
                continue
            self.latest[message.arbitration_id] = signals
            self.history.append((time.monotonic(), message.arbitration_id, signals))

    def wait(self, identifier, condition, seconds):
        """The first signals of `identifier` that fulfil the condition; None when time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            signals = self.latest.get(identifier)
            if signals and condition(signals):
                return signals
            time.sleep(0.02)
        return None


class Bridge:
    """A running `packbridge`, with a BMS and an inverter."""

    def __init__(self, binaries, command, dialect, pack, more="", state="none"):
        self.folder = tempfile.TemporaryDirectory(prefix="packbridge-test-")
        self.bms = JKBMS(pack)
        self.near, far = wire()
        # By a link, as adapters have one in /dev/serial/by-id, so that another can be plugged in.
        self.can = pathlib.Path(self.folder.name) / "can"
        self.can.symlink_to(self.near.path)
        self.bus = Bus(far.path, dialect)
        self.configuration = pathlib.Path(self.folder.name) / "packbridge.yaml"
        self.configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-4e57, port: {self.bms.path}}}
            inverter: {{dialect: {dialect}, port: "slcan:{self.can}"}}
            limits: {{charge: 120 A, discharge: 130 A}}
            files: {{state: {state}, link: {self.folder.name}/link}}
            {more}
            """
        )
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+")
        self.command = [binaries / "packbridge", command, "--config", self.configuration]
        self.start()

    def start(self):
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT)

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        self.log.seek(0)
        return code, self.log.read()


LIMITS = {"pylontech": 0x351, "growatt": 0x311}


def healthy_pack():
    cells = [3310 + 2 * (i % 5) for i in range(16)]
    return Pack(cells_mV=cells, current_mA=-12_500, mosfet_C=31, box_C=24, battery_C=22, soc_pct=63)


def expected(dialect, pack):
    """Every signal that must not be 0, from what the BMS was told to measure: {message: {signal: value}}."""
    highest, lowest = max(pack.cells_mV), min(pack.cells_mV)
    common = {
        "ChargeVoltage": 55.2,  # 16 x 3.45 V
        "ChargeCurrentLimit": 120.0,  # the configured limits, below 0.9 x 150 A and 0.5 C
        "DischargeCurrentLimit": 130.0,
    }
    measured = {"Voltage": pack.voltage_mV // 10 / 100, "Current": pack.current_mA / 1000}
    enabled = {"ChargeEnable": 1, "DischargeEnable": 1}
    if dialect == "pylontech":
        return {
            "BMS_Limits": common | {"DischargeVoltage": 44.8},  # 16 x max(UVP + 0.1 V, 2.8 V)
            "BMS_State": {"SOC": pack.soc_pct, "SOH": 100},
            "BMS_Measure": measured | {"Temperature": (pack.box_C, pack.battery_C)},
            "BMS_Alarms": {"ModuleCount": 1, "Mark_P": ord("P"), "Mark_N": ord("N")},
            "BMS_Request": enabled,
            "BMS_Name": {f"Name{i}": letter for i, letter in enumerate(b"PYLON   ")},
        }
    return {
        "BMS_Limits": common | {"Status": 3, "DischargeOutput": 1, "ChargeOutput": 1},  # 3: discharging
        "BMS_Alarms": {"PackCount": 1, "CellCount": 16},
        "BMS_Measure": measured | {"CellTempMax": max(pack.box_C, pack.battery_C), "SOC": pack.soc_pct, "SOH": 100},
        "BMS_Capacity": {
            "RemainingCapacity": pack.capacity_Ah * pack.soc_pct / 100, "FullCapacity": pack.capacity_Ah,
            "CellDelta": highest - lowest, "Cycles": pack.cycles,
        },
        "BMS_Request": enabled | {
            "CellMax": highest, "CellMin": lowest, "CellMaxNo": pack.cells_mV.index(highest) + 1,
            "CellMinNo": pack.cells_mV.index(lowest) + 1,
        },
        "BMS_Version": ANY,
        "BMS_Update": {},
    }


ANY = None  # a frame that says nothing about the battery


def fields(dialect, bus, report, pack):
    """Every signal of every frame against what the BMS was told to measure. What is not expected must be 0."""
    wanted = expected(dialect, pack)
    seen = {bus.database.get_message_by_frame_id(i).name: signals for i, signals in bus.latest.items()}
    report.equal("frames of a set", sorted(seen), sorted(wanted))
    for message, signals in seen.items():
        values = wanted.get(message, {})
        if values is ANY:
            continue
        report.check(f"{message} has the expected signals", set(values) <= set(signals), set(values) - set(signals))
        for signal, got in signals.items():
            value = values.get(signal, 0)
            good = any(abs(got - v) < 0.001 for v in (value if isinstance(value, tuple) else (value,)))
            report.check(f"{message}.{signal}", good, f"(got {got}, expected {value})")


def unplugged_at_100_amperes(dialect, command, binaries):
    """Every field while all is well; then the BMS falls silent at 100 A: 0 A within 30 s, and the frames go on."""
    report = Report(f"{dialect} through packbridge {command}")
    pack = healthy_pack()
    bridge = Bridge(binaries, command, dialect, pack)
    bus, limits = bridge.bus, LIMITS[dialect]
    try:
        first = bus.wait(limits, lambda s: True, 15)
        report.check("the first set comes within 15 s", first is not None)
        if not first:
            return report
        report.check("the first set carries zero limits", bus.history and next(
            s for _, i, s in bus.history if i == limits)["ChargeCurrentLimit"] == 0)
        risen = bus.wait(limits, lambda s: s["ChargeCurrentLimit"] == 120.0 and s["DischargeCurrentLimit"] == 130.0, 60)
        report.check("the limits rise to what is configured", risen is not None, bus.latest.get(limits))
        time.sleep(1.5)  # a complete set
        fields(dialect, bus, report, pack)

        pack.current_mA = 100_000
        pack.soc_pct = 64
        time.sleep(3)
        unplugged = time.monotonic()
        bridge.bms.unplug()
        zero = bus.wait(limits, lambda s: s["ChargeCurrentLimit"] == 0 and s["DischargeCurrentLimit"] == 0, 35)
        took = time.monotonic() - unplugged
        report.check("both limits are 0 A within 30 s", zero is not None and took <= 31.2, f"(took {took:.1f} s)")
        time.sleep(3)
        times = [t for t, i, _ in bus.history if i == limits and t > unplugged]
        gaps = [b - a for a, b in zip(times, times[1:])]
        report.check("the frames go on, never more than 1.5 s apart", gaps and max(gaps) <= 1.5, f"(longest {max(gaps):.2f} s)")
        after = [s for t, i, s in bus.history if i == limits and t > unplugged + took]
        report.check("the limits stay 0 A", after and all(
            s["ChargeCurrentLimit"] == 0 and s["DischargeCurrentLimit"] == 0 for s in after))
        told = [s for t, i, s in bus.history if i == limits and t > unplugged]
        rises = [
            (a, b) for a, b in zip(told, told[1:]) for limit in ("ChargeCurrentLimit", "DischargeCurrentLimit")
            if b[limit] > a[limit] + 0.05
        ]
        report.check("no limit rises while the BMS is silent", not rises, rises[:2])
        report.check("every frame is known to the DBC", not bus.undecoded, bus.undecoded[:2])
        report.check("0x305 is never sent", all(i != 0x305 for _, i, _ in bus.history))
    finally:
        code, log = bridge.stop()
        report.check("packbridge ends cleanly on SIGTERM", code == 0, f"(code {code})")
        if report.failed:
            print(log)
    return report


def cut_in_time(binaries):
    """A charge-stopping alarm of the BMS reaches the bus at once, as a zero limit without a change of the discharge limit."""
    report = Report("an alarm")
    pack = healthy_pack()
    bridge = Bridge(binaries, "control", "pylontech", pack)
    bus = bridge.bus
    try:
        risen = bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] > 20 and s["DischargeCurrentLimit"] == 130.0, 60)
        report.check("the limits rise", risen is not None, bus.latest.get(0x351))
        pack.warnings = 1 << 10  # a cell over its voltage limit
        began = time.monotonic()
        cut = bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 0, 5)
        report.check("charging stops within 2.5 s", cut is not None and time.monotonic() - began <= 2.5)
        report.equal("discharging goes on", (cut or {}).get("DischargeCurrentLimit"), 130.0, 0.001)
        withdrawn = bus.wait(0x35C, lambda s: s["ChargeEnable"] == 0 and s["DischargeEnable"] == 1, 3)
        report.check("the permission to charge is withdrawn, that to discharge is not", withdrawn is not None)
        # The reference inverter switches its output off on a protection bit, so the alarm is sent as a warning.
        alarms = bus.wait(0x359, lambda s: s["Alarm_HighVoltage"] == 1, 3)
        report.check("the alarm is shown as a warning", alarms is not None and alarms["Prot_OverVoltage"] == 0, bus.latest.get(0x359))
        status = subprocess.run(
            [binaries / "packbridge", "status", "--json", "--config", bridge.configuration], capture_output=True, text=True)
        report.check("packbridge status names the alarm", status.returncode == 0 and "cell_over_voltage" in status.stdout)
    finally:
        code, log = bridge.stop()
        report.check("packbridge-control ends cleanly on SIGTERM", code == 0, f"(code {code})")
        if report.failed:
            print(log)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    scenarios = [
        lambda: unplugged_at_100_amperes("pylontech", "run", binaries),
        lambda: unplugged_at_100_amperes("growatt", "control", binaries),
        lambda: cut_in_time(binaries),
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reports = [future.result() for future in [pool.submit(scenario) for scenario in scenarios]]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
