#!/usr/bin/env python3
"""How long everything takes when something dies: the times of docs/what-happens-when.md, measured on the bus with the real processes.

    times.py BINARY_DIRECTORY [SCENARIO...]       all scenarios unless some are named

One tab-separated line per time on standard output, like those of `make bench`: name, value, unit, what the rule allows, ok or short.
What the rule allows has room for one period of the frames, and for a machine that is busy with something else: how long that lets a byte
wait is measured, too. So it is a check that the rule holds, not a race.
The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import http.server
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import tty

import can

from drills import plug_in, pull_out
from end_to_end import LIMITS
from home_assistant_process import Broker
from isolation import FIRST_OF_SET, MOST, PERIOD
from judging import Report, conclude, wait_until
from mosquitto import Listener
from run_supervision import HUNG, Run, lives, started

LIMITS_FRAME, LAST_OF_SET, HEARTBEAT = LIMITS["pylontech"], 0x35E, 0x305
CHARGE, DISCHARGE = "ChargeCurrentLimit", "DischargeCurrentLimit"
BOTH = (CHARGE, DISCHARGE)
#: From one set to the next: the period and the part of it by which a set may move.
STEADY = PERIOD * (1 + MOST)
#: The same while the limits change, and how much later than what it says the next set may be, in seconds.
A_SET = PERIOD * 1.5
#: Three answers of a BMS are believed after this time at the start of the bridge, and after this one when it was lost; its pack has
#: joined so much later (aggregation.md §3, amendments 6 and 14).
BELIEVED, BELIEVED_AGAIN, JOINED = 1.5, 5.0, 10.0
#: A limit rises again after this time without a protective cut.
HOLD = 30.0
#: What a busy machine may add to the start of a process, in seconds.
A_START = 4.0
#: Of 280 Ah, in A: a planned stop lets the limits come down to this.
TENTH_OF_C = 28.0
#: 90 % of the over-current limits of the BMS, in A.
ALLOWED_BY_BMS = 135.0
CELL_OVER_VOLTAGE = 1 << 10


class Times(Report):
    """The times of one scenario, each of which is a check."""

    def __init__(self, name):
        super().__init__(name)
        self.kept_waiting = 0.0  # the longest that a busy machine let a byte wait between two processes
        threading.Thread(target=self._watch_machine, daemon=True).start()

    def _watch_machine(self):
        """A byte through a pseudo-terminal, as every byte of BMS and adapter goes."""
        near, far = os.openpty()
        tty.setraw(far)
        while True:
            begun = time.monotonic()
            os.write(near, b"?")
            os.read(far, 1)
            self.kept_waiting = max(self.kept_waiting, time.monotonic() - begun)
            time.sleep(0.02)

    def time(self, name, value, allowed, unit="s"):
        """- Parameter allowed: the least and the most that the rule and its tolerance allow. What a busy machine took comes on top."""
        least, most = allowed
        if unit == "s" and self.kept_waiting > 0.1:
            most += self.kept_waiting
        good = value is not None and least <= value <= most
        text = "never" if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}"
        rule = f"<={most:.4g}" if least <= 0 else f"{least:.4g}..{most:.4g}"
        print(f"{name}\t{text}\t{unit}\t{rule}\t{'ok' if good else 'short'}\n", end="", flush=True)
        self.check(name, good, f"({text} {unit}, allowed {rule})")


class Course:
    """What the bus has carried since a moment."""

    def __init__(self, bridge, since=None):
        self.bus, self.since = bridge.bus, time.monotonic() if since is None else since

    def frames(self, identifier):
        return [(at, signals) for at, i, signals in list(self.bus.history) if i == identifier and at > self.since]

    def first(self, identifier=LIMITS_FRAME, fits=lambda signals: True, seconds=20):
        """How long after the moment the first such frame comes; None when it does not."""
        found = wait_until(lambda: next((at for at, signals in self.frames(identifier) if fits(signals)), None), seconds, 0.02)
        return found and found - self.since

    def limit_above_zero(self, seconds):
        """After a frame that has said 0 for both: what was on its way at the moment is older."""
        zero = self.first(fits=lambda s: s[CHARGE] == 0 and s[DISCHARGE] == 0)
        rise = zero and Course(self, self.since + zero).first(fits=lambda s: s[CHARGE] > 0 or s[DISCHARGE] > 0, seconds=seconds)
        return rise and zero + rise

    def begins_to_fall(self, limit):
        """When the first frame has come with less than was told before."""
        for (_, before), (at, after) in itertools.pairwise(self.frames(LIMITS_FRAME)):
            if after[limit] < before[limit]:
                return at - self.since
        return None

    def longest_gap(self, until=None):
        """Between the beginnings of two sets, the last of which may be still to come."""
        until = until or time.monotonic()
        begun = [at for at, i, _ in list(self.bus.history) if i == FIRST_OF_SET and self.since - PERIOD < at <= until]
        return max((b - a for a, b in itertools.pairwise([*begun, until])), default=math.inf)

    def highest_rise(self, limit, seconds):
        """From one frame to the next in this time from now."""
        time.sleep(seconds)
        return max(after[limit] - before[limit] for (_, before), (_, after) in itertools.pairwise(self.frames(LIMITS_FRAME)))

    def gap_around(self):
        """Between the last set before the moment, and the first after it."""
        before = max(at for at, i, _ in list(self.bus.history) if i == FIRST_OF_SET and at <= self.since)
        after = self.first(FIRST_OF_SET)
        return after and self.since + after - before


def measured(judge, binaries, *others, more=""):
    """A bridge for `judge(times, bridge, *others)`; at its end it does not wait until the limits have come down."""
    times = Times(judge.__name__)
    with tempfile.TemporaryDirectory(prefix="packbridge-times-") as folder:
        bridge = Run(binaries, more=more, state=folder)
        try:
            judge(times, bridge, *others)
        finally:
            bridge.process.terminate()
            wait_until(lambda: not bridge.serve, 5)
            code, log = bridge.stop()
            times.check("packbridge run ends", code in (0, -signal.SIGKILL), f"(code {code})")
            if times.failed:
                print(log[-5000:], flush=True)
    return times


def above(bridge, amperes, seconds=60):
    return bridge.bus.wait(LIMITS_FRAME, lambda s: min(s[CHARGE], s[DISCHARGE]) >= amperes, seconds)


def power_on(times, bridge):
    course = Course(bridge, bridge.started)
    times.time("power_on_first_set", course.first(LAST_OF_SET), (1.5, 1.5 + A_START))
    told = course.frames(LIMITS_FRAME)
    times.check("the first limits are 0", told and all(told[0][1][limit] == 0 for limit in BOTH), told[:1])
    times.time("power_on_first_limit_above_0", course.limit_above_zero(30), (BELIEVED + JOINED, BELIEVED + JOINED + PERIOD + A_START))


def bms_silent(times, bridge):
    times.check("the limits rise", above(bridge, 120), bridge.bus.latest.get(LIMITS_FRAME))
    bridge.bms.unplug()
    time.sleep(0.1)
    course = Course(bridge, bridge.bms.replied)
    zero = course.first(fits=lambda s: s[CHARGE] == 0 and s[DISCHARGE] == 0, seconds=35)
    for name, limit, told in (("ccl", CHARGE, 120), ("dcl", DISCHARGE, 130)):
        # The line begins at what the BMS allows, and is seen when it comes below what is configured.
        seen = 15 + 15 * (1 - told / ALLOWED_BY_BMS)
        times.time(f"bms_silent_{name}_begins_to_fall", course.begins_to_fall(limit), (seen, seen + A_SET))
    times.time("bms_silent_both_limits_0", zero, (28, 30 + A_SET))
    bridge.bms.silent = False
    back = Course(bridge)
    times.time("bms_back_first_limit_above_0", back.limit_above_zero(50), (BELIEVED_AGAIN + JOINED, BELIEVED_AGAIN + JOINED + 2 * PERIOD + A_SET))
    times.time("bms_back_dcl_whole", back.first(fits=lambda s: s[DISCHARGE] == 130), (BELIEVED_AGAIN + JOINED, BELIEVED_AGAIN + JOINED + 3 * PERIOD + A_SET))
    times.time("bms_back_ccl_above_0", back.first(fits=lambda s: s[CHARGE] > 0), (BELIEVED_AGAIN + JOINED, BELIEVED_AGAIN + JOINED + 3 * PERIOD + A_SET))
    times.time("bms_back_highest_rise_of_ccl", back.highest_rise(CHARGE, 4), (0, 5 * A_SET), "A per set")
    times.time("bms_silent_and_back_longest_gap", course.longest_gap(), (0, A_SET))


def bms_alarm(times, bridge):
    """Charging by an alarm, discharging by a switch that opens."""
    times.check("the limits rise", above(bridge, 20), bridge.bus.latest.get(LIMITS_FRAME))

    def cut(name, limit):
        changed = Course(bridge)
        zero = changed.first(fits=lambda s: s[limit] == 0)
        at = zero and changed.since + zero
        times.time(name, at and (at - bridge.bms.replied) * 1000, (0, 2500), "ms")
        return at

    bridge.bms.pack.warnings = CELL_OVER_VOLTAGE
    at = cut("bms_alarm_reply_to_ccl_0", CHARGE)
    bridge.bms.pack.discharge_on = False
    cut("bms_switch_reply_to_dcl_0", DISCHARGE)
    bridge.bms.pack.warnings = 0
    back = at and Course(bridge, at).first(fits=lambda s: s[CHARGE] > 0, seconds=60)
    times.time("bms_alarm_gone_cut_to_ccl_above_0", back, (HOLD, HOLD + 2 * A_SET))


def control_killed(times, bridge):
    times.check("the limits rise", above(bridge, 20), bridge.bus.latest.get(LIMITS_FRAME))
    control = bridge.control
    os.kill(control, signal.SIGKILL)
    course = Course(bridge)
    times.time("control_killed_gap", course.gap_around(), (BELIEVED, BELIEVED + PERIOD + A_START))
    times.time("control_killed_first_limit_above_0", course.limit_above_zero(40), (BELIEVED + JOINED, BELIEVED + JOINED + PERIOD + A_START))
    times.check("it is another process", bridge.control not in (None, control))
    times.check("after a good run it is started again at once", "it starts again at once" in bridge.said, bridge.said[-500:])


def stopped_on_purpose(times, bridge):
    """SIGTERM with high limits, and at once a new start with what it has left."""
    times.check("the limits rise", above(bridge, 120), bridge.bus.latest.get(LIMITS_FRAME))
    course = Course(bridge)
    bridge.process.terminate()
    times.equal("packbridge run ends with", bridge.process.wait(30), 0)
    ended = Course(bridge)
    time.sleep(0.1)
    at, last = course.frames(LIMITS_FRAME)[-1]
    times.time("stop_signal_to_last_frame", at - course.since, (0, 15 + A_SET))
    times.time("stop_last_limit_told", max(last[limit] for limit in BOTH), (0, TENTH_OF_C), "A")
    times.time("stop_longest_gap", course.longest_gap(at), (0, A_SET))
    bridge.start()
    times.time("restart_on_purpose_gap", ended.gap_around(), (0, 5))
    times.time("restart_on_purpose_first_limit_above_0", ended.limit_above_zero(40), (BELIEVED + JOINED, BELIEVED + JOINED + PERIOD + A_START))


def run_killed(times, bridge):
    """Its children end by themselves, the control process as on purpose."""
    times.check("the limits rise", above(bridge, 60), bridge.bus.latest.get(LIMITS_FRAME))
    children, course = (bridge.serve, bridge.control), Course(bridge)
    bridge.process.kill()
    bridge.process.wait()
    gone = wait_until(lambda: not any(map(lives, children)) and time.monotonic(), 25)
    times.time("run_killed_children_gone", gone and gone - course.since, (0, 15 + A_START))
    at, last = course.frames(LIMITS_FRAME)[-1]
    times.time("run_killed_last_limit_told", max(last[limit] for limit in BOTH), (0, TENTH_OF_C), "A")


def serve_killed_and_hung(times, bridge):
    started(times, bridge)
    course = Course(bridge)
    for name, wait in (("once", 1), ("again", 2)):
        victim, killed = bridge.serve, time.monotonic()
        os.kill(victim, signal.SIGKILL)
        answers = wait_until(lambda: bridge.serve not in (None, victim) and bridge.page() and time.monotonic(), 20)
        times.time(f"serve_killed_{name}_page_answers", answers and answers - killed, (wait, 1.5 * wait + A_START))
    hung = time.monotonic()
    victim = bridge.serve
    os.kill(victim, signal.SIGSTOP)
    answers = wait_until(lambda: bridge.serve not in (None, victim) and bridge.page() and time.monotonic(), 50)
    # The third time in a row: a pause of 4 to 6 s. Its last sign of life may be 5 s old.
    times.time("serve_hung_page_answers", answers and answers - hung, (HUNG - 5 + 4, HUNG + 6 + A_START))
    times.time("serve_killed_and_hung_longest_gap", course.longest_gap(), (0, STEADY))


def configuration_read_again(times, bridge):
    times.check("the limits rise", above(bridge, 60), bridge.bus.latest.get(LIMITS_FRAME))
    bridge.configuration.write_text(bridge.configuration.read_text().replace("charge: 120 A", "charge: 40 A"))
    course = Course(bridge)
    bridge.process.send_signal(signal.SIGHUP)
    times.time("sighup_to_new_limit", course.first(fits=lambda s: s[CHARGE] == 40, seconds=10), (0, A_SET))
    time.sleep(5)
    times.time("sighup_longest_gap", course.longest_gap(), (0, A_SET))


def adapter_unplugged(times, bridge):
    started(times, bridge)
    control = bridge.control
    for name, seconds in (("1_s", 1), ("10_s", 10)):
        pull_out(bridge)
        time.sleep(seconds)
        plug_in(bridge)
        times.time(f"adapter_away_{name}_first_set", Course(bridge).first(LAST_OF_SET), (0, 3))
        time.sleep(3)
    times.check("by the same process", bridge.control == control)


class WebHook(http.server.BaseHTTPRequestHandler):
    """Notes when it was told what."""

    told = []

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["event"]["text"]
        self.told.append((time.monotonic(), text))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def inverter_silent(times, bridge):
    """An inverter that has answered goes on hearing the frames, but answers no more."""
    started(times, bridge)
    for _ in range(3):
        last = time.monotonic()
        bridge.bus.bus.send(can.Message(arbitration_id=HEARTBEAT, data=bytes(8), is_extended_id=False))
        time.sleep(1)
    times.check("it was heard", "the inverter answers" in bridge.said, bridge.said[-500:])
    course = Course(bridge, last)
    said = wait_until(lambda: "the inverter no longer answers" in bridge.said and time.monotonic(), 20, 0.02)
    times.time("inverter_silent_is_said", said and said - last, (10, 10 + A_SET))
    told = wait_until(lambda: next((at for at, text in WebHook.told if "no longer answers" in text), None), 5)
    times.time("inverter_silent_web_hook", told and told - last, (10, 12 + A_SET))
    times.time("inverter_silent_longest_gap", course.longest_gap(), (0, STEADY))


def broker_killed(times, bridge, broker):
    started(times, bridge)
    listener = Listener(broker)
    times.check("telemetry flows", wait_until(lambda: "packbridge/bank" in listener.latest, 20))
    listener.stop()
    course = Course(bridge)
    broker.stop()
    time.sleep(10)
    broker.start()
    back, listener = time.monotonic(), Listener(broker)
    told = wait_until(lambda: {"packbridge/status", "packbridge/bank", "packbridge/pack/1"} <= set(listener.latest) and time.monotonic(), 60)
    times.time("broker_back_everything_told", told and told - back, (0, 60))
    listener.stop()
    times.time("broker_killed_longest_gap", course.longest_gap(), (0, STEADY))


def with_web_hook(judge, binaries):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WebHook)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    return measured(judge, binaries, more=f'notifications: [{{url: "http://127.0.0.1:{receiver.server_port}/", severity: warning}}]')


def with_broker(judge, binaries):
    with tempfile.TemporaryDirectory(prefix="packbridge-times-") as folder:
        broker = Broker(folder).start()
        try:
            return measured(judge, binaries, broker, more=f"mqtt: {{host: localhost, port: {broker.port}, interval: 1 s}}")
        finally:
            broker.stop()


#: The longest first.
SCENARIOS = [
    (measured, bms_silent), (measured, bms_alarm), (measured, stopped_on_purpose), (measured, control_killed), (measured, run_killed),
    (measured, configuration_read_again), (measured, adapter_unplugged), (measured, serve_killed_and_hung), (with_web_hook, inverter_silent),
    (with_broker, broker_killed),
]


def main():
    binaries, wanted = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    # Each in a process of its own, so that the clocks of one do not wait for the others.
    with concurrent.futures.ProcessPoolExecutor(len(SCENARIOS), multiprocessing.get_context("fork"), quick_threads) as pool:
        submit = lambda how, judge: pool.submit(how, judge, binaries) if not wanted or judge.__name__ in wanted else None
        # Nothing else may start while a start is measured.
        first = submit(measured, power_on)
        reports = [first.result()] if first else []
        reports += [one.result() for one in [submit(*scenario) for scenario in SCENARIOS] if one]
    print(f"the machine let a byte wait for {1000 * max(one.kept_waiting for one in reports):.0f} ms")
    return conclude(reports)


def quick_threads():
    """The threads of a process must not hold each other up for 5 ms."""
    sys.setswitchinterval(0.0001)


if __name__ == "__main__":
    sys.exit(main())
