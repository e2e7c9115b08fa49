#!/usr/bin/env python3
"""Modbus RTU against an independent implementation, pymodbus, in both roles over pseudo-terminals.

    modbus.py BINARY_DIRECTORY

As a server it plays two JK units and PackBridge reads them; as a client it reads the units that `packbridge simulate bms` plays.
The last line counts the checks: `N passed, N failed`.
"""

import asyncio
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import tty

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient
from pymodbus.datastore import ModbusDeviceContext, ModbusServerContext
from pymodbus.datastore.store import BaseModbusDataBlock
from pymodbus.server import ModbusSerialServer
from judging import Report, conclude


class JKRegisters(BaseModbusDataBlock):
    """The holding registers of a JK unit. A register's address counts bytes, and a read of n words takes n addresses of even
    distance: word i of a read from A is the register A + 2i."""

    def __init__(self):
        self.words = {}
        self.reads = []

    def put(self, register, value, size):
        for i, word in enumerate(value.to_bytes(size, "big", signed=value < 0)[k:k + 2] for k in range(0, size, 2)):
            self.words[register + 2 * i] = int.from_bytes(word, "big")

    def validate(self, address, count=1):
        return True

    def getValues(self, address, count=1):
        # pymodbus counts registers from 1.
        first = address - 1
        self.reads.append((first, count))
        return [self.words.get(first + 2 * i, 0) for i in range(count)]

    def setValues(self, address, values):
        raise AssertionError("PackBridge wrote to a BMS")


def unit(rng):
    """A healthy unit with random values, and what they are called in the output of `packbridge status --json`."""
    registers = JKRegisters()
    cells = [3300 + rng.randrange(12) for _ in range(16)]
    current = rng.randrange(-60_000, 60_000)
    soc = rng.randrange(30, 80)
    for i, cell in enumerate(cells):
        registers.put(0x1200 + 2 * i, cell, 2)
    fields = [
        (0x1240, 0xFFFF, 4), (0x1244, sum(cells) // 16, 2), (0x128A, 251, 2), (0x1290, sum(cells), 4), (0x1298, current, 4),
        (0x129C, 213, 2), (0x129E, 204, 2), (0x12A0, 0, 4), (0x12A6, soc, 2), (0x12A8, 280_000 * soc // 100, 4),
        (0x12AC, 280_000, 4), (0x12B0, 12, 4), (0x12B4, 3_360_000, 4), (0x12B8, 99 << 8, 2), (0x12BC, 1_000_000, 4),
        (0x12C0, 0x0101, 2), (0x12D0, 0x0700, 2), (0x12F8, 251, 2),
        (0x1004, 2700, 4), (0x1008, 2900, 4), (0x100C, 3650, 4), (0x1010, 3500, 4), (0x102C, 150_000, 4), (0x1038, 150_000, 4),
        (0x104C, 600, 4), (0x1054, 650, 4), (0x105C, -10, 4), (0x1064, 950, 4), (0x106C, 16, 4), (0x1070, 1, 4), (0x1074, 1, 4),
        (0x1078, 1, 4), (0x107C, 280_000, 4), (0x1084, 3400, 4),
    ]
    for register, value, size in fields:
        registers.put(register, value, size)
    told = {
        "cells_mV": cells, "voltage_mV": sum(cells), "current_mA": current, "soc_cpct": soc * 100,
    }
    return registers, told


def serial_pair():
    """Two pseudo-terminals whose bytes are carried across, and their paths."""
    ends = [os.openpty() for _ in range(2)]
    for _, slave in ends:
        tty.setraw(slave)

    def carry(source, target):
        while True:
            try:
                os.write(target, os.read(source, 4096))
            except OSError:
                return

    for a, b in ((0, 1), (1, 0)):
        threading.Thread(target=carry, args=(ends[a][0], ends[b][0]), daemon=True).start()
    return [os.ttyname(slave) for _, slave in ends]


def serve(path, units):
    """pymodbus as the units of a bus, in a thread of its own."""
    devices = {address: ModbusDeviceContext(hr=registers) for address, registers in units.items()}

    async def work():
        server = ModbusSerialServer(
            ModbusServerContext(devices=devices, single=False), framer=FramerType.RTU, port=path, baudrate=115200,
            ignore_missing_devices=True)
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(work()), daemon=True).start()


def live(registers, stop):
    """Counts up the running time once a second: a unit whose counter stands still is not believed."""
    while not stop.wait(1):
        seconds = (registers.words[0x12BC] << 16 | registers.words[0x12BE]) + 1
        registers.put(0x12BC, seconds, 4)


def read_by_packbridge(binaries):
    report = Report("pymodbus as the units")
    rng = random.Random(5)
    units = {2: unit(rng), 11: unit(rng)}
    ours, theirs = serial_pair()
    serve(theirs, {address: registers for address, (registers, _) in units.items()})
    stop = threading.Event()
    for registers, _ in units.values():
        threading.Thread(target=live, args=(registers, stop), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        configuration = pathlib.Path(folder) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: jk-modbus, port: {ours}, address: 2 11}}
            inverter: {{dialect: pylontech, port: "virtual:none"}}
            limits: {{charge: 120 A, discharge: 130 A}}
            files: {{state: none, link: {folder}/link}}
            """
        )
        process = subprocess.Popen([binaries / "packbridge", "control", "--config", configuration])
        try:
            time.sleep(8)
            answer = subprocess.run(
                [binaries / "packbridge", "status", "--json", "--config", configuration], capture_output=True, text=True)
            report.equal("status", answer.returncode, 0)
            status = json.loads(answer.stdout)
            report.equal("packs", len(status["packs"]), 2)
            for pack, (address, (registers, told)) in zip(status["packs"], units.items()):
                for name in ("cells_mV", "voltage_mV", "current_mA", "soc_cpct"):
                    report.equal(f"{name} of {address}", pack[name], told[name])
                report.check(f"the settings of {address} are read", (0x1000, 68) in registers.reads, registers.reads[:5])
                report.check(f"one read takes at most 120 words ({address})", max(n for _, n in registers.reads) <= 120)
            port = status["bms_ports"][0]
            report.check("no answer was missing", port["missing"] == 0 and port["answers"] >= 10, port)
        finally:
            process.terminate()
            report.equal("exit code", process.wait(10), 0)
            stop.set()
    return report


def read_by_pymodbus(binaries):
    report = Report("pymodbus as the host")
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        path = f"{folder}/bus"
        process = subprocess.Popen(
            [binaries / "packbridge", "simulate", "bms", "--pty", path, "--protocol", "jk-modbus", "--address", "3", "--address",
             "15", "--current=-25", "--soc", "70", "--cells", "15", "--json"], stdout=subprocess.PIPE, text=True)
        try:
            states = [json.loads(process.stdout.readline()) for _ in range(2)]
            client = ModbusSerialClient(path, framer=FramerType.RTU, baudrate=115200, timeout=1)
            report.check("the port opens", client.connect())

            def words(address, register, count):
                answer = client.read_holding_registers(register, count=count, device_id=address)
                report.check(f"{register:04X} of {address} is read", not answer.isError(), answer)
                return b"".join(word.to_bytes(2, "big") for word in answer.registers)

            for state in states:
                address = state["address"]
                status = words(address, 0x1200, 120)
                cells = [int.from_bytes(status[2 * i:2 * i + 2], "big") for i in range(32)]
                report.check(f"15 cells at {address}", all(3000 < c < 3500 for c in cells[:15]) and not any(cells[15:]), cells)
                report.equal("cell mask", status[0x40:0x44].hex(), "00007fff")
                report.equal("pack voltage", int.from_bytes(status[0x90:0x94], "big"), state["pack_mV"], 100)
                report.equal("current", int.from_bytes(status[0x98:0x9C], "big", signed=True), -25_000, 500)
                report.equal("SoC", status[0xA7], 70, 1)
                # An overlapping read begins in the middle of the block: 0x1278 is byte 0x78 of it.
                later = words(address, 0x1290, 6)
                report.equal("pack voltage by a read of its own", int.from_bytes(later[:4], "big"), state["pack_mV"], 100)
                settings = words(address, 0x1000, 68)
                report.equal("cell over-voltage limit", int.from_bytes(settings[0x0C:0x10], "big"), 3650)
                report.equal("model", words(address, 0x1400, 8).rstrip(b"\0").decode(), "JK_PB2A16S20P")
            refused = client.read_holding_registers(0x2000, count=2, device_id=3)
            report.check("a register that is not there is refused", refused.isError() and refused.exception_code == 2, refused)
            client.close()
        finally:
            process.terminate()
            report.equal("exit code", process.wait(10), 0)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    reports = [read_by_pymodbus(binaries), read_by_packbridge(binaries)]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
