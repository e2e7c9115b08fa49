"""QEMU `-M virt` with the firmware in it, and what hangs on its wires: a JK unit on the serial card, an inverter on the CAN bus, a
person or a program at the console."""

import contextlib
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "peers"))

import cantools
from jk_bms import Pack, reply

# Instructions of 32 ns are those of a processor of 31.25 MHz, slower than the 40 MHz of the boards; `align` holds QEMU back so that
# its time is also that of the clock on the wall.
CLOCK = ["-icount", "shift=5,align=on"]


def build_fakecan(folder):
    library = pathlib.Path(folder) / "fakecan.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, ROOT / "Tests/firmware/fakecan.c", "-ldl"], check=True)
    return library


class Unit:
    """A JK unit on QEMU's serial card. `pack`, `silent` and `corrupt` may be changed at any time."""

    def __init__(self, path, pack):
        self.pack, self.silent, self.corrupt = pack, False, False
        self.requests = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            line, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        with contextlib.suppress(ConnectionError):  # QEMU ended
            self._answer(line)

    def _answer(self, line):
        received = b""
        while chunk := line.recv(1024):
            received += chunk
            while (at := received.find(b"NW")) >= 0 and len(received) >= at + 4:
                end = at + struct.unpack(">H", received[at + 2 : at + 4])[0] + 2
                if len(received) < end:
                    break
                request, received = received[at:end], received[end:]
                good = struct.unpack(">I", request[-4:])[0] == sum(request[:-4]) & 0xFFFF
                if not good or self.silent:
                    continue
                self.requests += 1
                # A unit never measures the same twice.
                self.pack.cells_mV[-1] = self.pack.cells_mV[-2] + self.requests % 2
                answer = bytearray(reply(self.pack))
                if self.corrupt:
                    answer[self.requests % (len(answer) - 8) + 4] ^= 0x40
                line.sendall(answer)


class Inverter:
    """The other end of the CAN bus: keeps every frame, decoded by cantools, and says that it is alive."""

    def __init__(self, path, clock, dialect="pylontech"):
        self.clock = clock
        self.database = cantools.database.load_file(ROOT / "dbc" / f"{dialect}.dbc")
        self.frames, self.latest, self.undecoded = [], {}, []
        self.alive = True
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            bus, _ = self._listener.accept()
            threading.Thread(target=self._listen, args=(bus,), daemon=True).start()

    def _listen(self, bus):
        said = 0.0
        while True:
            if self.alive and time.monotonic() - said >= 1:
                said = time.monotonic()
                self._send(bus, 0x305, bytes(8))
            if not select.select([bus], [], [], 0.1)[0]:
                continue
            record = bus.recv(64)
            if not record:
                return
            identifier, length = struct.unpack("<IB", record[:5])
            data = record[8 : 8 + length]
            try:
                signals = self.database.decode_message(identifier & 0x1FFFFFFF, data, decode_choices=False)
            except Exception as error:
                self.undecoded.append((hex(identifier), data.hex(), error))
                continue
            self.frames.append((self.clock(), identifier, data, signals))
            self.latest[identifier] = signals

    @staticmethod
    def _send(bus, identifier, data):
        bus.send(struct.pack("<IB3x8s", identifier, len(data), data.ljust(8, b"\0")))

    def of(self, identifier):
        return [(t, signals) for t, i, _, signals in list(self.frames) if i == identifier]

    def wait(self, identifier, condition, seconds):
        """The first signals of `identifier` from now on that fulfil the condition; None when time is over."""
        end, patience = self.clock() + seconds, time.monotonic() + 20 * seconds
        while self.clock() < end and time.monotonic() < patience:
            signals = self.latest.get(identifier)
            if signals and condition(signals):
                return signals
            time.sleep(0.02)
        return None


class Machine:
    """One QEMU. The console is a unix socket, or a pseudo-terminal for programs that want one (`console_path`)."""

    def __init__(self, image, fakecan, pack=None, dialect="pylontech", pty=False, flash=None, clock=CLOCK):
        self.folder = tempfile.TemporaryDirectory(prefix="packbridge-qemu-")
        base = pathlib.Path(self.folder.name)
        self.unit = Unit(str(base / "bms"), pack or Pack())
        self._told, self._told_at = 0.0, time.monotonic()
        self.inverter = Inverter(str(base / "can"), self.clock if not pty else time.monotonic, dialect)
        self.flash = flash or base / "flash"
        if not pathlib.Path(self.flash).exists():
            pathlib.Path(self.flash).write_bytes(b"\xff" * (32 << 20))
        self.console = bytearray()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(base / "console"))
        self._listener.listen(1)
        console = "pty,id=con" if pty else f"socket,id=con,path={base}/console"
        environment = dict(os.environ, LD_PRELOAD=str(fakecan), FAKECAN=str(base / "can"))
        self.log = open(base / "log", "w+")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            ["qemu-system-riscv32", "-M", "virt", "-m", "16M", "-display", "none", "-bios", "none",
             # Not -kernel: with a second flash bank QEMU looks for the kernel there.
             "-device", f"loader,file={image}", *clock,
             "-monitor", f"unix:{base}/monitor,server=on,wait=off", "-gdb", f"unix:{base}/gdb,server=on,wait=off",
             "-drive", f"if=pflash,unit=1,format=raw,file={self.flash}",
             "-chardev", console, "-serial", "chardev:con",
             "-chardev", f"socket,id=bms,path={base}/bms", "-device", "pci-serial,chardev=bms",
             "-object", "can-bus,id=vcan", "-object", "can-bus,id=unused", "-object", "can-host-socketcan,id=host,if=can0,canbus=vcan",
             "-device", "mioe3680_pci,canbus0=vcan,canbus1=unused"],
            env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self._console, self.has_console = None, not pty
        if pty:
            end = time.monotonic() + 10
            while not (found := re.search(r"/dev/pts/\d+", pathlib.Path(self.log.name).read_text())):
                assert time.monotonic() < end and self.process.poll() is None, pathlib.Path(self.log.name).read_text()
                time.sleep(0.02)
            self.console_path = found[0]
        else:
            self._listener.settimeout(10)
            self._console, _ = self._listener.accept()
            threading.Thread(target=self._read_console, daemon=True).start()

    def _read_console(self):
        while chunk := self._console.recv(4096):
            self.console += chunk
            at = self.console.rfind(b"PB\x01\x01", max(0, len(self.console) - 4096))
            if at >= 0 and len(self.console) >= at + 22:
                told = struct.unpack("<q", self.console[at + 14 : at + 22])[0] / 1000
                if told != self._told:
                    self._told, self._told_at = told, time.monotonic()

    def clock(self):
        """Seconds of the machine since its start, for limits of time: on a busy computer they are longer than ours. Known from the
        snapshots that it sends each second."""
        return self._told + min(1.0, time.monotonic() - self._told_at)

    def say(self, data):
        self._console.sendall(data)

    def monitor(self, command):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(f"{self.folder.name}/monitor")
            line.sendall(command.encode() + b"\n")
            line.settimeout(0.5)
            try:
                while line.recv(4096):
                    pass
            except TimeoutError:
                pass

    def status(self, seconds=60):
        """The page that the console shows for `?`."""
        mark = len(self.console)
        self.say(b"?\r")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = bytes(self.console[mark:]).decode("utf-8", "replace")
            if "PackBridge on" in text and "\n> " in text[text.index("PackBridge on"):]:
                return text[text.index("PackBridge on"):]
            time.sleep(0.05)
        return None

    def trap(self):
        """Lets the processor jump to where nothing is, through QEMU's port for a debugger."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(f"{self.folder.name}/gdb")
            line.settimeout(5)

            def ask(command):
                line.sendall(f"${command}#{sum(command.encode()) & 0xFF:02x}".encode())
                reply = b""
                while not re.search(rb"\$[^#]*#..", reply):
                    reply += line.recv(4096)
                line.sendall(b"+")
                return reply

            ask("?")  # stops it
            ask("qXfer:features:read:target.xml:0,ff")  # QEMU wants to be asked for the registers before it takes one
            ask("P20=44000000")  # the program counter is register 32
            ask("D")  # lets it go

    def replay(self):
        """Asks for all events that the firmware still knows."""
        body = struct.pack("<BBHII", 1, 18, 4, 1, 0)
        self.say(b"PB" + body + struct.pack("<I", zlib.crc32(body)))

    def events(self, start=0):
        """The events among what the console said: (kind, ms since the start, pack, a, b)."""
        data, found, at = bytes(self.console[start:]), [], 0
        while (at := data.find(b"PB\x01", at)) >= 0 and at + 14 <= len(data):
            kind, length = data[at + 3], struct.unpack("<H", data[at + 4 : at + 6])[0]
            end = at + 10 + length
            if length <= 2048 and end + 4 <= len(data) and zlib.crc32(data[at + 2 : end]) == struct.unpack("<I", data[end : end + 4])[0]:
                if kind == 6:
                    _, when, what, pack, a, b = struct.unpack("<IqBBii", data[at + 10 : end])
                    found.append((what, when, pack, a, b))
                at = end + 4
            else:
                at += 1
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        self.log.seek(0)
        return self.log.read()
