#!/usr/bin/env python3
"""The installed package under a real systemd with real SocketCAN: its units with everything that they forbid, killed, reloaded, stopped.

    scripts/run-in-vm python3 Tests/vm/installed_services.py DEBIAN_ROOT

Needs a throw-away Linux: Tests/peers/debian_package.py starts it there. The systemd runs in a PID namespace, as in a container, on the
network of the guest. The last line counts the checks: `N passed, N failed`.
"""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))

from judging import Report, conclude, wait_until  # noqa: E402

CONFIGURATION = """battery: {chemistry: lfp, cells: 16}
bms: {protocol: jk-4e57, port: /run/bms}
inverter: {dialect: pylontech, port: "socketcan:vcan0"}
limits: {charge: 90 A, discharge: 100 A}
"""
#: A simulated unit is behind a pseudo-terminal, which the unit file rightly does not allow.
DROP_IN = "[Service]\nDeviceAllow=char-136 rw\n"
#: What a container needs nothing of, and what takes time.
MASKED = ("systemd-udevd.service", "systemd-udev-trigger.service", "console-getty.service", "getty@tty1.service", "getty-static.service",
          "getty.target", "e2scrub_reap.service", "systemd-udevd-kernel.socket", "systemd-udevd-control.socket", "network-online.target",
          "timers.target", "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service", "systemd-update-utmp.service")


def shell(*words, **options):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)


class Machine:
    """systemd as the first process of a container in `root`."""

    def __init__(self, root):
        self.root = root
        shell("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
        shell("mount", "--bind", root, root, check=True)
        for kind, place in (("tmpfs", "run"), ("tmpfs", "tmp"), ("sysfs", "sys")):
            shell("mount", "-t", kind, kind, root / place, check=True)
        for place in ("dev", "sys/fs/cgroup"):
            shell("mount", "--rbind", f"/{place}", root / place, check=True)
        for unit in MASKED:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        for unit in ("control", "serve"):
            shell("systemctl", f"--root={root}", "enable", f"packbridge-{unit}.service", check=True)
        drop_in = root / "etc/systemd/system/packbridge-control.service.d/test.conf"
        drop_in.parent.mkdir()
        drop_in.write_text(DROP_IN)
        (root / "etc/packbridge/packbridge.yaml").write_text(CONFIGURATION)
        # Out of the guest's chroot first: in one, the kernel makes no user namespace (PrivateUsers).
        outside = f"{os.environ['run']}/overlay/root{root}"
        self.unshare = subprocess.Popen(
            ["nsenter", "-t", "1", "-m", "unshare", "--pid", "--fork", "--mount", "--uts", "sh", "-c",
             f"cd {outside} && mount -t proc proc proc && mount -n --move . /; container=vm exec chroot . /lib/systemd/systemd --log-target=null --show-status=no"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.first = wait_until(self._first, 10)
        wait_until(lambda: self("systemctl", "is-system-running").stdout.strip() not in ("", "offline"), 30, 0.2)

    def _first(self):
        return pathlib.Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children").read_text().strip()

    def inside(self, *words, user=None):
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return ["nsenter", "-t", self.first, "-p", "-m", "--root", "--wd", *as_user, *words]

    def __call__(self, *words, user=None):
        return shell(*self.inside(*words, user=user))

    def unit(self, name, what):
        return self("systemctl", "show", "--value", "-p", what, f"packbridge-{name}.service").stdout.strip()

    def active(self, name):
        return self.unit(name, "ActiveState") == "active"


class Bus:
    """The charge limit of every set on the bus."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        self.socket.bind(("vcan0",))
        self.sets = []  # (time, A)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while frame := self.socket.recv(16):
            if struct.unpack("<I", frame[:4])[0] == 0x351:
                self.sets.append((time.monotonic(), struct.unpack("<h", frame[10:12])[0] / 10))

    def limit(self):
        return self.sets[-1][1] if self.sets and time.monotonic() - self.sets[-1][0] < 3 else None

    def longest_gap(self, since):
        times = [t for t, _ in self.sets if t >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=99)


def page():
    with contextlib.suppress(OSError):
        return urllib.request.urlopen("http://127.0.0.1:8080/api/v1/status", timeout=3).status == 200


def main():
    report = Report("services")
    bus = Bus()
    began = time.monotonic()
    machine = Machine(pathlib.Path(sys.argv[1]))
    bms = subprocess.Popen(
        machine.inside("packbridge", "simulate", "bms", "--pty", "/run/bms", "--current=-10"), stdout=subprocess.DEVNULL)
    try:
        report.check("a simulated unit is there", wait_until((machine.root / "run/bms").is_symlink, 30))
        terminal = os.readlink(machine.root / "run/bms")
        os.chown(terminal, 0, 20)  # dialout, as udev does with a serial port
        os.chmod(terminal, 0o660)
        report.check("systemd finds both units ready", wait_until(lambda: machine.active("control") and machine.active("serve"), 90, 0.5))
        print(f"both are ready after {time.monotonic() - began:.0f} s", flush=True)
        report.check("the limits rise on the bus", wait_until(lambda: bus.limit() == 90.0, 90, 0.2), bus.sets[-1:])
        report.check("the page is there", wait_until(page, 30, 0.5))
        status = machine("packbridge", "status", "--json", user="packbridge-serve")
        report.check("the group packbridge reads Link", status.returncode == 0 and '"transmitting"' in status.stdout, status.stderr)
        report.check("others do not", machine("packbridge", "status", "--json", user="nobody").returncode != 0)
        control, serve = machine.unit("control", "MainPID"), machine.unit("serve", "MainPID")
        owners = [machine("stat", "-c", "%U", f"/proc/{pid}").stdout.strip() for pid in (control, serve)]
        report.equal("each has a user of its own", owners, ["packbridge", "packbridge-serve"])
        held = machine("grep", "CapEff", f"/proc/{control}/status").stdout.split()[-1]
        report.equal("control has CAP_NET_ADMIN and nothing else", int(held, 16), 1 << 12)
        held = machine("grep", "CapEff", f"/proc/{serve}/status").stdout.split()[-1]
        report.equal("serve has no capability", int(held, 16), 0)
        killed = machine("kill", "-KILL", control, user="packbridge-serve")
        report.check("the user of serve cannot signal control", killed.returncode != 0 and machine.unit("control", "MainPID") == control, killed)
        report.check("systemd watches both", all(machine.unit(n, "WatchdogUSec") not in ("0", "infinity", "") for n in ("control", "serve")))

        since = time.monotonic()
        machine("systemctl", "kill", "-s", "KILL", "packbridge-serve.service")
        report.check("a killed serve comes back", wait_until(lambda: machine.unit("serve", "MainPID") not in ("0", serve) and page(), 40, 0.5))
        machine("systemctl", "stop", "packbridge-serve.service")
        time.sleep(2)
        report.check("control does not notice", machine.unit("control", "MainPID") == control and bus.longest_gap(since) < 1.5, bus.longest_gap(since))
        machine("systemctl", "start", "packbridge-serve.service")

        # The clock on the wall says nothing about limits: three days forward, a year back, to before anybody set it.
        since = time.monotonic()
        for jump in ("+3 days", "-1 year", "1970-01-02"):
            shell("date", "-s", jump, check=True)
            time.sleep(4)
        report.check("a clock that jumps moves no frame", bus.longest_gap(since) < 1.5, bus.longest_gap(since))
        report.check("and no limit", all(a == 90.0 for t, a in bus.sets if t > since), [a for t, a in bus.sets if t > since])
        report.check("nor does it end a process", machine.unit("control", "MainPID") == control and wait_until(page, 20, 0.5))

        since = time.monotonic()
        file = machine.root / "etc/packbridge/packbridge.yaml"
        file.write_text(CONFIGURATION.replace("charge: 90 A", "charge: 90 V"))
        refused = machine("systemctl", "reload", "packbridge-control.service")
        report.check("a bad configuration is refused at the reload", refused.returncode != 0 and machine.active("control"), refused)
        file.write_text(CONFIGURATION.replace("charge: 90 A", "charge: 40 A"))
        good = machine("systemctl", "reload", "packbridge-control.service")
        report.check("a good one is on the bus", good.returncode == 0 and wait_until(lambda: bus.limit() == 40.0, 10, 0.1), (good, bus.sets[-1:]))
        report.check("by the same process, without a gap", machine.unit("control", "MainPID") == control and bus.longest_gap(since) < 1.5, bus.longest_gap(since))

        machine("systemctl", "kill", "-s", "KILL", "packbridge-control.service")
        report.check("a killed control is started again", wait_until(lambda: machine.unit("control", "MainPID") not in ("0", control), 20, 0.2))
        # Of the new process, not the last set of the old one.
        bus.sets.clear()
        report.check("and its limits come back", wait_until(lambda: bus.limit() == 40.0, 90, 0.2), bus.sets[-1:])

        # can-up, on an interface that it may change.
        up = machine("/usr/libexec/packbridge/can-up", "vcan1")
        link = shell("ip", "-o", "link", "show", "vcan1").stdout
        report.check("can-up brings an interface up with a queue of one set", up.returncode == 0 and "UP" in link and "qlen 16" in link, (up, link))
        report.check("can-up refuses what is no CAN interface", machine("/usr/libexec/packbridge/can-up", "lo").returncode == 1)

        since = time.monotonic()
        stopped = machine("systemctl", "stop", "packbridge-control.service")
        last = [a for t, a in bus.sets if t > since]
        report.check("a planned stop lets the limits come down to a tenth of the capacity first", last and last[-1] <= 28.0 and machine.unit("control", "Result") == "success",
                     (time.monotonic() - since, stopped, last[-3:]))
        time.sleep(2)
        report.check("then the bus is silent", bus.limit() is None or time.monotonic() - bus.sets[-1][0] > 1.5)
    finally:
        bms.terminate()
        if report.failed or sys.exc_info()[0]:
            print(machine("journalctl", "--no-pager", "-n", "60", "-o", "cat", "-u", "packbridge-*").stdout)
    return conclude([report])


if __name__ == "__main__":
    sys.exit(main())
