"""A JK-BMS on a pseudo-terminal, speaking 4E 57. Written from the protocol's specification, independently of PackBridge."""

import os
import struct
import threading
import time
import tty
from dataclasses import dataclass, field


@dataclass
class Pack:
    """What the BMS measures and is set to. Everything in the unit that the name says."""

    cells_mV: list = field(default_factory=lambda: [3300] * 16)
    current_mA: int = 0
    mosfet_C: int = 25
    box_C: int = 24
    battery_C: int = 22
    soc_pct: int = 63
    cycles: int = 12
    capacity_Ah: int = 280
    cell_ovp_mV: int = 3650
    cell_uvp_mV: int = 2700
    charge_ocp_A: int = 150
    discharge_ocp_A: int = 150
    warnings: int = 0
    charge_on: bool = True
    discharge_on: bool = True
    balancing: bool = False

    @property
    def voltage_mV(self):
        return sum(self.cells_mV)


def temperature(celsius):
    return celsius if celsius >= 0 else 100 - celsius


def reply(pack):
    """The answer to "read everything" of firmware 11: every identifier in the order of the real ones."""
    n = len(pack.cells_mV)
    cells = b"".join(struct.pack(">BH", i + 1, mv) for i, mv in enumerate(pack.cells_mV))
    body = struct.pack(">BB", 0x79, 3 * n) + cells

    def add(identifier, layout, value):
        nonlocal body
        body += bytes([identifier]) + struct.pack(">" + layout, value)

    add(0x80, "H", temperature(pack.mosfet_C))
    add(0x81, "H", temperature(pack.box_C))
    add(0x82, "H", temperature(pack.battery_C))
    add(0x83, "H", pack.voltage_mV // 10)
    add(0x84, "H", abs(pack.current_mA) // 10 | (0x8000 if pack.current_mA > 0 else 0))
    add(0x85, "B", pack.soc_pct)
    add(0x86, "B", 2)
    add(0x87, "H", pack.cycles)
    add(0x89, "I", pack.cycles * pack.capacity_Ah)
    add(0x8A, "H", n)
    add(0x8B, "H", pack.warnings)
    add(0x8C, "H", pack.charge_on | pack.discharge_on << 1 | pack.balancing << 2)
    for identifier, value in [
        (0x8E, n * pack.cell_ovp_mV // 10), (0x8F, n * pack.cell_uvp_mV // 10),
        (0x90, pack.cell_ovp_mV), (0x91, pack.cell_ovp_mV - 50), (0x92, 5),
        (0x93, pack.cell_uvp_mV), (0x94, pack.cell_uvp_mV + 50), (0x95, 5), (0x96, 300),
        (0x97, pack.discharge_ocp_A), (0x98, 60), (0x99, pack.charge_ocp_A), (0x9A, 30), (0x9B, 3300), (0x9C, 10),
    ]:
        add(identifier, "H", value)
    add(0x9D, "B", 1)
    for identifier, value in [
        (0x9E, 100), (0x9F, 80), (0xA0, 100), (0xA1, 100), (0xA2, 20), (0xA3, 70), (0xA4, 70),
    ]:
        add(identifier, "H", value)
    for identifier, value in [(0xA5, 0), (0xA6, 2), (0xA7, -20), (0xA8, -10)]:
        add(identifier, "h", value)
    add(0xA9, "B", n)
    add(0xAA, "I", pack.capacity_Ah)
    for identifier, layout, value in [
        (0xAB, "B", 1), (0xAC, "B", 1), (0xAD, "H", 1000), (0xAE, "B", 1), (0xAF, "B", 0), (0xB0, "H", 10), (0xB1, "B", 20),
    ]:
        add(identifier, layout, value)
    body += b"\xb2" + b"123456".ljust(10, b"\0") + b"\xb3\x00" + b"\xb4" + b"peer".ljust(8, b"\0") + b"\xb5" + b"2306"
    add(0xB6, "I", 98_090)
    body += b"\xb7" + b"11.XW_S11.262H_" + b"\xb8\x00"
    add(0xB9, "I", pack.capacity_Ah)
    body += b"\xba" + b"peer".ljust(12, b" ") + b"JK_B2A24S15P" + b"\xc0\x01"
    return frame(0x06, 0x00, 0x01, body)


def frame(command, source, transport, body):
    start = b"NW" + struct.pack(">H", 18 + len(body)) + bytes(4) + bytes([command, source, transport]) + body + bytes(4) + b"h"
    return start + struct.pack(">I", sum(start) & 0xFFFF)


class JKBMS:
    """Answers requests on a pseudo-terminal until it is unplugged. `pack` may be changed at any time."""

    def __init__(self, pack):
        self.pack = pack
        self.requests = 0
        self.silent = False
        self.replied = 0.0  # when the last reply went out, on the monotonic clock
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave  # kept open, so that the line stays up while nobody else has it open
        threading.Thread(target=self._serve, daemon=True).start()

    def unplug(self):
        """The wire to the BMS is cut: the serial adapter stays, nobody answers."""
        self.silent = True

    def _serve(self):
        received = b""
        while True:
            try:
                received += os.read(self._master, 1024)
            except OSError:
                return
            while (at := received.find(b"NW")) >= 0 and len(received) >= at + 4:
                length = struct.unpack(">H", received[at + 2 : at + 4])[0] + 2
                if len(received) < at + length:
                    break
                request, received = received[at : at + length], received[at + length :]
                good = struct.unpack(">I", request[-4:])[0] == sum(request[:-4]) & 0xFFFF
                if good and request[8] in (0x03, 0x06) and request[10] == 0:
                    self.requests += 1
                    if not self.silent:
                        answer = reply(self.pack)
                        self.replied = time.monotonic()
                        os.write(self._master, answer)
