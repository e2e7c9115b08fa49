#!/usr/bin/env python3
"""`packbridge run` keeps the page alive and the bus undisturbed: serve killed, hung, crashing again and again, missing; the ends of
both processes; the configuration that serve is given. Judged on the bus, by the processes themselves and by their HTTP answers.

    run_supervision.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request

from end_to_end import Bridge, healthy_pack
from isolation import MOST, PERIOD, Sets
from judging import Report, children, conclude, wait_until

#: Of serve: how long it may be silent before `run` takes it for hung.
HUNG = 20


def lives(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


class Run(Bridge):
    """`packbridge run` with what it says and whom it has started."""

    def __init__(self, binaries, web="{port: 0}", more="", state="none"):
        super().__init__(binaries, "run", "pylontech", healthy_pack(), f"web: {web}\n            {more}", state)
        self.sets = Sets(self.near)

    @property
    def said(self):
        return (pathlib.Path(self.folder.name) / "log").read_text()

    @property
    def serve(self):
        return children(self.process.pid).get("packbridge-serv")

    @property
    def control(self):
        return children(self.process.pid).get("packbridge-cont")

    @property
    def port(self):
        """Of the newest page."""
        return int(re.findall(r"the page is at \S+:(\d+)", self.said)[-1])

    def page(self):
        """True when the newest page answers."""
        addresses = re.findall(r"the page is at (\S+)", self.said)
        with contextlib.suppress(OSError):
            return bool(addresses) and urllib.request.urlopen(addresses[-1], timeout=2).status == 200
        return False

    def steady(self, report, what, since):
        count, jitter = self.sets.jitter(since, time.monotonic())
        expected = (time.monotonic() - since) / PERIOD
        report.check(f"{what}: the frames go on", count >= expected - 1, f"({count} sets, {expected:.0f} expected)")
        report.check(f"{what}: no set moves by more than {MOST:.0%} of the period", jitter <= MOST * PERIOD, f"({jitter * 1000:.0f} ms)")


def started(report, bridge):
    report.check("the page is there", wait_until(bridge.page, 40))
    report.check("the frames are there", wait_until(lambda: len(bridge.sets.times) > 3, 30))


def killed_and_hung(binaries):
    report = Report("serve is killed and hung")
    bridge = Run(binaries)
    try:
        started(report, bridge)
        control = bridge.control

        begun = time.monotonic()
        for attempt in (1, 2):
            victim = bridge.serve
            os.kill(victim, signal.SIGKILL)
            report.check(f"a killed serve comes back ({attempt})", wait_until(lambda: bridge.serve not in (None, victim) and bridge.page(), 20))
        waits = [float(w) for w in re.findall(r"killed by signal 9 after \d+ s; it starts again in ([\d.]+) s", bridge.said)]
        report.check("it waits 1 s and 2 s, each up to half longer", len(waits) == 2 and 1 <= waits[0] <= 1.5 and 2 <= waits[1] <= 3, waits)
        bridge.steady(report, "killed", begun)

        begun, victim = time.monotonic(), bridge.serve
        os.kill(victim, signal.SIGSTOP)
        gone = wait_until(lambda: not lives(victim), HUNG + 15)
        report.check("a hung serve is noticed", gone and "hangs" in bridge.said, bridge.said[-300:])
        report.check("not before its time", time.monotonic() - begun >= HUNG - 5, f"({time.monotonic() - begun:.0f} s)")
        report.check("a hung serve comes back", wait_until(lambda: bridge.serve not in (None, victim) and bridge.page(), 20))
        bridge.steady(report, "hung", begun)
        report.check("the control process is the same all the time", bridge.control == control and lives(control))

        serve, ends = bridge.serve, {}
        bridge.process.send_signal(signal.SIGTERM)
        while len(ends) < 2 and time.monotonic() < begun + 120:
            for name, pid in (("serve", serve), ("control", control)):
                if name not in ends and not lives(pid):
                    ends[name] = time.monotonic()
            time.sleep(0.002)
        report.check("SIGTERM ends serve first, control last", ends["serve"] < ends["control"], ends)
    finally:
        code, log = bridge.stop()
        report.check("packbridge run ends with 0", code == 0, f"(code {code})")
        if report.failed:
            print(log)
    return report


def hung_at_the_end(binaries):
    report = Report("serve hangs at the end")
    bridge = Run(binaries)
    try:
        started(report, bridge)
        serve, control = bridge.serve, bridge.control
        os.kill(serve, signal.SIGSTOP)
        begun = time.monotonic()
        bridge.process.send_signal(signal.SIGINT)
        report.check("a hung serve holds the end up for 4 s", wait_until(lambda: not lives(serve), 6))
        report.check("the frames go on meanwhile", lives(control))
        bridge.process.send_signal(signal.SIGINT)
        bridge.process.wait(25)
        report.check("a second signal spares the ramp", time.monotonic() - begun < 10, f"({time.monotonic() - begun:.1f} s)")
        report.check("nothing is left", not lives(serve) and not lives(control))
    finally:
        code, log = bridge.stop()
        report.check("packbridge run ends with 0", code == 0, f"(code {code}) {log}")
    return report


def crashing(binaries):
    """The port of the page belongs to somebody else."""
    report = Report("serve crashes again and again")
    with socket.create_server(("127.0.0.1", 0)) as other:
        bridge = Run(binaries, f"{{port: {other.getsockname()[1]}}}")
        try:
            report.check("the frames are there", wait_until(lambda: len(bridge.sets.times) > 3, 30))
            begun = time.monotonic()
            found = lambda: [float(w) for w in re.findall(r"ended with code 1 after \d+ s; it starts again in ([\d.]+) s", bridge.said)]
            report.check("it is tried four times", wait_until(lambda: len(found()) >= 4, 60), bridge.said[-500:])
            waits = found()[:4]
            report.check("each time later", all(base <= wait <= base * 1.5 for base, wait in zip((1, 2, 4, 8), waits)), waits)
            report.check("it says why", "in use" in bridge.said.lower(), bridge.said[-500:])
            bridge.steady(report, "crashing", begun)
            other.close()
            report.check("when the port is free the page comes", wait_until(bridge.page, 40))
        finally:
            code, log = bridge.stop()
            report.check("packbridge run ends with 0", code == 0, f"(code {code})")
            if report.failed:
                print(log)
    return report


def missing(binaries):
    report = Report("serve is missing")
    with tempfile.TemporaryDirectory(prefix="packbridge-", dir=binaries) as folder:
        for name in ("packbridge", "packbridge-control"):
            os.link((binaries / name).resolve(), pathlib.Path(folder) / name)
        bridge = Run(pathlib.Path(folder))
        try:
            report.check("the frames are there", wait_until(lambda: len(bridge.sets.times) > 3, 30))
            report.equal("it is said, once", bridge.said.count("packbridge-serve is missing"), 1)
        finally:
            code, log = bridge.stop()
            report.check("packbridge run ends with 0", code == 0, f"(code {code}) {log}")
    return report


def parent_killed(binaries):
    report = Report("run itself is killed")
    bridge = Run(binaries)
    started(report, bridge)
    serve, control = bridge.serve, bridge.control
    bridge.process.kill()
    bridge.process.wait()
    # The control process lets its limits come down first.
    report.check("nothing is left behind", wait_until(lambda: not lives(serve) and not lives(control), 25))
    return report


def control_killed(binaries):
    report = Report("control is killed")
    bridge = Run(binaries)
    try:
        started(report, bridge)
        serve, control = bridge.serve, bridge.control
        os.kill(control, signal.SIGKILL)
        report.check("it is started again", wait_until(lambda: bridge.control not in (None, control), 5))
        os.kill(bridge.control, signal.SIGKILL)
        report.check("one that has just been started waits", wait_until(lambda: "it starts again in 1 s" in bridge.said, 5), bridge.said)
        before = len(bridge.sets.times)
        report.check("the frames come back", wait_until(lambda: len(bridge.sets.times) > before + 2, 20))
        report.check("serve is the same", bridge.serve == serve)
    finally:
        code, log = bridge.stop()
        report.check("packbridge run ends with 0", code == 0, f"(code {code}) {log}")
    return report


def read_again(binaries):
    """SIGHUP: a good file comes into force without a gap on the bus, a bad one changes nothing."""
    report = Report("the configuration is read again")
    bridge = Run(binaries)
    try:
        started(report, bridge)
        report.check("the limits rise", bridge.bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 120.0, 60))
        control, serve, begun = bridge.control, bridge.serve, time.monotonic()
        good = bridge.configuration.read_text()
        bridge.configuration.write_text(good.replace("charge: 120 A", "charge: 120 V"))
        bridge.process.send_signal(signal.SIGHUP)
        report.check("a bad file is refused with its line", wait_until(lambda: "packbridge.yaml:5: limits.charge" in bridge.said, 5), bridge.said)
        time.sleep(2)
        report.equal("and changes nothing", bridge.bus.latest[0x351]["ChargeCurrentLimit"], 120.0, 0.001)
        bridge.configuration.write_text(good.replace("charge: 120 A", "charge: 40 A"))
        bridge.process.send_signal(signal.SIGHUP)
        report.check("a new limit is on the bus", bridge.bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 40.0, 5), bridge.said)
        report.check("by the same processes", (bridge.control, bridge.serve) == (control, serve))
        bridge.configuration.write_text(good.replace("charge: 120 A", "charge: 40 A").replace("{port: 0}", "{port: 0, streams: 7}"))
        bridge.process.send_signal(signal.SIGHUP)
        report.check("serve starts anew when its part has changed", wait_until(
            lambda: bridge.serve not in (None, serve) and bridge.said.count("the page is at") == 2 and bridge.page(), 20), bridge.said)
        report.check("control does not", bridge.control == control)
        bridge.steady(report, "read again", begun)
    finally:
        code, log = bridge.stop()
        report.check("packbridge run ends with 0", code == 0, f"(code {code}) {log}")
    return report


def everything_configured(binaries):
    """The configuration that `packbridge serve` writes, with every key of the file, is taken by packbridge-serve."""
    report = Report("every key of the file")
    with tempfile.TemporaryDirectory(prefix="packbridge-") as folder:
        pem = lambda name: f"{folder}/{name}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", pem("key"), "-out", pem("cert")],
            check=True, capture_output=True)
        pathlib.Path(pem("secret")).write_text("sesame\n")
        tool = lambda *words, given="": subprocess.run([binaries / "packbridge", *words], input=given, capture_output=True, text=True)
        owner, reader = tool("password", given="sun and moon\n").stdout, tool("password", "--reader", given="moon and sun\n").stdout
        token, entry = tool("token", "test-1").stdout.splitlines()
        token = token.removeprefix("token: ")
        short = tool("password", given="short\n")
        report.check("a short password is refused", short.returncode == 1 and short.stdout == "" and "8" in short.stderr, short)
        file = pathlib.Path(folder) / "packbridge.yaml"
        file.write_text(f"""
battery: {{chemistry: lfp, cells: 16}}
bms: {{protocol: jk-4e57, port: /dev/ttyUSB0}}
inverter: {{dialect: pylontech, port: "socketcan:can0"}}
limits: {{charge: 1 A, discharge: 1 A}}
files: {{state: none, link: {folder}/link}}
site: {{name: Barn, time_zone: Europe/Berlin, packs: [Left]}}
web:
  bind: 127.0.0.1
  port: 0
  host_names: [battery.lan]
  streams: 20
  tls_certificate: {pem("cert")}
  tls_key: {pem("key")}
{owner}{reader}  loopback_needs_login: true
  tokens:
{entry}
history: {{folder: {folder}, at_most: 20 MB}}
mqtt:
  {{host: 127.0.0.1, port: 9, client_id: barn, user: anna, password_file: {pem("secret")}, tls: true, authority: {pem("cert")},
   client_certificate: {pem("cert")}, client_key: {pem("key")}, topic: barn, discovery: entity, discovery_topic: ha, interval: 7 s,
   commands: true}}
notifications: {{url: "https://127.0.0.1:9/x", severity: alarm, token_file: {pem("secret")}, at_most_per_hour: 3}}
""")
        check = tool("check", str(file))
        report.check("packbridge check finds it good", check.returncode == 0 and "hint" not in check.stdout, check)
        with open(f"{folder}/log", "w+") as log:
            serve = subprocess.Popen([binaries / "packbridge", "serve", "--config", file], stdout=log, stderr=subprocess.STDOUT)
            said = lambda: pathlib.Path(log.name).read_text()
            try:
                found = wait_until(lambda: re.search(r"^packbridge-serve: (https://\S+)", said(), re.M), 30)
                report.check("packbridge-serve takes it, with TLS", found, said())
                if found:
                    trusting = ssl.create_default_context(cafile=pem("cert"))
                    trusting.check_hostname = False

                    def status(*headers):
                        request = urllib.request.Request(found[1] + "/api/v1/status", headers=dict(headers))
                        try:
                            with urllib.request.urlopen(request, context=trusting, timeout=5) as answer:
                                return answer.status
                        except urllib.error.HTTPError as error:
                            return error.code

                    report.equal("without a login nothing is shown", status(), 401)
                    report.equal("the token opens", status(("Authorization", f"Bearer {token}")), 200)
                    report.check("the history is where it was told", wait_until((pathlib.Path(folder) / "history.db").exists, 5))
            finally:
                serve.terminate()
                report.equal("packbridge serve ends with 0", serve.wait(15), 0)
        # So that the acceptance above means something: a key that does not exist is refused.
        unknown = pathlib.Path(folder) / "unknown.json"
        unknown.write_text(json.dumps({"web": {"binds": "127.0.0.1"}}))
        refused = subprocess.run([binaries / "packbridge-serve", "--from", f"{folder}/link", "--config", unknown], capture_output=True, text=True)
        report.check("packbridge-serve refuses what it does not know", refused.returncode == 78 and "web.binds" in refused.stderr, refused)
    return report


def password_on_a_terminal(binaries):
    report = Report("a password on a terminal")

    def ask(*lines):
        """What the terminal showed, the exit code, and whether the terminal echoes afterwards."""
        pid, master = pty.fork()
        if pid == 0:
            os.execv(binaries / "packbridge", ["packbridge", "password"])
        shown, waiting, end = b"", list(lines), time.monotonic() + 20
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                shown += os.read(master, 1024)
                if waiting and shown.count(b": ") > len(lines) - len(waiting):
                    os.write(master, waiting.pop(0))
        echoes = True
        with contextlib.suppress(termios.error):
            echoes = bool(termios.tcgetattr(master)[3] & termios.ECHO)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(master)
        return shown.decode(), code, echoes

    shown, code, echoes = ask(b"sun and moan\x7f\x7fon\r", b"sun and moon\r")
    report.check("the line for the configuration is printed", code == 0 and "  password_hash: $y$" in shown, (code, shown))
    report.check("what is typed is not shown", "sun" not in shown and "moon" not in shown, shown)
    report.check("the terminal echoes again", echoes)
    shown, code, echoes = ask(b"sun and moon\r", b"sun and moan\r")
    report.check("two that differ are refused", code == 1 and "not the same" in shown and "$y$" not in shown, (code, shown))
    shown, code, echoes = ask(b"sun\x03")
    report.check("Ctrl-C ends it and leaves the terminal as it was", code == 1 and echoes, (code, shown))
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    scenarios = [killed_and_hung, hung_at_the_end, crashing, missing, parent_killed, control_killed, read_again, everything_configured, password_on_a_terminal]
    wanted = sys.argv[2:]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reports = [one.result() for one in [pool.submit(s, binaries) for s in scenarios if not wanted or s.__name__ in wanted]]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
