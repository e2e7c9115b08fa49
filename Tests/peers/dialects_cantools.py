#!/usr/bin/env python3
"""Compares `packbridge decode` with cantools, an independent decoder, for every signal of every DBC file.

    Tests/peers/dialects_cantools.py .build/debug/packbridge [--frames 200] [--seed 1]

Two directions for each message: random bytes of random length are decoded by both, and random values are encoded by cantools
and decoded by packbridge. The DBC files are loaded in strict mode. Exit codes: 0 all equal, 1 a difference, 2 usage.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys

import cantools

DBC = pathlib.Path(__file__).resolve().parents[2] / "dbc"


def raw_range(signal):
    """The raw numbers that fit into the bits of `signal`."""
    if signal.is_signed:
        return -(1 << signal.length - 1), (1 << signal.length - 1) - 1
    return 0, (1 << signal.length) - 1


def random_raw(signal, rng):
    lowest, highest = raw_range(signal)
    return rng.choice([lowest, highest, 0, rng.randint(lowest, highest)])


def cases(message, count, rng):
    """Frames of one message with what cantools reads in them."""
    for _ in range(count):
        data = rng.randbytes(rng.choice([message.length, rng.randint(0, message.length)]))
        yield data, message.decode(data, decode_choices=False, allow_truncated=True)
    for _ in range(count):
        raw = {signal.name: random_raw(signal, rng) for signal in message.signals}
        data = message.encode(raw, scaling=False)
        yield data, {s.name: s.conversion.raw_to_scaled(raw[s.name], decode_choices=False) for s in message.signals}


def difference(expected, found):
    """The first signal on which the two disagree, in words; None when there is none."""
    if expected.keys() != found.keys():
        return f"signals {sorted(expected.keys() ^ found.keys())} are only on one side"
    for name, value in expected.items():
        # Scaled numbers are floating point in cantools; whole ones are exact on both sides.
        equal = found[name] == value if isinstance(value, int) else abs(found[name] - value) < 1e-6
        if not equal:
            return f"{name} is {found[name]}, cantools reads {value}"
    return None


def compare(program, path, count, rng):
    """Runs one dialect. Returns the number of frames and the differences."""
    database = cantools.database.load_file(path, strict=True)
    lines, expected = [], []
    for message in database.messages:
        for data, values in cases(message, count, rng):
            lines.append(f"{message.frame_id:03X}#{data.hex().upper()}")
            expected.append(values)
    result = subprocess.run(
        [program, "decode", "--protocol", path.stem, "--json", "-"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
    )
    if result.returncode != 0:
        return len(lines), [f"exit code {result.returncode}: {result.stderr.strip()}"]
    answers = result.stdout.splitlines()
    if len(answers) != len(lines):
        return len(lines), [f"{len(lines)} lines in, {len(answers)} out"]
    problems = []
    for line, values, answer in zip(lines, expected, answers):
        found = json.loads(answer)
        if found["id"] != f"0x{line[:3]}":
            problems.append(f"{line}: id {found['id']}")
        elif what := difference(values, found["signals"]):
            problems.append(f"{line}: {what}")
    return len(lines), problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the packbridge binary")
    parser.add_argument("--frames", type=int, default=200, help="frames of each message in each direction")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    files = sorted(DBC.glob("*.dbc"))
    if not files:
        parser.error(f"no DBC files in {DBC}")
    passed = 0
    for path in files:
        count, problems = compare(options.program, path, options.frames, random.Random(options.seed))
        print(f"{path.stem}: {count} frames, {'equal' if not problems else f'{len(problems)} differences'}")
        for problem in problems[:10]:
            print(f"  {problem}")
        passed += not problems
    print(f"seed {options.seed}")
    print(f"{passed} passed, {len(files) - passed} failed")
    return 0 if passed == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
