"""A real mosquitto and a real Home Assistant without a screen, for tests: nothing but loopback."""

import base64
import getpass
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from judging import wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """mosquitto on a port of its own; can be stopped, hung and started again."""

    def __init__(self, folder, *lines, port=None):
        self.port = port or free_port()
        self.folder = pathlib.Path(folder)
        self.configuration = self.folder / "mosquitto.conf"
        access = [] if any("allow_anonymous" in line for line in lines) else ["allow_anonymous true"]
        self.configuration.write_text("\n".join([f"listener {self.port} 127.0.0.1", "persistence false", "log_type warning", f"user {getpass.getuser()}", *access, *lines, ""]))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.configuration], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        assert wait_until(self.answers, 10, 0.05), "mosquitto does not listen"
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class HomeAssistant:
    """One configuration folder with an owner, a token and the MQTT integration; the process can be restarted."""

    def __init__(self, environment, folder, broker_port):
        self.environment = pathlib.Path(environment)
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.log = self.folder / "home-assistant.log"
        self.process = None
        self.token = self._seed(broker_port)

    def _seed(self, broker_port):
        storage = self.folder / ".storage"
        storage.mkdir(parents=True)

        def put(key, version, minor, data):
            (storage / key).write_text(json.dumps({"version": version, "minor_version": minor, "key": key, "data": data}))

        user, token, entry, key = (uuid.uuid4().hex for _ in range(4))
        created = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        put("auth", 1, 1, {
            "users": [{"id": user, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "test", "system_generated": False, "local_only": False}],
            "groups": [{"id": "system-admin", "name": "Administrators"}, {"id": "system-users", "name": "Users"}, {"id": "system-read-only", "name": "Read Only"}],
            "credentials": [],
            "refresh_tokens": [{
                "id": token, "user_id": user, "client_id": None, "client_name": "test", "client_icon": None, "token_type": "long_lived_access_token",
                "created_at": created, "access_token_expiration": 315360000.0, "token": uuid.uuid4().hex * 4, "jwt_key": key, "last_used_at": None,
                "last_used_ip": None, "expire_at": None, "credential_id": None, "version": None}]})
        put("onboarding", 4, 1, {"done": ["user", "core_config", "analytics", "integration"]})
        put("core.config_entries", 1, 1, {"entries": [{
            "entry_id": entry, "version": 1, "minor_version": 1, "domain": "mqtt", "title": "test broker",
            "data": {"broker": "127.0.0.1", "port": broker_port, "discovery": True, "discovery_prefix": "homeassistant"},
            "options": {}, "pref_disable_new_entities": False, "pref_disable_polling": False, "source": "user", "unique_id": None, "disabled_by": None}]})
        (self.folder / "configuration.yaml").write_text(f"""
homeassistant:
  name: test
  latitude: 52.0
  longitude: 5.0
  elevation: 0
  unit_system: metric
  time_zone: UTC
  country: NL
  currency: EUR
http:
  server_host: 127.0.0.1
  server_port: {self.port}
api:
config:
logger:
  default: warning
automation: !include automations.yaml
""")
        (self.folder / "automations.yaml").write_text("[]\n")
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
        now = int(time.time())
        claim = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + encode(json.dumps({"iss": token, "iat": now - 10, "exp": now + 315360000}).encode())
        return (claim + b"." + encode(hmac.new(key.encode(), claim, hashlib.sha256).digest())).decode()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [self.environment / "bin/hass", "-c", self.folder, "--skip-pip"], stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{self.environment}/bin:{os.environ['PATH']}"})
        assert wait_until(self.is_running, 240), "Home Assistant does not start: " + self.log.read_text()[-3000:]
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def ask(self, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}", data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
        return json.loads(text) if text[:1] in "[{" else text

    def is_running(self):
        try:
            configuration = self.ask("config")
            return configuration["state"] == "RUNNING" and "mqtt" in configuration["components"]
        except (OSError, ValueError, KeyError):
            return False

    def states(self, start=""):
        """entity id → state object, of the entities whose id begins with `start` after the platform."""
        return {one["entity_id"]: one for one in self.ask("states") if one["entity_id"].split(".", 1)[1].startswith(start)}

    def state(self, entity):
        try:
            return self.ask(f"states/{entity}")["state"]
        except urllib.error.HTTPError:
            return None

    def call(self, service, **data):
        return self.ask("services/" + service.replace(".", "/"), data)

    def template(self, text):
        return self.ask("template", {"template": text})

    def complaints(self):
        """Warnings and errors of the log about what MQTT told."""
        platforms = r"components\.(mqtt|sensor|binary_sensor|number|switch|button|event)\b|helpers\.template"
        lines = self.log.read_text().splitlines()
        return [line for line in lines if re.search(r"\b(WARNING|ERROR)\b", line) and re.search(platforms, line)]
