#!/usr/bin/env python3
"""`packbridge setup` as a person at a terminal and as a script use it, and `packbridge doctor` on things that are wrong: the BMS, the CAN
adapter and whoever else is on the bus are written in Python. What is sent to them is recorded: reads to the BMS, no frame on CAN.

    setup_doctor.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import contextlib
import fcntl
import gzip
import io
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
import threading
import time
import tty

from detect import Tap, harmless
from jk_bms import JKBMS, Pack
from judging import Report, conclude, wait_until


class Adapter:
    """An SLCAN adapter on whose bus `frames` go by, each once in 0.3 s. Keeps what it was asked to send."""

    def __init__(self, *frames):
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._slave, self.path, self.frames, self.sent, self.isOpen = slave, os.ttyname(slave), list(frames), [], False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        line, due = b"", time.monotonic()
        while True:
            if select.select([self._master], [], [], 0.05)[0]:
                for byte in os.read(self._master, 4096):
                    if byte != 0x0D:
                        line += bytes([byte])
                        continue
                    if line[:1] in b"tT" and line:
                        self.sent.append(line.decode())
                    self.isOpen = line[:1] == b"O" or self.isOpen and line[:1] != b"C"
                    os.write(self._master, b"F00\r" if line == b"F" else b"\r")
                    line = b""
            if self.isOpen and time.monotonic() >= due:
                due = time.monotonic() + 0.3
                for frame in self.frames:
                    os.write(self._master, frame.encode() + b"\r")


HEARTBEAT = "t30580000000000000000"
GROWATT_HEARTBEAT = "t30188877665544332211"
OTHER_BATTERY = "t35182002e803e803e001"


class Terminal:
    """A person at a terminal of 80 columns who answers one prompt after the other."""

    def __init__(self, *command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(str(command[0]), [str(part) for part in command])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.shown, self.code = "", None

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return True

    def answer(self, *answers):
        """Each when a prompt stands there that has not been answered yet."""
        for answer in answers:
            seen, end = len(self.shown), time.monotonic() + 40
            while self.code is None and time.monotonic() < end:
                if not self._read(0.15) and len(self.shown) > seen and self.shown.endswith((": ", "? ")):
                    break
            if self.code is not None:
                return
            os.write(self.fd, answer if isinstance(answer, bytes) else (answer + "\n").encode())
            self.shown += "\u241f"  # so that an unanswered prompt is told from an answered one

    def end(self):
        end = time.monotonic() + 40
        while self.code is None and time.monotonic() < end:
            self._read(0.2)
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


def packbridge(binaries, *arguments):
    result = subprocess.run([binaries / "packbridge", *map(str, arguments)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


def doctor(binaries, *arguments):
    code, out, error = packbridge(binaries, "doctor", "--json", *arguments)
    try:
        checks = json.loads(out)["checks"]
    except (ValueError, KeyError):
        raise AssertionError(f"doctor said: {out}{error}")
    return code, {(check["area"], check["name"]): check for check in checks}


def verdict(checks, area, name):
    return checks.get((area, name), {}).get("verdict")


def wizard(binaries, folder):
    report = Report("the wizard at a terminal")
    bms = Tap(JKBMS(Pack(charge_ocp_A=120, discharge_ocp_A=100, capacity_Ah=200)).path)
    adapter, file = Adapter(GROWATT_HEARTBEAT), folder / "wizard.yaml"
    person = Terminal(binaries / "packbridge", "setup", "--port", bms.path, "--port", f"slcan:{adapter.path}", "--output", file)
    # Port, another BMS, chemistry, inverter, model, port, another inverter, five limits, where the record goes or whether to write.
    person.answer("?", "1", "", "nonsense", "lfp", "growatt", "?", "2", "", "back", "", "no", "500 A", "90", "", "3.7", "", "", "")
    while person.code is None and "Write this to" not in person.shown:
        person.answer("")
    person.answer("") if person.code is None else None
    report.equal("exit code", person.end(), 0)
    for words in (
        "GPS", "jk-4e57", "3.650 V", "Choose one of: lfp, nmc, lto", "05 = Li, 36 = L52", "0x301", "500 A is more than this battery may get",
        "0.9 × the 120 A", "too close", "is written and good",
    ):
        report.check(f"'{words}' is shown", words in " ".join(person.shown.split()), person.shown[-600:] if person.code else "")
    wide = [line for line in person.shown.replace("\u241f", "").split("\n") if len(line) > 80 and "/" not in line]
    report.equal("lines wider than the terminal", wide, [])
    text = file.read_text() if file.exists() else ""
    report.check("the file holds the answers", "charge: 90 A" in text and "discharge: 90 A" in text and "bulk: 3.45 V" in text, text)
    report.equal("the checker finds it good", packbridge(binaries, "check", file)[0], 0)
    requests = harmless(bms.sent)
    report.check("only reads went to the BMS", requests, bms.sent[-60:].hex())
    report.equal("frames on the CAN bus", adapter.sent, [])
    return report


def interrupted(binaries, folder):
    report = Report("a wizard that is not finished")
    for name, last in (("Ctrl-C", b"\x03"), ("the end of the input", b"\x04")):
        bms, file = JKBMS(Pack()), folder / f"interrupted-{name[0]}.yaml"
        person = Terminal(binaries / "packbridge", "setup", "--port", bms.path, "--output", file)
        person.answer("", "", "lfp", last)
        report.check(f"{name} is a failure", person.end() != 0, person.code)
        report.check(f"{name} leaves nothing behind", not list(folder.glob(file.name + "*")))
    return report


def answers(binaries, folder):
    report = Report("the wizard with answers from a file")
    bms, adapter, file = JKBMS(Pack()), Adapter(HEARTBEAT), folder / "answered.yaml"
    good = f"""
        bms: {{port: {bms.path}}}
        battery: {{chemistry: default}}
        inverter: {{profile: growatt-spf5000es, port: "slcan:{adapter.path}"}}
        limits: {{charge: 80 A, discharge: default, empty_cell: default}}
        charge: {{bulk: 3.44 V, float: default}}
    """

    def setup(text, *more):
        path = folder / "answers.yaml"
        path.write_text(text)
        return packbridge(binaries, "setup", "--answers", path, "--port", bms.path, "--output", file, *more)

    for name, text, words in (
        ("a missing answer", good.replace("chemistry: default", ""), "battery.chemistry is missing"),
        ("an unknown answer", good + "\n        colour: red\n", "colour was not asked for"),
        ("a limit above the BMS's own", good.replace("80 A", "300 A"), "limits.charge"),
        ("a wrong chemistry", good.replace("chemistry: default", "chemistry: lto"), "battery.chemistry"),
    ):
        code, _, error = setup(text)
        report.check(f"{name} is refused by its name", code == 1 and words in error, f"{code} {error}")
        report.check(f"{name} writes nothing", not file.exists())
    code, out, error = setup(good)
    report.equal("good answers: exit code", code, 0)
    report.check("the file is there", file.exists() and "charge: 80 A" in file.read_text(), error)
    old = file.read_text() if file.exists() else ""
    code, _, error = setup(good.replace("80 A", "70 A"))
    report.check("an existing file is not replaced in silence", code == 1 and "overwrite is missing" in error and file.read_text() == old, error)
    code, _, error = setup(good.replace("80 A", "70 A"), "--force")
    report.check("--force replaces it", code == 0 and "charge: 70 A" in file.read_text(), error)
    backup = pathlib.Path(f"{file}.1")
    report.check("and keeps the old one", backup.exists() and backup.read_text() == old)
    return report


def several(binaries, folder):
    """Units that share a line; those on CAN tell no settings, so their currents are asked for."""
    report = Report("the wizard with several units on one line")
    lines = {"jk-55aaeb90": [2, 13], "jk-can": [0, 5]}
    units = [subprocess.Popen(
        [binaries / "packbridge", "simulate", "bms", "--pty", folder / protocol, "--protocol", protocol, "--seconds", "90"]
        + [x for a in addresses for x in ("--address", str(a))], stdout=subprocess.DEVNULL) for protocol, addresses in lines.items()]
    try:
        for protocol, addresses in lines.items():
            wait_until((folder / protocol).exists, 20)
            port = f"slcan:{folder}/{protocol}@250000" if protocol == "jk-can" else f"{folder}/{protocol}"
            currents = ", pack: [{charge_over_current: 100, discharge_over_current: 110}, {charge_over_current: 100, discharge_over_current: 90}]"
            path, file = folder / f"{protocol}-answers.yaml", folder / f"{protocol}-found.yaml"
            path.write_text(f"""
                bms: {{port: "{port}", protocol: {protocol}, address: default{currents if protocol == "jk-can" else ""}}}
                battery: {{chemistry: lfp}}
                inverter: {{profile: growatt-spf5000es, port: "virtual:none"}}
                limits: {{charge: default, discharge: default, empty_cell: default}}
                charge: {{bulk: default, float: default}}
            """)
            code, out, error = packbridge(binaries, "setup", "--answers", path, "--output", file)
            report.check(f"{protocol}: it ends well", code == 0, out[-300:] + error)
            text = file.read_text() if file.exists() else ""
            # 2 × 0.9 × 150 A; on CAN charge 2 × 0.9 × 100 A, and the weaker pack decides about the discharge: 2 × 0.9 × 90 A.
            charge, discharge = (180, 162) if protocol == "jk-can" else (270, 270)
            report.check(f"{protocol}: the limits of both units", f"charge: {charge} A" in text and f"discharge: {discharge} A" in text, text)
            _, checks = doctor(binaries, file)
            bad = [check for (area, _), check in checks.items() if check["verdict"] == "fault"]
            report.equal(f"{protocol}: doctor's faults", bad, [])
    finally:
        for unit in units:
            unit.terminate()
    return report


def service(binaries, folder):
    """A root in which the unit is installed, and a systemctl that writes down what it is told."""
    report = Report("the wizard where the service is installed")
    bms, root = JKBMS(Pack()), folder / "root"
    for path in ("run/systemd/system", "etc/systemd/system", "bin"):
        (root / path).mkdir(parents=True)
    configuration = root / "etc/packbridge.yaml"
    (root / "etc/systemd/system/packbridge-control.service").write_text(
        f"[Service]\nExecStart=/usr/bin/packbridge control --config {configuration}\n")
    fake = root / "bin/systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {root}/told\necho active\n')
    fake.chmod(0o755)
    file = folder / "service-answers.yaml"
    file.write_text(f"""
        bms: {{port: {bms.path}}}
        battery: {{chemistry: lfp}}
        inverter: {{profile: pylontech, model: pylontech, port: "virtual:none"}}
        limits: {{charge: default, discharge: default, empty_cell: default}}
        charge: {{bulk: default, float: default}}
        start_service: yes
    """)
    environment = os.environ | {"PATH": f"{root}/bin:{os.environ['PATH']}"}
    result = subprocess.run(
        [binaries / "packbridge", "setup", "--answers", file, "--root", root], capture_output=True, text=True, env=environment, timeout=60)
    report.check("it ends well", result.returncode == 0, result.stdout + result.stderr)
    report.check("the unit's own file is written", configuration.exists())
    told = (root / "told").read_text() if (root / "told").exists() else ""
    units = "packbridge-control.service packbridge-serve.service"
    report.equal("systemctl is told", told, f"enable {units}\nrestart {units}\n")
    return report


def written(folder, name, bms, can, protocol="jk-4e57", extra="limits: {charge: 100 A, discharge: 100 A}"):
    file = folder / f"{name}.yaml"
    file.write_text(f"""
battery: {{chemistry: lfp, cells: 16}}
bms: {{protocol: {protocol}, port: {bms}}}
inverter: {{dialect: pylontech, port: "{can}"}}
files: {{state: {folder}, link: {folder}/{name}.link}}
web: {{port: 0}}
{extra}
""")
    file.chmod(0o640)
    return file


def healthy(binaries, folder):
    report = Report("doctor, everything good")
    bms, adapter = Tap(JKBMS(Pack()).path), Adapter(HEARTBEAT)
    code, checks = doctor(binaries, written(folder, "healthy", bms.path, f"slcan:{adapter.path}"))
    bad = [check for (area, _), check in checks.items() if check["verdict"] in ("warning", "fault") and area != "This computer"]
    report.equal("complaints", bad, [])
    for area, name in (
        ("Configuration", "file"), ("BMS", "answers"), ("BMS", "checksums"), ("Settings", "charge"), ("Inverter", "heartbeat"),
        ("Inverter", "language"), ("Inverter", "other battery"),
    ):
        report.equal(f"{area}, {name}", verdict(checks, area, name), "ok")
    report.check("exit code", code == (1 if verdict(checks, "This computer", "clock") == "warning" else 0), code)
    report.check("only reads went to the BMS", harmless(bms.sent), bms.sent[-60:].hex())
    report.equal("frames on the CAN bus", adapter.sent, [])
    return report


def wrong(binaries, folder):
    report = Report("doctor, what is wrong")
    bms, adapter = Tap(JKBMS(Pack()).path), Adapter(GROWATT_HEARTBEAT, OTHER_BATTERY)
    file = written(folder, "wrong", bms.path, f"slcan:{adapter.path}", "jk-modbus", "web: {password_hash: 'oops'}\n")
    code, checks = doctor(binaries, file)
    report.check("a refused file is a fault", code == 2 and verdict(checks, "Configuration", "file") == "fault", checks.get(("Configuration", "file")))
    file = written(folder, "wrong", bms.path, f"slcan:{adapter.path}", "jk-modbus", "limits: {charge: 200 A}")
    file.chmod(0o666)
    code, checks = doctor(binaries, file)
    report.equal("exit code", code, 2)
    for area, name in (
        ("Configuration", "permissions"), ("BMS", "answers"), ("BMS", "protocol"), ("Inverter", "language"), ("Inverter", "other battery"),
    ):
        report.equal(f"{area}, {name}", verdict(checks, area, name), "fault")
    report.check("what answers is named", "jk-4e57" in checks[("BMS", "protocol")]["evidence"])
    report.check("L51 and L52 are named", all(w in str(checks[("Inverter", "language")]) for w in ("0x301", "L51", "L52")))
    report.check("only reads and triggers went to the BMS", harmless(bms.sent), bms.sent[-60:].hex())
    report.equal("frames on the CAN bus", adapter.sent, [])
    return report


def disturbed(binaries, folder):
    report = Report("doctor, a disturbed line and one that is taken")
    path = folder / "corrupt"
    bms = subprocess.Popen(
        [binaries / "packbridge", "simulate", "bms", "--pty", path, "--fault", "corrupt", "--seconds", "60"], stdout=subprocess.DEVNULL)
    taken = JKBMS(Pack())
    reader = subprocess.Popen(["sleep", "60"], stdin=os.open(taken.path, os.O_RDWR | os.O_NOCTTY))
    try:
        wait_until(path.exists, 20)
        _, checks = doctor(binaries, written(folder, "corrupt-line", path, "virtual:none"))
        report.check("damage is seen", verdict(checks, "BMS", "checksums") in ("warning", "fault"), checks)
        code, checks = doctor(binaries, written(folder, "taken", taken.path, "virtual:none"))
        report.check("whoever has the port is named", "sleep" in checks.get(("BMS", "free"), {}).get("evidence", ""), checks)
        report.equal("and it is a fault", (code, verdict(checks, "BMS", "free")), (2, "fault"))
        _, checks = doctor(binaries, written(folder, "missing", "/dev/ttyUSB-none", "virtual:none"))
        report.equal("a missing device", verdict(checks, "BMS", "device"), "fault")
    finally:
        bms.terminate()
        reader.terminate()
    return report


def beside_control(binaries, folder):
    report = Report("doctor beside the control process, and its archive")
    unit, adapter = JKBMS(Pack()), Adapter(HEARTBEAT)
    # As udev names it, with a serial number in it.
    link = folder / "usb-FTDI_FT232R_USB_UART_S3R1AL99-if00-port0"
    link.symlink_to(unit.path)
    secrets = {name: folder / name for name in ("mqtt-password", "hook-token")}
    secrets["mqtt-password"].write_text("pa55-of-the-broker\n")
    secrets["hook-token"].write_text("t0ken-of-the-hook\n")
    for path in secrets.values():
        path.chmod(0o600)
    digest = "$y$j9T$abcdefghijkl$" + "h4sh" * 10 + "xyz"
    file = written(folder, "running", link, f"slcan:{adapter.path}", extra=f"""
limits: {{charge: 100 A, discharge: 100 A}}   # my passcode is c0mment-passcode
site: {{name: House of Somebody, packs: [Under the stairs]}}
mqtt: {{host: secret-broker.example, user: s3cret-user, password_file: {secrets['mqtt-password']}}}
notifications: {{url: "https://hooks.example/p4th-token", token_file: {secrets['hook-token']}}}
""").rename(folder / "running-with-secrets.yaml")
    text = file.read_text().replace("web: {port: 0}", f"web: {{port: 0, password_hash: {digest}, tokens: [{{name: my-program, hash: {digest}, role: reader}}]}}")
    file.write_text(text)
    control = subprocess.Popen([binaries / "packbridge", "control", "--config", file])
    try:
        # Cells that never move would count as stuck, and joining takes its time.
        def transmitting():
            unit.pack.cells_mV[0] = 3300 + int(time.time()) % 3
            code, out, _ = packbridge(binaries, "status", "--json", "--link", folder / "running.link")
            return code == 0 and json.loads(out)["told"]["ccl_mA"] > 0
        report.check("the control process works", wait_until(transmitting, 60, 1))
        archive = folder / "bundle.tar.gz"
        code, checks = doctor(binaries, file, "--bundle", archive)
        for area, name in (("Control process", "running"), ("BMS", "answers"), ("BMS", "pack 1"), ("Inverter", "heartbeat"), ("Inverter", "sent")):
            report.equal(f"{area}, {name}", verdict(checks, area, name), "ok")
        faults = [check for (area, _), check in checks.items() if check["verdict"] == "fault" and area in ("BMS", "Inverter")]
        report.equal("faults of lines that the control process holds", faults, [])
        report.check("its ports were not opened", ("BMS", "opens") not in checks and ("Inverter", "opens") not in checks, list(checks))
        _, out, _ = packbridge(binaries, "status", "--json", "--link", folder / "running.link")
        state = json.loads(out)
        report.equal("the bridge did not notice", (state["bms_ports"][0]["reopened"], state["inverter_ports"][0]["bus_offs"]), (0, 0))
        _, plain, _ = packbridge(binaries, "doctor", file)
        for words in ("pa55-of-the-broker", "t0ken-of-the-hook"):
            report.check("the findings themselves hold no secret", words not in plain)
    finally:
        control.terminate()
        report.check("control ends cleanly", control.wait(20) == 0)
    raw = gzip.decompress(archive.read_bytes()) if archive.exists() else b""
    with contextlib.suppress(tarfile.TarError):
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            names = {name.removeprefix("packbridge/") for name in tar.getnames()}
            report.equal("what is in the archive", names, {
                "doctor.txt", "doctor.json", "configuration.yaml", "snapshot.json", "status.txt", "events.txt", "versions.txt"})
            kept = tar.extractfile("packbridge/configuration.yaml").read().decode()
            report.check("what helps is kept", "jk-4e57" in kept and "100 A" in kept and "usb-FTDI_FT232R_USB_UART_" in kept, kept)
            events = tar.extractfile("packbridge/events.txt").read().decode()
            report.check("events are there", "sending to the inverter" in events, events)
    for secret in (
        "S3R1AL99", "pa55-of-the-broker", "t0ken-of-the-hook", "c0mment-passcode", "h4sh", "secret-broker", "s3cret-user", "p4th-token",
        "House of Somebody", "Under the stairs", "my-program",
    ):
        report.check(f"'{secret}' is not in the archive", raw and secret.encode() not in raw)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    scenarios = (wizard, interrupted, answers, several, service, healthy, wrong, disturbed, beside_control)
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        return conclude([scenario.result() for scenario in [pool.submit(one, binaries, pathlib.Path(folder)) for one in scenarios]])


if __name__ == "__main__":
    sys.exit(main())
