#!/usr/bin/env python3
"""`packbridge serve` in front of the firmware: it reads the console of the board in QEMU over a pseudo-terminal as it would read
/dev/ttyACM0. What its API says is compared with the CAN frames that leave QEMU, and what is ordered through it has to come out of them.

    qemu_serve.py IMAGE BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from machine import Machine, build_fakecan
from judging import Report, conclude, wait_until
from qemu_bridge import ALARMS, CONFIGURATION, LIMITS, MEASURE, STATE, healthy_pack, is_full


class Serve:
    """`packbridge serve --from` the board's port."""

    def __init__(self, binaries, port, folder):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "serve.log"
        configuration = self.folder / "serve.yaml"
        configuration.write_text(CONFIGURATION + f"web: {{port: 0}}\nhistory: {{folder: {folder}}}\n")
        self.process = subprocess.Popen(
            [binaries / "packbridge", "serve", "--from", f"tty:{port}", "--config", configuration],
            stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        said = wait_until(lambda: [line for line in self.log.read_text().splitlines() if "://127" in line], 30)
        assert said, self.log.read_text()
        self.url = "http://127.0.0.1:" + said[0].rsplit(":", 1)[1]

    def get(self, path):
        """The JSON document, or nothing while there is none."""
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(self.url + "/api/v1/" + path, timeout=10) as answer:
                return json.load(answer)
        return {}

    def snapshot(self):
        return self.get("snapshot")

    def order(self, order, **values):
        """The status of the answer, and the answer."""
        request = urllib.request.Request(
            self.url + "/api/v1/commands", json.dumps({"order": order, **values}).encode(),
            {"Content-Type": "application/json", "X-CSRF-Token": "judge"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def wait(self, condition, seconds, document="snapshot"):
        """The first document that fulfils the condition; None when time is over."""
        def look():
            with contextlib.suppress(KeyError, IndexError):
                if condition(found := self.get(document)):
                    return found
        return wait_until(look, seconds, 0.2)

    def stop(self):
        self.process.terminate()
        return self.process.wait(15)


class Stream:
    """A page that watches: the events of the live stream by name."""

    def __init__(self, url):
        self.events = []
        self._answer = urllib.request.urlopen(url + "/api/v1/stream", timeout=60)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        name = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self._answer:
                text = line.decode().rstrip("\n")
                if text.startswith("event:"):
                    name = text[6:].strip()
                elif text.startswith("data:") and name:
                    self.events.append((time.monotonic(), name, json.loads(text[5:])))

    def of(self, name):
        return [(at, document) for at, event, document in list(self.events) if event == name]


class Cabinet:
    """The board with its flash, and the port by one name although each QEMU has another pseudo-terminal."""

    def __init__(self, image, fakecan, folder):
        self.image, self.fakecan = image, fakecan
        self.port = pathlib.Path(folder) / "board"
        self.flash = pathlib.Path(folder) / "flash"
        self.machine = None

    def power_on(self):
        self.machine = Machine(self.image, self.fakecan, healthy_pack(), pty=True, flash=self.flash)
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(self.machine.console_path)
        return self.machine.inverter, self.machine.unit

    def power_off(self):
        return self.machine.stop()


def told(bus):
    """What the inverter was told last, in the units of the API: limits in mA and mV, 0.01 %."""
    limits, state = bus.latest[LIMITS], bus.latest[STATE]
    return (round(limits["ChargeCurrentLimit"] * 1000), round(limits["DischargeCurrentLimit"] * 1000),
            round(limits["ChargeVoltage"] * 1000), round(state["SOC"] * 100))


def shown(snapshot):
    """The same out of the API."""
    limits = snapshot["limits"]
    return (limits["charge_current"]["mA"], limits["discharge_current"]["mA"], limits["charge_voltage"]["mV"],
            snapshot["bank"]["soc_cpct"] // 100 * 100)


def agree(serve, bus, seconds=10):
    """Page and bus say the same; a frame and a snapshot of the same second are not there at the same moment."""
    return wait_until(lambda: bus.latest.get(LIMITS) and (now := serve.snapshot()) and shown(now) == told(bus) and now, seconds, 0.2)


def is_good(status):
    return status["health"]["link"] == "ok" and status["health"]["overall"] == "ok"


def check_same(report, what, serve, bus):
    report.check(f"{what}: limits, voltage and state of charge are those of the frames", agree(serve, bus),
                 (shown(serve.snapshot()), told(bus)))


def check_live(report, serve, bus, unit, stream):
    """What the unit measures and why the limits are what they are."""
    pack = unit.pack
    now = serve.snapshot()
    report.equal("protocol of the line", now["bms_ports"][0]["protocol"], "jk_4e57")
    report.check("the cells are those of the unit", now["packs"][0]["cells_mV"][:15] == pack.cells_mV[:15], now["packs"][0]["cells_mV"])
    report.check("a limit tells its reason",
                 now["limits"]["discharge_current"]["reason"]["text"].endswith("bank limit of the configuration"),
                 now["limits"]["discharge_current"]["reason"])
    report.equal("what the owner allows", now["limits"]["charge_current"]["configured_mA"], 120_000)
    pack.current_mA = 40_000
    report.check("a change of the current comes to the page", serve.wait(lambda s: s["bank"]["current_mA"] == 40_000, 10))
    report.check("and to the bus", bus.wait(MEASURE, lambda s: abs(s["Current"] - 40) < 0.01, 10))
    streamed = wait_until(lambda: [s for _, s in stream.of("snapshot") if s["bank"]["current_mA"] == 40_000], 10)
    report.check("and into the live stream", streamed)
    times = [at for at, _ in stream.of("snapshot")]
    gaps = [b - a for a, b in zip(times, times[1:])]
    report.check("the stream moves each second", gaps and sorted(gaps)[len(gaps) // 2] < 1.5, gaps)


def check_alarm(report, serve, bus, unit):
    unit.pack.warnings = 1 << 10  # a cell over its voltage limit
    stopped = bus.wait(LIMITS, lambda s: s["ChargeCurrentLimit"] == 0, 10)
    report.check("an alarm stops charging on the bus", stopped)
    report.check("and is raised there", bus.wait(ALARMS, lambda s: s["Alarm_HighVoltage"] == 1, 10))
    seen = serve.wait(lambda s: s["limits"]["charge_current"]["mA"] == 0 and s["packs"][0]["alarms"], 10)
    report.check("the page says 0 A", seen)
    if seen:
        report.equal("because of", seen["packs"][0]["alarms"][0]["name"], "cell_over_voltage")
    heard = serve.wait(lambda d: any(e["kind"] == "pack_alarms" for e in d["events"]), 10, "events")
    report.check("and it is among the events", heard)
    unit.pack.warnings = 0
    back = bus.wait(LIMITS, lambda s: s["ChargeCurrentLimit"] > 1, 120)
    report.check("when it is over the limit comes back", back)
    report.check("on the page, too", serve.wait(lambda s: s["limits"]["charge_current"]["mA"] > 1000, 10))


def check_orders(report, serve, bus):
    """An order tightens at once and shows in the frames; one that would loosen changes nothing; `resume` takes it back."""
    code, answer = serve.order("charge_cap", value=20_000, time_to_live_s=300)
    report.equal("a cap is accepted", code, 200)
    capped = bus.wait(LIMITS, lambda s: s["ChargeCurrentLimit"] <= 20.0, 10)
    report.check("and is in the frames", capped, (answer, bus.latest[LIMITS]))
    # Pylontech rounds down to 0.1 A, and the firmware to what the inverter can be told.
    report.check("neither less", capped and capped["ChargeCurrentLimit"] == 20.0, capped)
    report.check("the other limit stays", capped and capped["DischargeCurrentLimit"] == 130.0, capped)
    check_same(report, "under an order", serve, bus)
    now = serve.snapshot()
    report.check("the page lists the order", [c["order"] for c in now["commands"]] == ["charge_cap"], now["commands"])
    report.equal("and gives it as the reason", now["limits"]["charge_current"]["reason"]["rule"], "command")
    mark = len(bus.frames)
    code, answer = serve.order("discharge_cap", value=400_000, time_to_live_s=60)
    time.sleep(3)
    raised = [s for _, i, _, s in bus.frames[mark:] if i == LIMITS and s["DischargeCurrentLimit"] > 130.0]
    report.check("an order above the configuration raises nothing", not raised, (code, answer, raised[:1]))
    code, answer = serve.order("charge_cap", value=20_000, time_to_live_s=100_000)
    report.equal("an order for too long is refused", code, 400)
    code, answer = serve.order("acknowledge", value=1)
    report.check("the board's own refusal comes back with its reason", code == 409 and "nothing to acknowledge" in json.dumps(answer), (code, answer))
    report.equal("resume is accepted", serve.order("resume")[0], 200)
    report.check("and the limit rises again", bus.wait(LIMITS, lambda s: s["ChargeCurrentLimit"] > 25, 60), bus.latest[LIMITS])


def check_history(report, serve, began):
    now = int(time.time() * 1000)
    names = [s["name"] for s in serve.get("series").get("series", [])]
    wanted = [n for n in names if n.endswith("charge_limit") or n.endswith("soc")]
    report.check("the history knows limits and state of charge", len(wanted) >= 2, names)
    curve = serve.get(f"history?series=bank.soc&from={began}&to={now}&resolution=second").get("series", [{}])
    report.check("and has kept the seconds", "63" in json.dumps(curve) and len(json.dumps(curve)) > 100, curve)


def served(image, fakecan, binaries):
    report = Report("serve in front of the board")
    check = report.check
    with tempfile.TemporaryDirectory(prefix="packbridge-serve-") as folder:
        cabinet = Cabinet(image, fakecan, folder)
        bus, unit = cabinet.power_on()
        file = pathlib.Path(folder) / "packbridge.yaml"
        file.write_text(CONFIGURATION)
        check("the factory state sends frames", bus.wait(LIMITS, lambda s: True, 30))
        done = subprocess.run(
            [binaries / "packbridge", "firmware", "configure", "--port", cabinet.port, file], capture_output=True, text=True, timeout=60)
        check("configure is confirmed", done.returncode == 0, done.stdout + done.stderr)
        # The same for a board that is switched off and on; see `Course.has_restarted`.
        check("the board restarts with it", wait_until(lambda: bus.of(LIMITS)[-1][1]["DischargeCurrentLimit"] > 0, 60))
        cabinet.power_off()
        bus, unit = cabinet.power_on()
        began = int(time.time() * 1000)
        serve = Serve(binaries, cabinet.port, folder)
        try:
            check("serve hears the board", serve.wait(lambda s: s["link"]["connected"] and s["link"]["snapshots"] > 0, 30, "status"),
                  serve.log.read_text())
            check("the limits rise to what is configured", bus.wait(LIMITS, is_full, 120), bus.latest.get(LIMITS))
            check("everything is called good", serve.wait(is_good, 20, "status"), serve.get("status").get("health"))
            check_same(report, "at rest", serve, bus)
            stream = Stream(serve.url)
            check_live(report, serve, bus, unit, stream)
            check_orders(report, serve, bus)
            check_alarm(report, serve, bus, unit)
            check_history(report, serve, began)

            before = serve.get("status")["link"]
            cabinet.power_off()
            lost = serve.wait(lambda s: s["health"]["link"] == "lost", 30, "status")
            check("a board without power is called lost", lost, serve.get("status").get("health"))
            check("by the name of its port", lost and str(cabinet.port) in json.dumps(lost["health"]["problems"]), lost and lost["health"])
            check("and nothing of it is called good", lost and "ok" not in (lost["health"][k] for k in ("overall", "bms", "can", "heartbeat")),
                  lost and lost["health"])
            code, answer = serve.order("pause_charge", time_to_live_s=60)
            check("an order is not accepted without it", code == 503, (code, answer))

            bus, unit = cabinet.power_on()
            back = serve.wait(lambda s: s["health"]["link"] == "ok" and s["link"]["reconnects"] > before["reconnects"], 60, "status")
            check("when it is back serve hears it again", back, serve.log.read_text())
            check("the limits rise again", bus.wait(LIMITS, is_full, 120), bus.latest.get(LIMITS))
            check_same(report, "after the restart", serve, bus)
            now = serve.snapshot()
            check("the page knows that the board started anew", now["control"]["uptime_s"] < 120, now["control"])
            check("everything is called good again", serve.wait(is_good, 20, "status"), serve.get("status").get("health"))
            outages = serve.get("events?kind=link").get("events", [])
            check("the events tell how long it was away", len(outages) == 1 and outages[0].get("until_ms"), outages)
            check("the live stream went on", wait_until(lambda: time.monotonic() - stream.of("snapshot")[-1][0] < 2, 5))
            report.equal("frames that the DBC does not know", bus.undecoded[:2], [])
        finally:
            report.equal("exit code of serve", serve.stop(), 0)
            log = cabinet.power_off()
            if report.failed:
                print(log[-300:], serve.log.read_text()[-2000:])
    return report


def main():
    image, binaries = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        return conclude([served(image, build_fakecan(folder), binaries)])


if __name__ == "__main__":
    sys.exit(main())
