"""What every judge needs: checks that are counted, and patience."""

import contextlib
import pathlib
import time


class Report:
    """Checks of one scenario."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def check(self, what, condition, detail=""):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{self.name}: FAILED: {what} {detail}", flush=True)

    def equal(self, what, got, expected, tolerance=0):
        good = got is not None and (abs(got - expected) <= tolerance if tolerance else got == expected)
        self.check(what, good, f"(got {got}, expected {expected})")


def conclude(reports):
    """Prints what each scenario came to and, as the last line, the sum. - Returns: true when something failed, for the exit code."""
    for report in reports:
        print(f"{report.name}: {report.passed} good, {report.failed} bad")
    print(f"{sum(r.passed for r in reports)} passed, {sum(r.failed for r in reports)} failed")
    return any(r.failed for r in reports)


def wait_until(condition, seconds, pause=0.05):
    """The first true value of `condition`; its last value when time is over."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return value


def children(pid):
    """The living children of a process: {name: pid}. A name has at most 15 characters there."""
    found = {}
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                found[pathlib.Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
    return found
