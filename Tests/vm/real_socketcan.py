#!/usr/bin/env python3
"""The release binary on real SocketCAN: vcan, and the kernel's own slcan driver with its error states.

    scripts/run-in-vm .build-venv/bin/python Tests/vm/real_socketcan.py .build-release/release

Needs root and interfaces that may be changed, so it runs in a throw-away Linux. python-can and candump (can-utils) listen; a
JK-BMS written in Python answers. The last line counts the checks: `N passed, N failed`.
"""

import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "peers"))

import can  # noqa: E402
import cantools  # noqa: E402
from jk_bms import JKBMS, Pack  # noqa: E402

N_SLCAN = 17
PYLONTECH = {0x351, 0x355, 0x356, 0x359, 0x35C, 0x35E}

passed = failed = 0


def check(what, condition, detail=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}", flush=True)


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def until(condition, seconds):
    """True as soon as the condition holds; the time it took is `until.took`."""
    began = time.monotonic()
    while not (good := condition()) and time.monotonic() < began + seconds:
        time.sleep(0.01)
    until.took = time.monotonic() - began
    return good


class Bridge:
    """A running `packbridge control` with a BMS that answers, on one CAN interface."""

    def __init__(self, binaries, interface):
        self.folder = tempfile.TemporaryDirectory(prefix="packbridge-vm-")
        self.bms = JKBMS(Pack(cells_mV=[3310 + 2 * (i % 5) for i in range(16)], current_mA=-12_500))
        configuration = pathlib.Path(self.folder.name) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-4e57, port: {self.bms.path}}}
            inverter: {{dialect: pylontech, port: "socketcan:{interface}"}}
            limits: {{charge: 120 A, discharge: 130 A}}
            files: {{state: {self.folder.name}/state, link: {self.folder.name}/link}}
            """
        )
        self.configuration = configuration
        self.process = subprocess.Popen([binaries / "packbridge", "control", "--config", configuration])

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)


class Listener:
    """What is on an interface: python-can, decoded by cantools."""

    database = cantools.database.load_file(ROOT / "dbc" / "pylontech.dbc")

    def __init__(self, interface):
        self.bus = can.Bus(interface="socketcan", channel=interface)
        self.frames = []  # (time, message)
        self.over = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while not self.over:
            try:
                message = self.bus.recv(0.2)
            except can.CanError:  # the link is down; the socket works again when it is up
                time.sleep(0.05)
                continue
            if message and not message.is_error_frame:
                self.frames.append((time.monotonic(), message))

    def close(self):
        self.over = True
        time.sleep(0.3)
        self.bus.shutdown()

    def ids(self, after=0.0):
        return {m.arbitration_id for t, m in list(self.frames) if t > after}

    def hears_set(self, seconds):
        began = time.monotonic()
        return until(lambda: PYLONTECH <= self.ids(began), seconds)


class Adapter:
    """A serial CAN adapter below the kernel's slcan driver, which makes it the interface `can0`."""

    def __init__(self):
        self.heard = b""
        self.reading = True
        self.over = False
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        fcntl.ioctl(self.slave, termios.TIOCSETD, struct.pack("i", N_SLCAN))
        # The adapter must read while the link goes up: the driver waits until its commands are gone.
        ip("link set can0 txqueuelen 10 type can bitrate 500000")
        ip("link set can0 up")

    def _serve(self):
        while not self.over:
            try:
                if self.reading:
                    self.heard += os.read(self.master, 4096)
            except BlockingIOError:
                pass
            except OSError:
                return
            time.sleep(0.002)

    def say(self, line):
        os.write(self.master, line)

    def hears(self, text, seconds):
        return until(lambda: text in self.heard, seconds)

    def unplug(self):
        self.over = True
        self.thread.join()
        os.close(self.slave)
        os.close(self.master)


def virtual_bus(binaries):
    """Frames, link down, unplug and bus-off on vcan0."""
    listener = Listener("vcan0")
    candump = subprocess.Popen(["candump", "-L", "vcan0"], stdout=subprocess.PIPE, text=True)
    monitor = subprocess.Popen(
        [binaries / "packbridge", "monitor", "socketcan:vcan0", "--json"], stdout=subprocess.PIPE, text=True)
    bridge = Bridge(binaries, "vcan0")
    check("the first complete set", listener.hears_set(10), listener.ids())
    began = time.monotonic()
    time.sleep(6)
    times = [t for t, m in listener.frames if t > began and m.arbitration_id == 0x351]
    gaps = [b - a for a, b in zip(times, times[1:])]
    check("0x351 never more than 1.5 s apart", gaps and max(gaps) <= 1.5, gaps)
    check("0x305 is never sent", 0x305 not in listener.ids())
    candump.terminate()
    dumped = {line.split()[2].split("#")[0] for line in candump.communicate()[0].splitlines()}
    check("candump sees the same identifiers", dumped == {f"{i:03X}" for i in listener.ids()}, dumped)
    state = [m for _, m in listener.frames if m.arbitration_id == 0x355][-1]
    decoded = Listener.database.decode_message(0x355, state.data, decode_choices=False)
    check("cantools reads the state of charge of the BMS", decoded["SOC"] == 63, decoded)
    monitor.terminate()
    watched = [json.loads(line) for line in monitor.communicate()[0].splitlines()]
    check("packbridge monitor ends with 0", monitor.returncode == 0, monitor.returncode)
    check("packbridge monitor sees the same identifiers", {f["id"] for f in watched} == {f"0x{i:03X}" for i in listener.ids()},
          watched[:3])
    check("packbridge monitor decodes what cantools decodes",
          [f["signals"]["SOC"] for f in watched if f["id"] == "0x355"][-1:] == [decoded["SOC"]], watched[-3:])

    ip("link set vcan0 down")
    time.sleep(2)
    check("the bridge lives on while the link is down", bridge.is_alive())
    ip("link set vcan0 up")
    check("a set within 3 s after the link is up", listener.hears_set(3), f"took {until.took:.1f} s")

    ip("link del dev vcan0")
    listener.close()
    time.sleep(2)
    check("the bridge lives on without its interface", bridge.is_alive())
    ip("link add dev vcan0 type vcan")
    ip("link set vcan0 up")
    listener = Listener("vcan0")
    check("a set within 3 s after the interface is back", listener.hears_set(3), f"took {until.took:.1f} s")

    driver = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    driver.bind(("vcan0",))
    driver.send(struct.pack("=IB3x8s", 0x20000040, 8, bytes(8)))  # the error frame "bus-off"
    check("a bus-off error frame makes the bridge restart the link: a set within 3 s", listener.hears_set(3))
    requests = bridge.bms.requests
    time.sleep(2)
    check("the BMS is polled all the time", bridge.bms.requests > requests)
    check("it ends cleanly", bridge.stop() == 0)
    listener.close()


class Repeated:
    """A frame that is sent again and again, until `stop`. (The guest has no broadcast manager.)"""

    def __init__(self, bus, identifier, data, seconds):
        self._over = threading.Event()
        message = can.Message(arbitration_id=identifier, is_extended_id=False, data=data)

        def send():
            while not self._over.wait(seconds):
                bus.send(message)

        self._thread = threading.Thread(target=send, daemon=True)
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join()


def doctor(binaries, bridge):
    """{(area, name): verdict} of what the doctor finds while the bridge runs."""
    said = subprocess.run([binaries / "packbridge", "doctor", "--json", bridge.configuration], capture_output=True, text=True)
    return {(found["area"], found["name"]): found["verdict"] for found in json.loads(said.stdout)["checks"]}


def doctor_beside_control(binaries):
    """The kernel lets two listen: the doctor hears the bus that the bridge sends on, and tells two batteries from one."""
    listener = Listener("vcan0")
    bridge = Bridge(binaries, "vcan0")
    check("the bridge sends", listener.hears_set(10), listener.ids())
    began = time.monotonic()
    with can.Bus(interface="socketcan", channel="vcan0") as bus:
        heartbeat = Repeated(bus, 0x305, bytes(8), 1)
        time.sleep(3)
        found = doctor(binaries, bridge)
        for name in ("opens", "heartbeat", "language", "other battery", "bus state"):
            check(f"doctor: {name} is good", found.get(("Inverter", name)) == "ok", found)
        check("doctor: the control process is asked", found.get(("Control process", "running")) == "ok", found)
        times = [t for t, m in listener.frames if t > began and m.arbitration_id == 0x351]
        gaps = [b - a for a, b in zip(times, times[1:])]
        check("the doctor does not disturb the bridge", gaps and max(gaps) <= 1.5, gaps)
        check("the doctor sends nothing", listener.ids() <= PYLONTECH | {0x305}, listener.ids())
        other = Repeated(bus, 0x351, bytes.fromhex("2002e803e803e001"), 0.6)
        check("doctor: another battery is a fault", doctor(binaries, bridge).get(("Inverter", "other battery")) == "fault")
        other.stop()
        heartbeat.stop()
    check("it ends cleanly", bridge.stop() == 0)
    listener.close()


def real_error_states(binaries):
    """Bus-off, a full queue and an unplugged adapter with the kernel's slcan driver."""
    adapter = Adapter()
    bridge = Bridge(binaries, "can0")
    check("frames reach the adapter", adapter.hears(b"t351", 10))

    adapter.heard = b""
    adapter.say(b"sb256256\r")
    check("bus-off: the channel is closed and opened again", adapter.hears(b"C\rS6\rO\r", 3), adapter.heard)
    reopened = adapter.heard.rfind(b"O\r")
    back = until(lambda: all(b"t%03X" % i in adapter.heard[reopened:] for i in PYLONTECH), 3)
    check("bus-off: a complete set within 3 s", back, adapter.heard[reopened:])

    adapter.reading = False
    requests = bridge.bms.requests
    time.sleep(6)
    check("a full queue (ENOBUFS) does not stop the bridge", bridge.is_alive() and bridge.bms.requests >= requests + 4)
    adapter.reading = True
    time.sleep(1)
    adapter.heard = b""
    check("when the queue moves again, so do the limits", adapter.hears(b"t351", 3))

    adapter.unplug()
    time.sleep(2)
    check("the bridge lives on without its adapter", bridge.is_alive())
    adapter = Adapter()
    check("an adapter that is plugged in again gets a set within 3 s",
          until(lambda: all(b"t%03X" % i in adapter.heard for i in PYLONTECH), 3), adapter.heard)
    check("it ends cleanly", bridge.stop() == 0)
    adapter.unplug()


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    virtual_bus(binaries)
    doctor_beside_control(binaries)
    real_error_states(binaries)
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
