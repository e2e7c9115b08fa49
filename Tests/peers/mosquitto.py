#!/usr/bin/env python3
"""A real mosquitto against `packbridge-serve`: last will, passwords, TLS, a broker that hangs, goes and comes back, and payloads that
nobody should send.

    mosquitto.py BINARY_DIRECTORY [PART...]       parts: telemetry, security, payloads, outage; all of them unless some are named

The last line counts the checks: `N passed, N failed`.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from end_to_end import Bridge, healthy_pack
from home_assistant_process import Broker
from judging import Report, conclude, wait_until
from serve_process import Serve


class Listener:
    """mosquitto_sub on everything: the latest payload of each topic, and all in order."""

    def __init__(self, broker, *options):
        self.latest, self.all = {}, []
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-h", "localhost", "-p", str(broker.port), "-v", "-t", "#", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            topic, _, payload = line.rstrip("\n").partition(" ")
            self.latest[topic] = payload
            self.all.append((time.monotonic(), topic, payload))

    def count(self, topic, since):
        return sum(1 for at, name, _ in list(self.all) if name == topic and at >= since)

    def stop(self):
        self.process.kill()
        self.process.wait()


def publish(broker, topic, payload, *options):
    data = payload if isinstance(payload, bytes) else payload.encode()
    subprocess.run(["mosquitto_pub", "-h", "localhost", "-p", str(broker.port), "-t", topic, "-s", *options], input=data, check=False, stderr=subprocess.DEVNULL)


def mqtt(broker, **more):
    return {"host": "localhost", "port": broker.port, "commands": True, "interval": 1, **more}


def telemetry_and_will(serve, folder):
    report = Report("telemetry and last will")
    broker = Broker(folder).start()
    listener = Listener(broker)
    try:
        serve.start(mqtt=mqtt(broker))
        report.check("status online", wait_until(lambda: listener.latest.get("packbridge/status") == "online", 20))
        report.check("control online", wait_until(lambda: listener.latest.get("packbridge/control") == "online", 20))
        report.check("the bank is told", wait_until(lambda: "packbridge/bank" in listener.latest, 20))
        bank = json.loads(listener.latest.get("packbridge/bank", "{}"))
        report.check("limits carry their reason", bank.get("limits", {}).get("charge_current", {}).get("reason", {}).get("text"))
        cells = lambda: len(json.loads(listener.latest.get("packbridge/pack/1", "{}")).get("cells_mV", []))
        report.check("16 cells of the pack", wait_until(lambda: cells() == 16, 20), f"(got {cells()})")
        late = Listener(broker)
        report.check("a late listener gets the retained state", wait_until(lambda: "packbridge/bank" in late.latest, 3))
        late.stop()
        serve.stop(signal.SIGKILL)
        report.check("killed: offline by last will", wait_until(lambda: listener.latest.get("packbridge/status") == "offline", 10))
        serve.start()
        report.check("started again: online", wait_until(lambda: listener.latest.get("packbridge/status") == "online", 20))
        report.equal("ended: exit code", serve.stop(), 0)
        report.check("ended: offline", wait_until(lambda: listener.latest.get("packbridge/status") == "offline", 5))
    finally:
        serve.stop()
        listener.stop()
        broker.stop()
    return report


def outage(serve, folder, bus):
    """The broker hangs, goes and comes back: no memory, no flood, everything anew. The bus does not notice."""
    report = Report("outage")
    broker = Broker(folder).start()
    try:
        serve.start(mqtt=mqtt(broker))
        listener = Listener(broker)
        report.check("telemetry flows", wait_until(lambda: listener.count("packbridge/bank", 0) > 3, 20))
        listener.stop()
        before = serve.memory_kB()
        began = time.monotonic()
        broker.hang()
        time.sleep(25)
        broker.stop()
        time.sleep(20)
        growth = serve.memory_kB() - before
        report.check("45 s without a broker need no memory", growth < 2000, f"(grew by {growth} kB)")
        frames = [at for at, identifier, _ in bus.history if identifier == 0x351 and at > began]
        gaps = [b - a for a, b in zip(frames, frames[1:])]
        report.check("the frames on the bus go on", gaps and max(gaps) < 1.5, f"(longest gap {max(gaps, default=0):.2f} s)")
        broker.start()
        listener = Listener(broker)
        back = time.monotonic()
        report.check("back within 60 s, telling everything anew", wait_until(
            lambda: {"packbridge/status", "packbridge/control", "packbridge/bank", "packbridge/pack/1", "homeassistant/device/packbridge/bank/config"} <= set(listener.latest), 75))
        time.sleep(5)
        count, seconds = listener.count("packbridge/bank", 0), time.monotonic() - back
        report.check("no flood of old values", count <= seconds + 3, f"({count} states in {seconds:.0f} s)")
        report.check("the problem was said, with the broker's name", f"localhost:{broker.port}" in serve.log, serve.log[-500:])
        listener.stop()
    finally:
        serve.stop()
        broker.stop()
    return report


def password_and_tls(serve, folder):
    report = Report("password and TLS")
    folder = pathlib.Path(folder)
    run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "broker.key", "-out", "broker.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    run("openssl", "x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "broker.pem")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=another authority", "-keyout", "other.key", "-out", "other.pem")
    run("mosquitto_passwd", "-c", "-b", "passwords", "bridge", "sun and moon")
    os.chmod(folder / "broker.key", 0o644)
    (folder / "word").write_text("sun and moon\n")
    (folder / "wrong").write_text("moon and sun\n")
    broker = Broker(folder, "allow_anonymous false", f"password_file {folder}/passwords", f"certfile {folder}/broker.pem", f"keyfile {folder}/broker.key")
    broker.start()
    right = {"user": "bridge", "passwordFile": str(folder / "word"), "tls": True, "authority": str(folder / "ca.pem")}
    options = ["-u", "bridge", "-P", "sun and moon", "--cafile", str(folder / "ca.pem")]
    try:
        serve.start(mqtt=mqtt(broker, **right))
        listener = Listener(broker, *options)
        report.check("with TLS and the password", wait_until(lambda: listener.latest.get("packbridge/status") == "online", 20), serve.log[-500:])
        serve.stop()
        report.check("offline", wait_until(lambda: listener.latest.get("packbridge/status") == "offline", 10))
        for what, change in (("a wrong password", {"passwordFile": str(folder / "wrong")}), ("an unknown authority", {"authority": str(folder / "other.pem")})):
            length = len(serve.log)
            serve.start(mqtt=mqtt(broker, **{**right, **change}))
            report.check(f"{what} is refused and said", wait_until(lambda: "mqtt: broker localhost" in serve.log[length:], 20), serve.log[length:])
            report.equal(f"{what}: status", listener.latest.get("packbridge/status"), "offline")
            report.check(f"{what}: serve goes on", serve.process.poll() is None)
            serve.stop()
        length = len(serve.log)
        serve.start(mqtt=mqtt(broker, **{**right, "passwordFile": str(folder / "nowhere")}))
        report.check("a password file that is not there is an error with its name", wait_until(lambda: "nowhere" in serve.log[length:], 10))
        report.check("and ends the process", wait_until(lambda: serve.process.poll() is not None, 10) and serve.process.poll() != 0)
        listener.stop()
    finally:
        serve.stop()
        broker.stop()
    return report


def senseless_payloads(serve, folder, bus):
    """Whatever arrives, a limit never rises and the process lives."""
    report = Report("senseless payloads")
    broker = Broker(folder).start()
    listener = Listener(broker)
    try:
        # A retained order from before: must not be obeyed.
        publish(broker, "packbridge/command/charge_cap", "1", "-r")
        serve.start(mqtt=mqtt(broker))
        report.check("connected", wait_until(lambda: listener.latest.get("packbridge/status") == "online", 20))
        report.check("limits are where they were", bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 120.0, 60), bus.latest.get(0x351))
        time.sleep(3)
        report.check("a retained order is ignored", bus.latest[0x351]["ChargeCurrentLimit"] == 120.0, bus.latest[0x351])
        publish(broker, "packbridge/command/charge_cap", "", "-r", "-n")
        randomness = random.Random(11)
        topics = ["charge_cap", "discharge_cap", "soc_ceiling", "pause_charge", "full_now", "acknowledge", "nothing", "minutes/set", "a/b/c", "resume"]
        payloads = [b"", b"{", b"{}", b"[]", b"null", b"1e999", b"-5", b"NaN", b"999999999999", b"{\"value\": 1e30, \"minutes\": 5}", b"{\"value\": -1, \"minutes\": 5}",
                    b"{\"minutes\": 99999999}", b"\xff\xfe", b"A" * 5000, b"{" * 400, b"{\"value\":{\"value\":1}}"]
        for _ in range(60):
            publish(broker, "packbridge/command/" + randomness.choice(topics), randomness.choice(payloads + [randomness.randbytes(randomness.randrange(40))]))
        publish(broker, "homeassistant/status", randomness.randbytes(100))
        report.check("it still answers", wait_until(lambda: "packbridge/command/result" in listener.latest, 5))
        publish(broker, "packbridge/command/charge_cap", "{\"value\": 500, \"minutes\": 5}")
        report.check("an order above the limit is no raise", wait_until(lambda: "charge_cap" in listener.latest.get("packbridge/command/result", ""), 5))
        time.sleep(2)
        limits = [s["ChargeCurrentLimit"] for _, identifier, s in bus.history if identifier == 0x351]
        report.check("no limit ever rose above what is configured", max(limits) <= 120.0, max(limits))
        for _ in range(150):
            publish(broker, "packbridge/command/charge_cap", "{\"value\": 50, \"minutes\": 5}")
        time.sleep(2)
        told = listener.count("packbridge/event", 0)
        report.check("an hour's events are told, no more", 100 <= told <= 122, f"({told} events)")
        time.sleep(33)  # one for each half minute that passes
        publish(broker, "packbridge/command/resume", "PRESS")
        # Not always the newest: a limit that ends is an event, too, and may take the half minute's one.
        left_out = lambda: [json.loads(payload)["left_out"] for _, topic, payload in list(listener.all) if topic == "packbridge/event"]
        report.check("the next one says how many were left out", wait_until(lambda: max(left_out()) >= 30, 5), left_out())
        report.check("the process lives", serve.process.poll() is None)
    finally:
        serve.stop()
        listener.stop()
        broker.stop()
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    bridge = Bridge(binaries, "control", "pylontech", healthy_pack())
    reports = []
    with tempfile.TemporaryDirectory(prefix="packbridge-mosquitto-") as folder:
        serve = Serve(binaries, f"{bridge.folder.name}/link", folder)
        parts = {
            "telemetry": lambda: telemetry_and_will(serve, folder),
            "security": lambda: password_and_tls(serve, folder),
            "payloads": lambda: senseless_payloads(serve, folder, bridge.bus),
            "outage": lambda: outage(serve, folder, bridge.bus),
        }
        try:
            for name, part in parts.items():
                if name in (sys.argv[2:] or parts):
                    reports.append(part())
        finally:
            serve.stop()
            bridge.stop()
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
