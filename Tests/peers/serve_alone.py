"""Starts `packbridge-serve` with a fake control process in front of it, for the peers that judge it from outside."""
import contextlib
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


class Skipped(Exception):
    """What a test needs is not there; its text says what."""


def judge(*tests):
    """Runs every test although one fails; the last line counts them. - Returns: the exit code."""
    passed = failed = 0
    for test in tests:
        began = time.monotonic()
        try:
            note = test() or ""
            passed += 1
            print(f"ok    {test.__name__} ({time.monotonic() - began:.1f} s) {note}", flush=True)
        except Skipped as reason:
            print(f"SKIP  {test.__name__}: {reason}", flush=True)
        except Exception as error:  # an unexpected one is a failure of its test too
            failed += 1
            print(f"FAIL  {test.__name__}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


class Serve:
    """A running process; `kill` and `start` may follow each other as often as a test likes."""

    def __init__(self, folder, products, configuration):
        self.folder = pathlib.Path(folder)
        self.products = pathlib.Path(products)
        self.link = self.folder / "link"
        self.configuration = self.folder / "serve.json"
        self.configuration.write_text(json.dumps(configuration))
        self.log = open(self.folder / "serve.log", "ab")
        self.process = None
        self.port = None

    def start(self, timeout=60):
        self.process = subprocess.Popen(
            [self.products / "packbridge-serve", "--from", self.link, "--config", self.configuration],
            stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        check("http" in line, f"packbridge-serve did not start: {line!r}, see {self.log.name}")
        self.port = int(line.rsplit(":", 1)[1])
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.get("/api/v1/snapshot")
                return self
            time.sleep(0.05)
        raise Failure("no snapshot within the time")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(10)
        self.process.stdout.close()
        check(code == 0, f"packbridge-serve ended with {code}")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))


@contextlib.contextmanager
def running(products, configuration, per_second=1, folder=None, start=True):
    """`serve` fed with `per_second` snapshots a second, in a folder of its own."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="packbridge-"))
        serve = Serve(folder, products, configuration)
        feed = subprocess.Popen([serve.products / "packbridge-serve-bench", "feed", serve.link, "2", str(per_second)])
        try:
            if start:
                serve.start()
            yield serve
        finally:
            if serve.process and serve.process.poll() is None:
                serve.kill()
            feed.kill()
            feed.wait()
