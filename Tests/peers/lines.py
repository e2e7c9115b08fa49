#!/usr/bin/env python3
"""Every way in which several JK units share a line, through the real control process: the units are those of the simulator, which has
encoders of its own.

    lines.py BINARY_DIRECTORY

The last line counts the checks: `N passed, N failed`.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from judging import Report, conclude


def status(binaries, link):
    result = subprocess.run([binaries / "packbridge", "status", "--json", "--link", link], capture_output=True, text=True)
    return json.loads(result.stdout) if result.returncode == 0 else None


def wait(binaries, link, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = status(binaries, link)
        if found and condition(found):
            return found
        time.sleep(0.5)
    return None


def limits(found):
    return found["told"]["ccl_mA"], found["told"]["dcl_mA"]


def course(binaries, name, protocol, addresses, port="{}", extra=""):
    """The limits rise with all packs; when the line is cut they are 0 half a minute later."""
    report = Report(name)
    with tempfile.TemporaryDirectory(prefix="packbridge-test-") as folder:
        path, link = f"{folder}/line", f"{folder}/link"
        units = subprocess.Popen(
            [binaries / "packbridge", "simulate", "bms", "--pty", path, "--protocol", protocol, "--current=-15"]
            + [x for a in addresses for x in ("--address", str(a))], stdout=subprocess.DEVNULL)
        while not os.path.exists(path):
            time.sleep(0.05)
        configuration = pathlib.Path(folder) / "packbridge.yaml"
        configuration.write_text(
            f"""
            battery: {{chemistry: lfp, cells: 16}}
            bms: {{protocol: {protocol}, port: "{port.format(path)}", address: {' '.join(map(str, addresses))}{extra}}}
            inverter: {{dialect: pylontech, port: "virtual:none"}}
            limits: {{charge: 30 A, discharge: 40 A}}
            files: {{state: none, link: {link}}}
            """
        )
        control = subprocess.Popen([binaries / "packbridge", "control", "--config", configuration])
        try:
            risen = wait(binaries, link, lambda s: limits(s) == (30_000, 40_000) and all(len(p["cells_mV"]) == 16 for p in s["packs"]), 90)
            report.check("the limits rise to what is configured", risen is not None, (status(binaries, link) or {}).get("told"))
            if risen:
                report.equal("packs", len(risen["packs"]), len(addresses))
                for pack in risen["packs"]:
                    report.check(f"pack {pack['number']} is active and fresh", pack["state"] == "active" and pack["age_ms"] <= 5000, pack)
                    report.equal("cells", len(pack["cells_mV"]), 16)
                    report.equal("current", pack["current_mA"], -15_000, 700)
            units.terminate()
            units.wait(10)
            cut = time.monotonic()
            zero = wait(binaries, link, lambda s: limits(s) == (0, 0), 35)
            report.check("a line that is cut ends in limits of 0 A within 30 s", zero is not None and time.monotonic() - cut < 32)
        finally:
            units.kill()
            control.terminate()
            report.check("control ends cleanly", control.wait(20) == 0)
    return report


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    limits_of_pack = ", pack: {charge_over_current: 100 A, discharge_over_current: 100 A}"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reports = [scenario.result() for scenario in [
            pool.submit(course, binaries, "three units over Modbus", "jk-modbus", [1, 7, 15]),
            pool.submit(course, binaries, "three units by triggers", "jk-55aaeb90", [1, 7, 15]),
            pool.submit(course, binaries, "a master and two units, listened to", "jk-55aaeb90", [0, 1, 2]),
            pool.submit(course, binaries, "two units on one CAN bus", "jk-can", [0, 5], "slcan:{}@250000", limits_of_pack),
        ]]
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
