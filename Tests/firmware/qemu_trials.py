#!/usr/bin/env python3
"""The core on the 32-bit target, in QEMU, does to the bit what it does on the host: golden vectors, seeded courses of the engine, and worlds
of the proving run (`packbridge simulate soak`) that are recorded on the host and played on the target.

    qemu_trials.py IMAGE BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "peers"))

from judging import Report, conclude

GOLDEN = ROOT / "Tests" / "vectors" / "golden.txt"
CAPTURES = pathlib.Path(os.environ.get("PACKBRIDGE_CAPTURES", ROOT.parent / "shared" / "data"))

#: Seeds, and virtual seconds of each.
TRIALS, TRIAL_SECONDS = 26, 3600
#: Seed, virtual hours, faults a day. The first is a day as `make soak` runs it; in the others something goes wrong every few minutes.
WORLDS = [(1, 24, 24), (2, 1, 600), (3, 1, 600), (6, 1, 600), (8, 1, 600), (11, 1, 600)]


class Target:
    """The image of the trials. Each run is a QEMU of its own."""

    def __init__(self, image, binaries, folder):
        self.image, self.host_program, self.folder = image, binaries / "firmware-trial-host", pathlib.Path(folder)

    def host(self, *arguments):
        done = subprocess.run([self.host_program, *map(str, arguments)], capture_output=True, text=True, timeout=1800)
        return done.stdout + done.stderr

    def qemu(self, name, what, first, second, payload=None, options=()):
        """What the image says when it is asked for this (Sources/FirmwareTrialVirt)."""
        parameters = self.folder / f"{name}.parameters"
        length = payload.stat().st_size if payload else 0
        parameters.write_bytes(struct.pack("<IIII", what, first, second, length))
        loaded = ["-device", f"loader,file={payload},addr=0x81000000,force-raw=on"] if payload else []
        done = subprocess.run(
            ["qemu-system-riscv32", "-M", "virt", "-m", "512M", "-display", "none", "-monitor", "none", "-serial", "stdio", "-bios", "none",
             "-device", f"loader,file={self.image}", "-device", f"loader,file={parameters},addr=0x80700000,force-raw=on", *loaded, *options],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
        return done.stdout + done.stderr


def control_tick(image):
    """Instructions of the longest control tick: 32 ns each on QEMU's clock, which the image reads in steps of 100 ns."""
    with tempfile.TemporaryDirectory(prefix="packbridge-tick-") as folder:
        target = Target(image, pathlib.Path(), folder)
        said = [target.qemu(f"tick-{seed}", 3, seed, 1800, options=["-icount", "shift=5"]) for seed in range(3)]
    return max(int(re.search(r"longest tick (\d+)", line)[1]) for line in said) * 100 // 32


def captured():
    """The real frames of other people, as vectors without a result; none when the folder is not there."""
    lines = []
    for line in (CAPTURES / "jk-captures.jsonl").read_text().splitlines():
        record = json.loads(line)
        kind, name = record["protocol"], re.sub(r"\s", "_", record["id"])
        if kind == "jk-4e57":
            lines.append(f"{'jk-4e57-stream' if record['kind'] == 'stream' else kind} {name} {record['hex']}")
        elif kind == "jk-55aaeb90":
            lines.append(f"{kind} {name} {record['hex']}")
        elif kind == "jk-can" and "can_id" in record:
            number = record["can_id"]
            lines.append(f"{kind} {name} {number if isinstance(number, str) else format(number, 'x')} {record['hex']}".replace("0x", ""))
    for number, line in enumerate((CAPTURES / "inverter-frames.jsonl").read_text().splitlines()):
        record = json.loads(line)
        if not record["protocol"].endswith("rs485"):
            lines.append(f"decode captured-{number} {record.get('dbc', record['protocol'])} {record['id'][2:]} {record['hex']}")
    return lines


def answers(text):
    """{(kind, name): result} of what a runner said."""
    return {tuple(head.split()): result.strip() for head, _, result in (line.partition(" =") for line in text.splitlines())}


def vectors(target):
    report = Report("golden vectors")
    golden = [line for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#")]
    # What only a program can write: configurations that a board has no room for.
    built = target.host("images").splitlines()
    lines = golden + built
    if CAPTURES.exists():
        lines += captured()
    else:
        print(f"SKIPPED: captures of real hardware: there is no {CAPTURES}; set PACKBRIDGE_CAPTURES")
    file = target.folder / "vectors"
    file.write_text("\n".join(lines) + "\n")
    on_host, on_target = answers(target.host("vectors", file)), answers(target.qemu("vectors", 1, 0, 0, file))
    for line in lines:
        vector, _, expected = line.partition(" = ")
        key = tuple(vector.split()[:2])
        host, there = on_host.get(key), on_target.get(key)
        for_host, _, for_board = expected.partition(" | ")
        if expected:
            report.check(f"{' '.join(key)} on the host", host == for_host, f"\n  got      {host}\n  expected {for_host}")
        wanted = for_board or host
        report.check(f"{' '.join(key)} on the target", there is not None and there == wanted, f"\n  got      {there}\n  expected {wanted}")
    print(f"golden vectors: {len(golden)} of the project, {len(built)} configurations, {len(lines) - len(golden) - len(built)} captures")
    return report


def trials(target):
    report = Report("seeded courses")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        host = pool.submit(target.host, "trials", TRIALS, TRIAL_SECONDS)
        there = target.qemu("trials", 0, TRIALS, TRIAL_SECONDS).splitlines()
        host = host.result().splitlines()
    for seed in range(TRIALS):
        ours = [line for line in host if line.startswith(f"trial {seed} ")]
        theirs = [line for line in there if line.startswith(f"trial {seed} ")]
        report.check(f"seed {seed}", ours and ours == theirs, f"host {ours}, target {theirs}")
    return report


def world(target, seed, hours, faults):
    report = Report(f"world {seed}")
    tape = target.folder / f"world-{seed}"
    report.equal("recording", target.host("record", seed, hours * 3600, faults, tape), "")
    if tape.exists():
        began = time.monotonic()
        there = target.qemu(f"world-{seed}", 2, seed, 0, tape).strip()
        print(f"{there} ({time.monotonic() - began:.0f} s in QEMU)", flush=True)
        report.check("every CAN frame on the target is the one of the host, at its millisecond", "all as recorded" in there, there)
        here = target.host("play", seed, tape).strip()
        report.equal("the same tape on the host", here, there)
        seconds = int((re.search(r"(\d+) s, (\d+) CAN frames", there) or [0, 0, 0])[1])
        report.check("the whole of it", seconds >= hours * 3600 - 60, seconds)
        check_notices(report, target, tape, seed, hours)
        tape.unlink()
    return report


def check_notices(report, target, tape, seed, hours):
    """One bit of one CAN frame in the middle of the tape is wrong: the target has to say so."""
    data = bytearray(tape.read_bytes())
    at = data.find(struct.pack("<BIB", 32, 0x351, 8), len(data) // 2)
    if at < 0 or hours > 1:
        return
    data[at + 8] ^= 1
    spoiled = tape.with_suffix(".spoiled")
    spoiled.write_bytes(data)
    said = target.qemu(f"spoiled-{seed}", 2, seed, 0, spoiled)
    report.check("a wrong bit is noticed", "a CAN frame, recorded 351#" in said, said)
    spoiled.unlink()


def main():
    image, binaries = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="packbridge-trials-") as folder:
        target = Target(image, binaries, folder)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(vectors, target), pool.submit(world, target, *WORLDS[0]), pool.submit(trials, target)]
            jobs += [pool.submit(world, target, *plan) for plan in WORLDS[1:]]
            return conclude([job.result() for job in jobs])


if __name__ == "__main__":
    sys.exit(main())
