"""`packbridge-serve` beside a running control process, for tests."""

import json
import pathlib
import signal
import subprocess
import time


class Serve:
    """One process with a configuration of its own; can be killed, hung and started again."""

    def __init__(self, binaries, link, folder, **configuration):
        self.binary = pathlib.Path(binaries) / "packbridge-serve"
        self.link = link
        self.file = pathlib.Path(folder) / "serve.json"
        self.log_file = pathlib.Path(folder) / "serve.log"
        self.configuration = {"web": {"port": 0}, **configuration}
        self.process = None
        self.began = 0  # length of the log when the present process started

    def start(self, **changes):
        self.configuration.update(changes)
        self.file.write_text(json.dumps(self.configuration))
        with open(self.log_file, "a") as log:
            self.began = log.tell()
            self.process = subprocess.Popen([self.binary, "--from", self.link, "--config", self.file], stdout=log, stderr=subprocess.STDOUT)
        return self

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, with_signal=signal.SIGTERM):
        """The exit code."""
        if not self.process:
            return None
        self.process.send_signal(with_signal)
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    @property
    def log(self):
        return self.log_file.read_text()

    def memory_kB(self):
        """Private memory of the process: what grows when something is queued."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def port(self, seconds=20):
        """Where the page is, from the log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.log_file.read_bytes()[self.began :].decode(errors="replace").splitlines():
                if "://" in line and "broker" not in line:
                    return int(line.rsplit(":", 1)[1])
            time.sleep(0.1)
        raise AssertionError("packbridge-serve does not say where it listens: " + self.log)
