#!/usr/bin/env python3
"""Follows docs/add-an-inverter.md and docs/add-a-bms.md to the letter, in a copy of the package, and runs their commands.

    tutorials.py [--steps]

--steps: only the edits; nothing is built. It takes a second.

What it understands: Create `FILE`: · In `FILE`, below `LINE`, add: · above · In `FILE`, replace `LINE` by: · At the end of `FILE`, add: ·
and blocks of sh, whose commands must succeed. Any other block of code is an error. The last line counts the checks.
"""

import os
import pathlib
import re
import subprocess
import sys

from judging import Report, conclude

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COPY = ROOT / ".build-tutorials" / "packbridge"
STEP = re.compile(
    r"(?:Create `(?P<new>[^`]+)`|In `(?P<file>[^`]+)`, (?P<verb>below|above|replace) `(?P<line>[^`]+)`(?:, add| by)|At the end of `(?P<end>[^`]+)`, add):")


def copy():
    """The tracked files, unchanged ones left alone so that a second run builds little."""
    tracked = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    names = {name for name in tracked.decode().split("\0") if name and (ROOT / name).is_file()}
    for old in (p for p in COPY.rglob("*") if p.is_file() and ".build" not in p.relative_to(COPY).parts):
        if str(old.relative_to(COPY)) not in names:
            old.unlink()
    for name in names:
        source, target = ROOT / name, COPY / name
        content = source.read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(source.stat().st_mode)


def blocks(page):
    """Triples of the last sentence before a block of code, the block's language, and the code."""
    before, language, code = "", None, []
    for line in (ROOT / "docs" / page).read_text().splitlines(keepends=True):
        if line.startswith("```"):
            if language is None:
                language, code = line[3:].strip(), []
            else:
                yield before, language, "".join(code)
                before, language = "", None
        elif language is not None:
            code.append(line)
        elif line.strip() and not line.startswith("<!--"):
            before = line.strip()


def edit(step, code):
    """- Returns: what is wrong, or nothing."""
    name = step["new"] or step["file"] or step["end"]
    path = COPY / name
    if step["new"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        return None
    text = path.read_text()
    if step["end"]:
        path.write_text(text + code)
        return None
    lines = text.splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if line.strip() == step["line"].strip()]
    if len(found) != 1:
        return f"{name} has {len(found)} lines {step['line']}"
    at = found[0]
    lines[at:at + 1] = {"below": [lines[at], code], "above": [code, lines[at]], "replace": [code]}[step["verb"]]
    path.write_text("".join(lines))
    return None


def follow(page):
    report = Report(page)
    commands = []
    for before, language, code in blocks(page):
        if language == "sh":
            commands.append(code)
        elif step := STEP.search(before):
            problem = edit(step, code)
            report.check(before, problem is None, problem)
        else:
            report.check("every block of code belongs to a step", False, before)
    return report, commands


def run(report, commands):
    for command in (line for code in commands for line in code.splitlines()):
        result = subprocess.run(command, shell=True, cwd=COPY, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
        report.check(command, result.returncode == 0, (result.stdout + result.stderr)[-3000:])
        if "swift test" in command:
            ran = re.findall(r"Test run with (\d+) test", result.stdout + result.stderr)
            report.check(f"{command} ran tests", any(int(count) > 0 for count in ran), ran)


def main():
    only_steps = sys.argv[1:] == ["--steps"]
    copy()
    # All edits first, so that the package is built once.
    followed = [follow(page) for page in ("add-an-inverter.md", "add-a-bms.md")]
    for report, commands in [] if only_steps else followed:
        run(report, commands)
    return conclude([report for report, _ in followed])


if __name__ == "__main__":
    sys.exit(main())
