#!/usr/bin/env python3
"""packbridge-ble against a BlueZ that is played here, on a bus of its own: a JK unit whose records come in fragments with noise between
them, which disappears and comes back.

    bluetooth.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import asyncio
import json
import logging
import os
import pathlib
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from dbus_next import PropertyAccess, Variant
from dbus_next.aio import MessageBus
from dbus_next.errors import DBusError
from dbus_next.service import ServiceInterface, dbus_property, method
from judging import Report, children, conclude, wait_until


# A refused connection is part of the play, not an error of the library.
logging.disable(logging.ERROR)

ADDRESS = "C8:47:8C:E0:12:34"
DEVICE = "/org/bluez/hci0/dev_" + ADDRESS.replace(":", "_")


def record(kind, fields):
    data = bytearray(300)
    data[0:6] = bytes.fromhex("55AAEB90") + bytes([kind, 1])
    for offset, layout, value in fields:
        struct.pack_into("<" + layout, data, offset, value)
    data[299] = sum(data[:299]) & 0xFF
    return bytes(data)


def status(cells, seconds):
    """32-cell layout, offsets of the protocol's description."""
    fields = [(6 + 2 * i, "H", mv) for i, mv in enumerate(cells)]
    fields += [
        (70, "I", (1 << len(cells)) - 1), (74, "H", sum(cells) // len(cells)), (144, "h", 251), (150, "I", sum(cells)),
        (158, "i", -12_500), (162, "h", 221), (164, "h", 215), (166, "I", 0), (173, "B", 63), (174, "i", 176_400),
        (178, "I", 280_000), (182, "I", 12), (190, "B", 99), (194, "I", seconds), (198, "B", 1), (199, "B", 1), (214, "B", 7),
        (254, "h", 251),
    ]
    return record(2, fields)


def settings():
    values = [
        (10, 2700), (14, 2900), (18, 3650), (22, 3500), (50, 150_000), (62, 150_000), (82, 600), (90, 650), (106, 950), (114, 16),
        (118, 1), (122, 1), (126, 1), (130, 280_000), (138, 3400), (270, 1),
    ]
    return record(1, [(offset, "I", value) for offset, value in values] + [(98, "i", -10)])


class Adapter(ServiceInterface):
    def __init__(self, bluez):
        super().__init__("org.bluez.Adapter1")
        self.bluez = bluez

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":
        return "00:11:22:33:44:55"

    @method()
    def StartDiscovery(self):
        self.bluez.searches += 1
        self.bluez.appear()

    @method()
    def StopDiscovery(self):
        pass


class Device(ServiceInterface):
    def __init__(self, bluez):
        super().__init__("org.bluez.Device1")
        self.bluez = bluez
        self.connected = False

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":
        return ADDRESS

    @dbus_property(access=PropertyAccess.READ)
    def Alias(self) -> "s":
        return "JK_B2A8S20P"

    @dbus_property(access=PropertyAccess.READ)
    def UUIDs(self) -> "as":
        return ["0000ffe0-0000-1000-8000-00805f9b34fb"]

    @dbus_property(access=PropertyAccess.READ)
    def Connected(self) -> "b":
        return self.connected

    @dbus_property(access=PropertyAccess.READ)
    def ServicesResolved(self) -> "b":
        return self.connected

    @method()
    def Connect(self):
        self.bluez.attempts.append(time.monotonic())
        if self.bluez.refuses:
            raise DBusError("org.bluez.Error.Failed", "le-connection-abort-by-local")
        self.connected = True

    @method()
    def Disconnect(self):
        self.drop()

    def drop(self):
        self.connected = False
        self.bluez.notifying = False
        self.emit_properties_changed({"Connected": False})


class Characteristic(ServiceInterface):
    """Many units have two characteristics with the same UUID, one to write and one that notifies."""

    def __init__(self, bluez, flags):
        super().__init__("org.bluez.GattCharacteristic1")
        self.bluez, self.flags, self.value = bluez, flags, b""

    @dbus_property(access=PropertyAccess.READ)
    def UUID(self) -> "s":
        return "0000ffe1-0000-1000-8000-00805f9b34fb"

    @dbus_property(access=PropertyAccess.READ)
    def Flags(self) -> "as":
        return self.flags

    @dbus_property(access=PropertyAccess.READ)
    def Value(self) -> "ay":
        return self.value

    @method()
    def StartNotify(self):
        self.bluez.notifying = True

    @method()
    def WriteValue(self, value: "ay", options: "a{sv}"):
        self.bluez.commands.append(bytes(value))
        if "write-without-response" not in self.flags or options["type"].value != "command":
            raise DBusError("org.bluez.Error.NotSupported", "wrong characteristic or type")

    def notify(self, data):
        self.value = data
        self.emit_properties_changed({"Value": data})


class BlueZ:
    """The daemon and one unit in reach of it, in a thread of its own."""

    def __init__(self, address):
        self.commands, self.attempts, self.searches = [], [], 0
        self.refuses, self.notifying, self.is_silent = False, False, False
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.address = address
        threading.Thread(target=lambda: self.loop.run_until_complete(self._serve()), daemon=True).start()
        self.ready.wait(10)

    async def _serve(self):
        self.bus = await MessageBus(bus_address=self.address).connect()
        self.bus.export("/org/bluez/hci0", Adapter(self))
        self.device, self.is_seen = Device(self), False
        self.reader = Characteristic(self, ["notify", "read"])
        self.writer = Characteristic(self, ["write-without-response"])
        await self.bus.request_name("org.bluez")
        self.ready.set()
        seconds, handled = 0, 0
        while True:
            await asyncio.sleep(0.4)
            seconds += 1
            if not self.notifying or self.is_silent:
                handled = len(self.commands)
                continue
            for command in self.commands[handled:]:
                if command[4] == 0x96:
                    await self._tell(settings() + bytes.fromhex("AA5590EBC8010100000000000000000000000044"))
            handled = len(self.commands)
            if any(command[4] == 0x96 for command in self.commands):
                await self._tell(status([3310 + (i + seconds) % 5 for i in range(16)], 1_000_000 + seconds))
                self.reader.notify(b"AT\r\n")

    async def _tell(self, data):
        for start in range(0, len(data), 128):
            self.reader.notify(data[start:start + 128])
            await asyncio.sleep(0.005)

    def appear(self):
        if self.is_seen:
            return
        self.is_seen = True
        self.bus.export(DEVICE, self.device)
        self.bus.export(DEVICE + "/service0010/char0011", self.writer)
        self.bus.export(DEVICE + "/service0010/char0012", self.reader)

    def drop(self):
        self.loop.call_soon_threadsafe(self.device.drop)


def status_of(binaries, link):
    result = subprocess.run([binaries / "packbridge", "status", "--json", "--link", link], capture_output=True, text=True)
    return json.loads(result.stdout)


def wait(binaries, link, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition(found := status_of(binaries, link)):
            return found
        time.sleep(0.5)
    return None


def limits(status):
    return status["told"]["ccl_mA"], status["told"]["dcl_mA"]


def wiring(binaries):
    """Found by detect, started by run, started again when it is killed, ended with it."""
    report = Report("detect and run")
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        address = f"unix:path={folder}/bus"
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": address}
        daemon = subprocess.Popen(["dbus-daemon", "--session", "--nofork", f"--address={address}"])
        while not pathlib.Path(f"{folder}/bus").exists():
            time.sleep(0.05)
        bluez = BlueZ(address)
        found = subprocess.run([binaries / "packbridge", "detect", "bluetooth", "--json"], capture_output=True, text=True, env=environment)
        report.equal("exit code of detect", found.returncode, 0)
        unit = json.loads(found.stdout or "{}")
        report.equal("what detect found", (unit.get("port"), unit.get("name")), (ADDRESS, "JK_B2A8S20P"))
        report.check("detect sends nothing to a unit", not bluez.commands and not bluez.attempts)
        link = f"{folder}/link"
        configuration = pathlib.Path(folder) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {unit.get("entry")}
            inverter: {{dialect: pylontech, port: "virtual:none"}}
            limits: {{charge: 30 A, discharge: 30 A}}
            files: {{state: none, link: {link}}}
            """
        )
        with open(f"{folder}/log", "w+") as log:
            bridge = subprocess.Popen([binaries / "packbridge", "run", "--config", configuration], stdout=log, stderr=log, env=environment)
            radio = lambda: children(bridge.pid).get("packbridge-ble")
            try:
                report.check("the pack is heard", wait_until(lambda: pathlib.Path(link).exists(), 10) and wait(
                    binaries, link, lambda s: (s["packs"][0]["age_ms"] or 99_999) < 3000, 40))
                victim = radio()
                report.check("the radio is a child of run", victim is not None)
                if victim:
                    os.kill(victim, signal.SIGKILL)
                    report.check("a killed radio comes back", wait_until(lambda: radio() not in (None, victim), 10))
                last = radio()
            finally:
                bridge.terminate()
                report.equal("exit code of run", bridge.wait(30), 0)
            report.check("no radio is left", wait_until(lambda: not pathlib.Path(f"/proc/{last}/comm").exists(), 5))
            if report.failed:
                log.seek(0)
                print(log.read())
        daemon.terminate()
        daemon.wait(10)
    return report


def setup(binaries):
    """The wizard offers the units in reach, reads one and leaves it; doctor asks it in the same way."""
    report = Report("the wizard")
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        address = f"unix:path={folder}/bus"
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address}
        daemon = subprocess.Popen(["dbus-daemon", "--session", "--nofork", f"--address={address}"])
        while not pathlib.Path(f"{folder}/bus").exists():
            time.sleep(0.05)
        bluez = BlueZ(address)
        folder = pathlib.Path(folder)

        def packbridge(*arguments):
            result = subprocess.run(
                [binaries / "packbridge", *arguments], capture_output=True, text=True, env=environment, timeout=120, stdin=subprocess.DEVNULL)
            return result.returncode, result.stdout, result.stderr

        def answered(name, bms):
            answers, file = folder / f"{name}-answers.yaml", folder / f"{name}.yaml"
            answers.write_text(f"""
                bms: {bms}
                battery: {{chemistry: default}}
                inverter: {{profile: growatt-spf5000es, port: "virtual:none"}}
                limits: {{charge: default, discharge: default, empty_cell: default}}
                charge: {{bulk: default, float: default}}
                files: {{state: {folder}}}
            """)
            return file, *packbridge("setup", "--answers", answers, "--output", file)

        for name, bms in (("searched", "{port: bluetooth, unit: default}"), ("named", f'{{port: "{ADDRESS}"}}')):
            file, code, out, error = answered(name, bms)
            report.equal(f"{name}: exit code", code, 0)
            text = file.read_text() if file.exists() else out + error
            report.check(f"{name}: the unit is written with its radio", "protocol: jk-ble" in text and f'port: "{ADDRESS}"' in text, text)
            # 0.9 × the 150 A that the unit's settings say.
            report.check(f"{name}: the unit's settings were read", "16 cells, 280 Ah" in text and "charge: 135 A" in text, text)
            report.check(f"{name}: the unit is left to whoever comes next", not bluez.device.connected)
            report.equal(f"{name}: the checker finds it good", packbridge("check", file)[0], 0)
        report.check("only reading commands were sent", {c[4] for c in bluez.commands} <= {0x96, 0x97}, bluez.commands)

        _, out, error = packbridge("doctor", "--json", folder / "named.yaml")
        checks = {(check["area"], check["name"]): check for check in json.loads(out or '{"checks": []}')["checks"]}
        report.equal("doctor hears the unit", checks.get(("BMS", "answers"), {}).get("verdict"), "ok")
        report.equal("doctor compares its settings", checks.get(("Settings", "charge"), {}).get("verdict"), "ok")
        bluez.refuses = True
        _, out, error = packbridge("doctor", "--json", folder / "named.yaml")
        answers = [check for check in json.loads(out or '{"checks": []}')["checks"] if check["name"] == "answers"]
        report.equal("a unit that refuses is a fault", [check["verdict"] for check in answers], ["fault"])
        file, code, _, error = answered("refused", f'{{port: "{ADDRESS}"}}')
        report.check("the wizard tells why it cannot be read", code == 1 and "connecting" in error and not file.exists(), error)
        bluez.refuses = False

        # A person: the radio, the unit, and Enter for the rest.
        master, slave = os.openpty()
        file = folder / "asked.yaml"
        person = subprocess.Popen(
            [binaries / "packbridge", "setup", "--port", "bluetooth", "--output", file], stdin=slave, stdout=slave,
            stderr=slave, env=environment)
        os.close(slave)
        shown = answer(person, master, ["", "", "", "", "growatt-spf5000es", "virtual:none"])
        report.equal("at a terminal: exit code", person.wait(10), 0)
        report.check("at a terminal: the unit is offered by its name", "JK_B2A8S20P, " + ADDRESS in shown, shown[-2000:])
        report.check("at a terminal: it is written", file.exists() and ADDRESS in file.read_text(), shown[-2000:])
        daemon.terminate()
        daemon.wait(10)
    return report


def answer(person, terminal, answers):
    """One answer for each prompt, then Enter until it ends. - Returns: what was shown."""
    shown, answered, end = "", 0, time.monotonic() + 120
    while person.poll() is None and time.monotonic() < end:
        if select.select([terminal], [], [], 0.3)[0]:
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
        elif len(shown) > answered and shown.endswith((": ", "? ")):
            os.write(terminal, ((answers.pop(0) if answers else "") + "\n").encode())
            answered = len(shown)
    if person.poll() is None and time.monotonic() >= end:
        person.kill()
    return shown


def course(binaries):
    report = Report("a unit over Bluetooth")
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        address = f"unix:path={folder}/bus"
        daemon = subprocess.Popen(["dbus-daemon", "--session", "--nofork", f"--address={address}"])
        while not pathlib.Path(f"{folder}/bus").exists():
            time.sleep(0.05)
        bluez = BlueZ(address)
        link = f"{folder}/link"
        configuration = pathlib.Path(folder) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-ble, port: "{ADDRESS}"}}
            inverter: {{dialect: pylontech, port: "virtual:none"}}
            limits: {{charge: 30 A, discharge: 30 A}}
            files: {{state: none, link: {link}}}
            """
        )
        control = subprocess.Popen([binaries / "packbridge", "control", "--config", configuration])
        while not pathlib.Path(link).exists():
            time.sleep(0.05)
        log = open(f"{folder}/log", "w+")
        radio = subprocess.Popen(
            [binaries / "packbridge-ble", "--device", ADDRESS.lower(), "--pack", "1", "--link", link], stdout=log, stderr=subprocess.STDOUT,
            env={"DBUS_SYSTEM_BUS_ADDRESS": address})
        try:
            risen = wait(binaries, link, lambda s: limits(s) == (30_000, 30_000), 60)
            report.check("the limits rise to what is configured", risen is not None, status_of(binaries, link)["told"])
            pack = status_of(binaries, link)["packs"][0]
            report.equal("current", pack["current_mA"], -12_500)
            report.equal("SoC", pack["soc_cpct"], 6300)
            report.equal("cells", len(pack["cells_mV"]), 16)
            report.check("the unit was searched for", bluez.searches >= 1)
            report.equal("the first command asks who it is", bluez.commands[0].hex(), "aa5590eb97000000000000000000000000000011")
            report.check("only reading commands were sent", {c[4] for c in bluez.commands} <= {0x96, 0x97}, bluez.commands)

            # Out of reach in the middle of the charge, at low current: the extended hold keeps more than nothing flowing.
            bluez.refuses = True
            dropped = time.monotonic()
            bluez.drop()
            time.sleep(40)
            held = status_of(binaries, link)
            report.check("after 40 s without the radio the limits are lower but not 0", all(0 < x <= 30_000 for x in limits(held)), held["told"])
            attempts = [t for t in bluez.attempts if t > dropped]
            gaps = [b - a for a, b in zip(attempts, attempts[1:])]
            report.check("it tries again with growing pauses", len(gaps) >= 2 and all(b > a for a, b in zip(gaps, gaps[1:])), gaps)
            bluez.refuses = False
            back = wait(binaries, link, lambda s: (s["packs"][0]["age_ms"] or 0) < 3000, 45)
            report.check("it is heard again when it is back", back is not None)

            # Connected, but dumb: the connection is given up and made anew.
            before = len(bluez.attempts)
            bluez.is_silent = True
            time.sleep(20)
            bluez.is_silent = False
            again = wait(binaries, link, lambda s: (s["packs"][0]["age_ms"] or 99_999) < 3000, 60)
            report.check("a connection that says nothing is made anew", again is not None and len(bluez.attempts) > before)
        finally:
            radio.terminate()
            report.equal("exit code of packbridge-ble", radio.wait(10), 0)
            control.terminate()
            report.equal("exit code of control", control.wait(10), 0)
            daemon.terminate()
            daemon.wait(10)
            if report.failed:
                log.seek(0)
                print(log.read())
    return report


def no_bus(binaries):
    report = Report("without a system bus")
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [binaries / "packbridge-ble", "--device", ADDRESS, "--pack", "1"], capture_output=True, text=True,
            env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/none"})
    report.equal("exit code", result.returncode, 1)
    report.check("the reason is told", "system bus" in result.stderr, result.stderr)
    for arguments in (["--device", "nonsense", "--pack", "1"], ["--device", ADDRESS, "--pack", "17"], ["--pack"], []):
        result = subprocess.run([binaries / "packbridge-ble", *arguments], capture_output=True)
        report.equal(f"exit code of {arguments}", result.returncode, 2)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    reports = [no_bus(binaries), wiring(binaries), setup(binaries), course(binaries)]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
