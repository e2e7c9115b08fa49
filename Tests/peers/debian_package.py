#!/usr/bin/env python3
"""The Debian package in a throw-away Debian 12: what is in it, lintian, the exposure of its units, install, upgrade, remove, purge; then
its services under a real systemd, in a throw-away Linux with SocketCAN (Tests/vm/installed_services.py).

    debian_package.py FOLDER        with the newest package there

Needs root. The bare Debian is made with debootstrap from the mirror that this machine uses, and kept in ~/.cache/packbridge-vm.
The last line counts the checks: `N passed, N failed`.
"""

import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from judging import Report, conclude, wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("VM_CACHE") or pathlib.Path.home() / ".cache/packbridge-vm")
UNITS = {"packbridge-control.service": 2.0, "packbridge-serve.service": 3.0, "packbridge-radio.service": 3.0}
CONFIGURATION = "etc/packbridge/packbridge.yaml"
HISTORY = "var/lib/packbridge-serve/history.db"


def run(*words, **options):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)


def content(package, folder):
    """What is in the package, and that it is sound."""
    report = Report("content")
    run("dpkg-deb", "--raw-extract", package, folder, check=True)
    for name in (
        "usr/bin/packbridge", "usr/bin/packbridge-control", "usr/bin/packbridge-serve", "usr/share/man/man1/packbridge.1.gz",
        "usr/share/man/man1/packbridge-run.1.gz", "usr/share/man/man8/packbridge-control.8.gz",
        "usr/share/man/man8/packbridge-ble.8.gz",
        "usr/share/bash-completion/completions/packbridge", "usr/share/zsh/vendor-completions/_packbridge",
        "usr/share/fish/vendor_completions.d/packbridge.fish", "lib/udev/rules.d/70-packbridge.rules",
        "lib/systemd/system/packbridge-can@.service", "usr/share/doc/packbridge/copyright", CONFIGURATION,
        *(f"lib/systemd/system/{unit}" for unit in UNITS),
    ):
        report.check(f"{name} is there", (folder / name).is_file())
    report.equal("the configuration is a conffile", (folder / "DEBIAN/conffiles").read_text(), f"/{CONFIGURATION}\n")
    bash = run("bash", "-n", folder / "usr/share/bash-completion/completions/packbridge")
    report.check("the completions are good bash", bash.returncode == 0, bash.stderr)
    for unit, most in UNITS.items():
        said = run("systemd-analyze", "security", "--offline=yes", "--no-pager", folder / "lib/systemd/system" / unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        score = float(found[1]) if found else None
        print(f"{unit}: exposure {score}, at most {most}", flush=True)
        report.check(f"{unit} is exposed by at most {most}", score is not None and score <= most, said[-500:])
    lintian = run("lintian", "--fail-on", "error", package)
    report.check("lintian finds no error", lintian.returncode == 0, "\n" + lintian.stdout)
    return report


def another(package, folder, out, version, change=None):
    """The package under another number."""
    copy = out / version
    shutil.copytree(folder, copy, symlinks=True)
    control = copy / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    if change:
        change(copy)
    path = out / f"packbridge_{version}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "-z0", "--build", copy, path, check=True)
    shutil.rmtree(copy)
    return path


def mirror():
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages").stdout.split("\n")
    return next((t.split()[0] for t in targets if t.endswith(" bookworm")), "http://deb.debian.org/debian")


def bare_debian(folder):
    """Debian 12 with systemd, as debootstrap makes it."""
    kept = CACHE / "bookworm.tar"
    if not kept.exists():
        print(f"debootstrap from {mirror()}", flush=True)
        made = CACHE / "bookworm.new"
        shutil.rmtree(made, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        run("debootstrap", "--variant=minbase", "--include=systemd,udev,iproute2,adduser", "bookworm", made, mirror(), check=True)
        run("tar", "-C", made, "-cf", f"{kept}.new", ".", check=True)
        shutil.rmtree(made)
        os.rename(f"{kept}.new", kept)
    run("tar", "-C", folder, "-xf", kept, check=True)


class Machine:
    """A Debian in a folder."""

    def __init__(self, root):
        self.root = root
        bare_debian(root)
        for name in ("resolv.conf", "hosts"):
            with contextlib.suppress(OSError):
                shutil.copy(f"/etc/{name}", root / "etc" / name)
        # No service is started while packages are installed: there is no systemd here yet.
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        for kind, place in (("proc", "proc"), ("devpts", "dev/pts")):
            run("mount", "-t", kind, *(["-o", "mode=620,ptmxmode=666,gid=5"] if kind == "devpts" else []), kind, root / place, check=True)

    def close(self):
        for place in ("dev/pts", "proc"):
            run("umount", self.root / place)

    def __call__(self, *words, user=None, **options):
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"} | options.pop("variables", {})
        return run("chroot", self.root, *as_user, *words, env=environment, **options)

    def background(self, *words, user, variables={}, log):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | variables
        return subprocess.Popen(
            ["chroot", self.root, "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *words], env=environment, stdout=log,
            stderr=subprocess.STDOUT)

    def install(self, package):
        """The package with what it depends on, as `apt-get install ./…` does it. - Returns: what was said, when it failed."""
        shutil.copy(package, self.root / "tmp")
        words = ("apt-get", "-q", "install", "-y", "--no-install-recommends", "--allow-downgrades", "-o", "Dpkg::Options::=--force-confdef", "-o",
                 "Dpkg::Options::=--force-confold", f"/tmp/{package.name}")
        result = self(*words)
        if result.returncode:
            self("apt-get", "-q", "update")
            result = self(*words)
        (self.root / "tmp" / package.name).unlink()
        return result.returncode == 0, result.stdout + result.stderr

    def files(self):
        """What a package may leave behind."""
        places = [self.root / p for p in ("etc", "usr", "lib", "var/lib")]
        found = {str(f.relative_to(self.root)) for place in places for f in place.rglob("*packbridge*")}
        return {f for f in found if not f.startswith(("var/lib/dpkg", "var/lib/apt"))}


def rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*), min(at) FROM second_row").fetchone()


def history_grows(machine, report, what, more_than=0):
    """Both processes, as their units start them, with a simulated unit; until there is more history. - Returns: its rows."""
    with tempfile.TemporaryFile("w+") as log:
        bms = machine.background("packbridge", "simulate", "bms", "--pty", "/tmp/bms", user="packbridge", log=log)
        run_folder = machine.root / "run/packbridge"
        run_folder.mkdir(exist_ok=True)
        for folder, user in (("run/packbridge", "packbridge"), ("var/lib/packbridge", "packbridge"), ("var/lib/packbridge-serve", "packbridge-serve")):
            (machine.root / folder).mkdir(mode=0o750, exist_ok=True)
            machine("chown", f"{user}:{user}", f"/{folder}")
        file = f"/{CONFIGURATION}"
        control = machine.background("packbridge", "control", "--config", file, "--image", "/run/packbridge/control.pbc", user="packbridge", log=log)
        serve = machine.background(
            "packbridge", "serve", "--config", file, user="packbridge-serve", variables={"STATE_DIRECTORY": "/var/lib/packbridge-serve"}, log=log)
        status = lambda: (s := machine("packbridge", "status", "--json", user="packbridge-serve")).returncode == 0 and '"transmitting":true' in s.stdout.replace(" ", "")
        report.check(f"{what}: limits are sent, and the group may look", wait_until(status, 30, 0.5))

        def grown():
            with contextlib.suppress(sqlite3.Error):
                return rows(machine.root / HISTORY)[0] > more_than

        report.check(f"{what}: the history grows", wait_until(grown, 30, 0.5))
        for process, name in ((serve, "serve"), (control, "control"), (bms, "simulate bms")):
            process.terminate()
            report.equal(f"{what}: {name} ends with 0", process.wait(30), 0)
        if report.failed:
            log.seek(0)
            print(log.read()[-3000:])
    return rows(machine.root / HISTORY)


EXAMPLE = """# edited by the owner
battery: {chemistry: lfp, cells: 16}
bms: {protocol: jk-4e57, port: /tmp/bms}
inverter: {dialect: pylontech, port: "virtual:house"}
limits: {charge: 100 A, discharge: 100 A}
web: {port: 0}
"""


def life(package, folder, machine, out):
    """Install, upgrade, remove, purge."""
    report = Report("install, upgrade, remove, purge")
    root = machine.root
    before = machine.files()
    good, said = machine.install(another(package, folder, out, "0.0.9~before"))
    report.check("it installs with what Debian 12 has", good, said[-1500:])
    if not good:
        return report
    report.check("no maintainer script complains", "error" not in said.lower(), said[-1500:])
    version = machine("packbridge", "--version").stdout.strip()
    report.check("packbridge --version", version in package.name, version)
    check = machine("packbridge", "check", f"/{CONFIGURATION}", user="packbridge")
    report.check("control can read the configuration, and it is good", check.returncode == 0 and "good" in check.stdout, check)
    report.check("others cannot", machine("cat", f"/{CONFIGURATION}", user="nobody").returncode != 0)
    report.check("serve can", machine("cat", f"/{CONFIGURATION}", user="packbridge-serve").returncode == 0)
    groups = machine("id", "-nG", "packbridge").stdout.split()
    report.check("control may use serial lines", "dialout" in groups, groups)
    soak = machine("packbridge", "simulate", "soak", "--days", "1", "--seeds", "1", user="packbridge")
    report.check("packbridge simulate works", soak.returncode == 0, soak.stdout[-300:] + soak.stderr[-300:])
    verify = machine("systemd-analyze", "verify", "--man=no", *UNITS, "packbridge-can@can0.service")
    report.check("systemd finds nothing wrong with the units", verify.returncode == 0 and "packbridge" not in verify.stderr, verify.stderr)
    report.check("nothing is started before it is configured", not list((root / "etc/systemd/system").rglob("packbridge*")))
    wrong = machine("udevadm", "test", "/sys/class/mem/null", variables={"SYSTEMD_LOG_LEVEL": "info"})
    report.check("udev reads the rules", "70-packbridge.rules" not in wrong.stderr, wrong.stderr[-500:])

    # A house: its own configuration, a secret beside it, a history.
    (root / CONFIGURATION).write_text(EXAMPLE)
    (root / "etc/packbridge/mqtt-password").write_text("sesame\n")
    count, first = history_grows(machine, report, "installed")

    def changed(copy):
        with open(copy / CONFIGURATION, "a") as file:
            file.write("# a comment of the new version\n")

    good, said = machine.install(another(package, folder, out, "99.0", changed))
    report.check("it upgrades", good, said[-1500:])
    report.equal("the configuration is the owner's", (root / CONFIGURATION).read_text(), EXAMPLE)
    report.check("the new example lies beside it", (root / f"{CONFIGURATION}.dpkg-dist").exists())
    report.check("its access is what it was", machine("stat", "-c", "%U:%G %a", f"/{CONFIGURATION}").stdout.strip() == "root:packbridge 640")
    report.check("the history is there", (root / HISTORY).exists() and rows(root / HISTORY) == (count, first))
    more, still = history_grows(machine, report, "upgraded", count)
    report.check("and goes on from where it was", more > count and still == first, (count, first, more, still))

    good = machine("apt-get", "-q", "remove", "-y", "packbridge")
    report.check("it is removed", good.returncode == 0, good.stderr)
    report.check("the programs are gone", not list((root / "usr/bin").glob("packbridge*")))
    report.equal("configuration stays", (root / CONFIGURATION).read_text(), EXAMPLE)
    report.equal("history stays", rows(root / HISTORY)[1], first)
    good = machine("apt-get", "-q", "purge", "-y", "packbridge")
    report.check("it is purged", good.returncode == 0, good.stderr)
    left = machine.files() - before
    report.check("nothing is left", not left, left)
    return report


def services(package, machine):
    """The units under systemd, in a Linux that has SocketCAN."""
    report = Report("services")
    good, said = machine.install(package)
    report.check("it installs again", good, said[-1500:])
    machine.close()
    result = subprocess.run(
        [ROOT / "scripts/run-in-vm", sys.executable, ROOT / "Tests/vm/installed_services.py", machine.root], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"VM_MEM": "900", "VM_TIMEOUT": "400", "VM_RW": ""})
    *lines, last = result.stdout.strip().split("\n") or [""]
    print("\n".join(lines))
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
    report.check("the services were judged", found, last)
    if found:
        report.passed, report.failed = report.passed + int(found[1]), report.failed + int(found[2])
    return report


def main():
    package = max(pathlib.Path(sys.argv[1]).resolve().glob("packbridge_*.deb"), key=lambda p: p.stat().st_mtime)
    if os.geteuid() != 0:
        print("a Debian in a folder needs root")
        print("0 passed, 1 failed")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="packbridge-deb-") as work:
        work = pathlib.Path(work)
        (folder := work / "content").mkdir()
        (root := work / "root").mkdir(mode=0o755)
        (out := work / "out").mkdir()
        work.chmod(0o755)
        reports = [content(package, folder)]
        machine = Machine(root)
        try:
            reports.append(life(package, folder, machine, out))
            reports.append(services(package, machine))
        finally:
            machine.close()
    print(f"{time.monotonic() - began:.0f} s")
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
