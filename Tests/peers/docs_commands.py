#!/usr/bin/env python3
"""The documents, taken at their word: their commands are run, their configurations checked, their links followed.

    docs_commands.py BINARY_DIRECTORY

A block ```sh is run in an empty folder with `packbridge` on the path, unless the line before it says why not:

    <!-- not run: needs a BMS -->

Then, and in running text, `packbridge COMMAND --flag` must at least be a command with that flag, and `make TARGET` a target.
`<!-- file NAME: the block above -->` puts the block before into a file of that folder first, `<!-- file NAME: PATH -->` a file of the
repository. A block ```yaml with battery, bms and inverter must be a configuration that `packbridge check` takes.

The last line counts the checks: `N passed, N failed`.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from judging import Report, conclude

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
#: The folders that every Debian has, and the page's own address.
EVERYWHERE = {"api", "dev", "etc", "run", "sys", "tmp", "usr", "var"}
FIRST_FOLDER = re.compile(r"(?<![\w.:/)\]}>*-])/([a-z]\w*)/")
MARKER = re.compile(r"<!-- (not run|file ([\w.-]+)): (.+) -->")


def documents():
    """README and docs first, then the converter's. Pages of one maker are judged as files, not one by one."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "hardware" / "README.md"]


class Block:
    def __init__(self, language, text, line, marker):
        self.language, self.text, self.line, self.marker = language, text, line, marker


def blocks(path):
    """Every fenced block with its language and the markers before it, and the text without them."""
    found, prose, marker, lines = [], [], [], path.read_text().splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if mark := MARKER.fullmatch(line):
            marker.append(mark)
        elif line.startswith("```"):
            begin = number
            number += 1
            while number < len(lines) and not lines[number].startswith("```"):
                number += 1
            found.append(Block(line[3:].strip(), "\n".join(lines[begin + 1 : number]) + "\n", begin + 1, marker))
            marker = []
        else:
            if line.strip():
                marker = []
            prose.append(line)
        number += 1
    return found, "\n".join(prose)


class Program:
    """What `packbridge` says about itself."""

    def __init__(self, binary):
        self.binary, self.helps = binary, {}

    def help(self, *words):
        if words not in self.helps:
            said = subprocess.run([self.binary, *words, "--help"], capture_output=True, text=True, timeout=20)
            self.helps[words] = said.stdout if said.returncode == 0 else ""
        return self.helps[words]

    def objections(self, command):
        """Why a command as a document writes it cannot be meant; empty when it can."""
        words = command.split()[1:]
        path = []
        while words and re.fullmatch(r"[a-z]+", words[0]) and re.search(rf"^  {words[0]}\s", self.help(*path).partition("SUBCOMMANDS:")[2], re.M):
            path.append(words.pop(0))
        if not path and words and not words[0].startswith("-"):
            return [f"there is no command '{words[0]}'"] if re.fullmatch(r"[a-z]+", words[0]) else []
        flags = re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words))
        return [f"'packbridge {' '.join(path)}' has no {flag}" for flag in flags if not re.search(rf"(^|[\s\[,]){flag}\b(?!-)", self.help(*path))]


def commands(text):
    """`packbridge …` as it stands in code: one for each line of a block, up to what the shell would take for itself."""
    for line in text.splitlines():
        for found in re.finditer(r"(?:^|[|&;$]\s*|\s--\s)((?:sudo )?packbridge(?: [^|&;#<>]*)?)", line):
            yield found[1].removeprefix("sudo ").strip()


def run(block, folder, binaries):
    """Runs a block as a person would, all of it in a process group of its own that is ended afterwards."""
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "NO_COLOR": "1"}
    process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, env=environment, text=True, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        # What still runs in the background keeps the pipe open: ask for the end of the shell, not for that of the pipe.
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        code = "still running after 60 s"
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    return code, process.stdout.read()


def judge(path, program, binaries, targets, anchors):
    name = str(path.relative_to(ROOT))
    report = Report(name)
    found, prose = blocks(path)
    for index, block in enumerate(found):
        where = f"{name}:{block.line}"
        report.check(f"{where}: the block says what it is (```sh, yaml, json, text)", block.language != "")
        reasons = [mark[3] for mark in block.marker if mark[1] == "not run"]
        if block.language == "sh" and not reasons:
            with tempfile.TemporaryDirectory() as folder:
                for mark in block.marker:
                    above = mark[3] == "the block above"
                    text = found[index - 1].text if above else (ROOT / mark[3]).read_text()
                    (pathlib.Path(folder) / mark[2]).write_text(text)
                code, said = run(block, folder, binaries)
            report.check(f"{where}: its commands work", code == 0, f"({code}): {said[-600:]}")
        elif block.language in ("sh", "text"):
            for command in commands(block.text):
                report.check(f"{where}: {command}", not (wrong := program.objections(command)), str(wrong))
        if block.language == "yaml" and not reasons and re.match(r"battery:", block.text) and all(re.search(rf"^{key}:", block.text, re.M) for key in ("bms", "inverter")):
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "packbridge.yaml").write_text(block.text)
                said = subprocess.run([program.binary, "check"], cwd=folder, capture_output=True, text=True, timeout=20)
            report.check(f"{where}: packbridge check takes this configuration", said.returncode == 0, said.stdout + said.stderr)
    for code in re.findall(r"`([^`\n]+)`", prose):
        if re.match(r"packbridge [a-z-]", code):
            for command in commands(code):
                report.check(f"{name}: `{command}`", not (wrong := program.objections(command)), str(wrong))
        elif made := re.match(r"make ([a-z-]+)", code):
            report.check(f"{name}: `{code}` is a target", made[1] in targets)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        report.check(f"{name}: the link {target} leads somewhere", there.exists())
        if anchor and there.suffix == ".md" and there.exists():
            report.check(f"{name}: the link {target} has its heading", anchor in anchors(there))
    alone = [first for first in FIRST_FOLDER.findall(path.read_text()) if first not in EVERYWHERE]
    report.check(f"{name}: no path of one machine alone", not alone, str(alone))
    return report


def anchors(path):
    """The headings of a page as a browser names them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def judges_itself(program, binaries, targets):
    """A document with one fault of each kind: the judge must object to every one."""
    report = Report("the judge itself")
    faults = {
        "a command that fails": "```sh\npackbridge check missing.yaml\n```\n",
        "a flag that does not exist": "<!-- not run: needs a BMS -->\n```sh\npackbridge detect --fast /dev/ttyUSB0\n```\n",
        "a command that does not exist": "Try `packbridge repair --all` then.\n",
        "a block without a language": "```\npackbridge check\n```\n",
        "a configuration that is refused": "```yaml\nbattery: {chemistry: lfp, cells: 99}\nbms: {protocol: jk-4e57, port: /dev/x}\ninverter: growatt-spf5000es\n```\n",
        "a link that leads nowhere": "See [there](nowhere.md).\n",
        "a path of one machine": "The file is `/home/me/packbridge/packbridge.yaml`.\n",
        "a target that make does not know": "Run `make coffee`.\n",
    }
    with tempfile.TemporaryDirectory(dir=ROOT / "docs", prefix=".judged-") as folder:
        for what, text in faults.items():
            page = pathlib.Path(folder) / "page.md"
            page.write_text(text)
            sys.stdout.flush()
            quiet, sys.stdout = sys.stdout, open(os.devnull, "w")
            try:
                objections = judge(page, program, binaries, targets, anchors).failed
            finally:
                sys.stdout = quiet
            report.check(f"it notices {what}", objections == 1, f"({objections} objections)")
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    program = Program(str(binaries / "packbridge"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    reports = [judge(path, program, str(binaries), targets, anchors) for path in documents()]
    pages = Report("docs/inverters")
    said = subprocess.run([sys.executable, str(ROOT / "scripts" / "inverter-pages"), program.binary, "--check"], capture_output=True, text=True)
    pages.check("the pages are what the profiles say", said.returncode == 0, said.stdout + said.stderr[-400:])
    reports += [pages, judges_itself(program, str(binaries), targets)]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
