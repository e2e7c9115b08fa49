"""A CAN bus between two SLCAN adapters on pseudo-terminals: one for PackBridge, one for python-can."""

import os
import select
import threading
import time
import tty


class Adapter:
    """The serial side of one adapter: obeys the commands of the Lawicel protocol and passes frames on."""

    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self.other = None
        self.is_open = False
        self.bitrate = None
        self._is_plugged = True
        self.heard = None  # is told the moment and the identifier of every frame that this adapter is given to send
        threading.Thread(target=self._serve, daemon=True).start()

    def unplug(self):
        """The device file is gone for whoever has it open, within 0.1 s."""
        self._is_plugged = False

    def _serve(self):
        line = b""
        while self._is_plugged:
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.master, 4096)
            except OSError:
                return
            for byte in data:
                if byte == 0x0D:
                    self._obey(line)
                    line = b""
                else:
                    line += bytes([byte])
        self.is_open = False
        os.close(self._slave)
        os.close(self.master)

    def _obey(self, line):
        command = line[:1]
        if command in (b"t", b"T"):
            if self.heard:
                self.heard(time.monotonic(), int(line[1 : 4 if command == b"t" else 9], 16))
            if self.is_open and self.other.is_open:
                os.write(self.other.master, line + b"\r")
            self._answer(b"z\r" if command == b"t" else b"Z\r") if self.is_open else self._answer(b"\a")
        elif command == b"O":
            self.is_open = True
            self._answer(b"\r")
        elif command == b"C":
            self.is_open = False
            self._answer(b"\r")
        elif command == b"S":
            self.bitrate = line[1:2]
            self._answer(b"\r")
        elif command == b"F":
            self._answer(b"F00\r")
        elif command == b"V":
            self._answer(b"V1013\r")
        elif command == b"N":
            self._answer(b"N0001\r")
        elif line:
            self._answer(b"\a")

    def _answer(self, text):
        os.write(self.master, text)


def wire():
    """Two adapters on one bus."""
    a, b = Adapter(), Adapter()
    a.other, b.other = b, a
    return a, b
