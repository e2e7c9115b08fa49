#!/usr/bin/env python3
"""A stand-in for `packbridge serve`, to work on the web page and to test it without a battery.

    fake_serve.py [--port 8080] [--password WORD] [--speed 60] [--packs 2] [--cells 16]

Serves the files of Sources/Services/Web as they are on disk, with the same Content-Security-Policy, and streams example
snapshots (docs/openapi.yaml) of a day that passes `--speed` times faster than the real one. For tests, POST /fake/NAME makes
things happen: `hang` (the stream goes silent), `resume`, `link-lost`, `alarm`, `cold`, `pack-lost`, `silent-inverter`, `unread`, `well`.
"""
import argparse
import json
import math
import pathlib
import random
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WEB = pathlib.Path(__file__).resolve().parents[2] / "Sources/Services/Web"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
          "frame-ancestors 'none'; base-uri 'none'")
FULL_MAH = 280_000
USER_CHARGE = 200_000
USER_DISCHARGE = 200_000


def net_power(day_second):
    """Watts into the bank at this second of the day: sun in, house out."""
    hour = day_second / 3600
    sun = max(0.0, math.sin((hour - 6.3) / 12.2 * math.pi)) ** 1.3 * 8200
    house = 420 + 260 * math.sin(hour / 24 * 2 * math.pi + 2) + (1900 if 18 < hour < 21.5 else 0) + (900 if 7 < hour < 8.2 else 0)
    return sun - house


def typical_day():
    """State of charge (0..1) and limits for every minute of a day, repeated until it closes on itself."""
    soc, rows = 0.45, []
    for _ in range(3):
        rows = []
        for minute in range(1440):
            state = evaluate(soc, net_power(minute * 60))
            soc = min(1.0, max(0.08, soc + state["current"] / 60 / (2 * FULL_MAH)))
            rows.append((soc, state))
    return rows


def open_circuit(soc):
    """Rest voltage of an LFP cell, mV."""
    points = [(0, 2900), (.05, 3120), (.1, 3210), (.2, 3255), (.4, 3290), (.6, 3310), (.7, 3330), (.9, 3340), (.97, 3362), (.99, 3400), (1, 3470)]
    for (a, low), (b, high) in zip(points, points[1:]):
        if soc <= b:
            return low + (high - low) * (soc - a) / (b - a)
    return 3470


def evaluate(soc, watts):
    """What the bank does when the inverter wants `watts`; the limits follow the highest cell as in the control logic."""
    cell = open_circuit(soc)
    taper = 1.0
    for _ in range(6):
        current = watts / (cell * 16 / 1000) * 1000
        current = max(-USER_DISCHARGE, min(USER_CHARGE * taper, current))
        loaded = cell + current / 1000 * 0.28
        high = loaded + 6 + max(0, loaded - 3380) * 0.9
        taper = min(1.0, max(0.0, (3600 - high) / 200)) if high > 3400 else 1.0
    return {"current": round(current), "cell": loaded, "high": high, "taper": taper}


DAY = typical_day()


class World:
    """The simulated installation."""

    def __init__(self, options):
        self.options = options
        self.started = time.time()
        self.day_start = 9.2 * 3600
        self.snapshot = 48_000
        self.fault = "well"
        self.silent = False
        self.commands = {}
        self.events = self.some_events()
        self.since = {}
        self.lock = threading.Condition()
        self.changed = []
        self.noise = random.Random(7)

    def some_events(self):
        now = int(time.time() * 1000)
        minute = 60_000
        rows = [
            (3 * minute, None, "limit", "info", "charge current limited by a high cell (pack 2, cell 7: 3.468 V)", dict(name="cell_high", limit="charge_current", pack=2, cell=7, ongoing=True)),
            (26 * minute, None, "phase", "info", "phase bulk to absorb", {}),
            (95 * minute, 43 * minute, "limit", "info", "charge voltage limited by a leading cell (pack 2, cell 7)", dict(name="runner_cell", limit="charge_voltage", pack=2, cell=7)),
            (170 * minute, 12 * minute, "warning", "warning", "a leading cell prevents a full charge", dict(name="cell_prevents_full", pack=2, cell=7)),
            (400 * minute, 2 * minute, "alarm", "alarm", "BMS lost: pack 1", dict(name="communication", pack=1)),
            (401 * minute, 1 * minute, "limit", "warning", "charge current limited by stale data (pack 1)", dict(name="stale", limit="charge_current", pack=1)),
            (700 * minute, None, "heartbeat", "info", "inverter port 1 is heard", {}),
            (701 * minute, None, "transmitting", "info", "first set of frames sent", {}),
            (702 * minute, None, "started", "info", "control process started, boot 3, record used", {}),
        ]
        events = []
        for i, (ago, lasted, kind, severity, words, more) in enumerate(rows):
            event = dict(id=1000 - i, at_ms=now - ago, kind=kind, severity=severity, text=words, ongoing=False, **{k: v for k, v in more.items() if k != "ongoing"})
            if more.get("ongoing"):
                event["ongoing"] = True
            elif lasted:
                event["until_ms"] = now - ago + lasted
            events.append(event)
        return events

    def reason(self, key, rule, words, bound, pack=None, cell=None, value=0):
        mark = (rule, pack, cell)
        if self.since.get(key, (None,))[0] != mark:
            self.since[key] = (mark, int(time.time() * 1000))
        result = dict(rule=rule, text=words, bound=bound, input=value, since_ms=self.since[key][1])
        if pack:
            result["pack"] = pack
        if cell:
            result["cell"] = cell
        return result

    def document(self):
        options = self.options
        now = time.time()
        second = (self.day_start + (now - self.started) * options.speed) % 86400
        soc, _ = DAY[int(second // 60)]
        state = evaluate(soc, net_power(second) + self.noise.gauss(0, 60))
        self.snapshot += 1
        lost = self.fault == "pack-lost"
        cold = self.fault == "cold"
        now_ms = int(now * 1000)
        self.commands = {k: v for k, v in self.commands.items() if v["until_ms"] > now_ms}
        packs = []
        for number in range(1, options.packs + 1):
            packs.append(self.pack(number, state, soc, lost and number == 1, cold))
        alive = [p for p in packs if p["stage"] != "lost"]
        ccl, ccl_why = self.charge_limit(state, alive, lost, cold)
        dcl, dcl_why = USER_DISCHARGE, self.reason("dcl", "user_current", "configured limit of the bank", USER_DISCHARGE, value=USER_DISCHARGE)
        for order, name in (("pause_charge", "ccl"), ("charge_cap", "ccl"), ("pause_discharge", "dcl"), ("discharge_cap", "dcl")):
            if order in self.commands:
                value = self.commands[order].get("value", 0)
                if name == "ccl" and value < ccl:
                    ccl, ccl_why = value, self.reason("ccl", "command", "command", value, value=value)
                if name == "dcl" and value < dcl:
                    dcl, dcl_why = value, self.reason("dcl", "command", "command", value, value=value)
        current = sum(p["current_mA"] for p in alive)
        current = max(-dcl, min(ccl, current))
        voltage = round(sum(p["voltage_mV"] for p in alive) / max(1, len(alive)))
        high = max(alive, key=lambda p: p["highest_cell"]["mV"])
        low = min(alive, key=lambda p: p["lowest_cell"]["mV"])
        leading = state["high"] > 3460
        cvl = 55_200 if not leading else int((55_200 - (state["high"] - 3460) * 6) // 100 * 100)
        if lost:
            cvl, cvl_why = 53_600, self.reason("cvl", "degraded", "a pack is not heard", 53_600)
        elif leading:
            cvl_why = self.reason("cvl", "runner_cell", "a leading cell", cvl, 2, 7, round(state["high"]))
        else:
            cvl_why = self.reason("cvl", "user_voltage", "configured bulk voltage", 55_200)
        sensors = [(t["dC"], p["number"], t["sensor"]) for p in alive for t in p["temperatures"] if t["place"] == "cell" and "dC" in t]
        hottest, coldest = max(sensors), min(sensors)
        full = FULL_MAH * len(alive)
        remaining = round(sum(p["remaining_mAh"] for p in alive))
        phase = "hold" if cold else "absorb" if leading else "bulk"
        remembered = "absorb" if leading else "bulk"
        waiting = (dict(amount=31, text="waiting for the temperature", **{"for": "temperature"}) if cold
                   else dict(amount=max(0, current - 14_000), text="waiting for the tail current", **{"for": "tail_current"}) if leading
                   else dict(amount=max(0, 3450 - round(state["high"])), text="waiting for the cell voltage", **{"for": "cell_voltage"}))
        report = dict(cvl=cvl, ccl=ccl, dcl=dcl, dvl=46_400, soc=remaining / full, voltage=voltage, current=current, temperature=hottest[0], packs=len(alive))
        warnings = []
        if leading:
            warnings.append(dict(name="cell_prevents_full", text="a leading cell prevents a full charge"))
        if lost:
            warnings += [dict(name="bms_lost", text="a BMS is not heard"), dict(name="degraded", text="a pack is missing")]
        beat = 640 if self.fault != "silent-inverter" else 45_000
        if self.fault == "unread":
            for pack in packs:
                del pack["age_ms"]
                pack.update(state="absent", cells_mV=[], voltage_mV=0, current_mA=0, soc_cpct=0)
        document = dict(
            snapshot=self.snapshot, time_ms=now_ms, name="PackBridge",
            health=dict(overall="ok", link="lost" if self.fault == "link-lost" else "ok", bms="lost" if lost else "ok", can="ok", heartbeat="ok", history="ok", problems=[]),
            control=dict(uptime_s=48_220 + int(now - self.started), generation=3, may_transmit=True, lost_messages=0, snapshot_interval_ms=1000),
            bank=dict(
                soc_cpct=round(remaining / full * 10_000), soh_pct=99, voltage_mV=voltage, current_mA=current, power_W=round(voltage * current / 1e6),
                remaining_mAh=remaining, full_mAh=full, rated_mAh=FULL_MAH * options.packs, cycles=213, balancing=any(p.get("balancing") for p in alive), chemistry="lfp",
                cells_in_series=options.cells, temperature_dC=hottest[0],
                highest_cell=dict(mV=high["highest_cell"]["mV"], pack=high["number"], cell=high["highest_cell"]["cell"]),
                lowest_cell=dict(mV=low["lowest_cell"]["mV"], pack=low["number"], cell=low["lowest_cell"]["cell"]),
                cell_delta_mV=max(p["cell_delta_mV"] for p in alive),
                highest_temperature=dict(dC=hottest[0], pack=hottest[1], sensor=hottest[2]), lowest_temperature=dict(dC=coldest[0], pack=coldest[1], sensor=coldest[2]),
                packs_online=len(alive), packs_expected=options.packs, packs_offline=options.packs - len(alive), packs_blocking_charge=0, packs_blocking_discharge=0,
                energy_charged_Wh=1_843_210 + int(now - self.started), energy_discharged_Wh=1_765_430, protections=[], alarms=[], stage="lost" if lost else "fresh"),
            limits=dict(
                charge_voltage=dict(mV=cvl, reason=cvl_why), discharge_voltage=dict(mV=46_400),
                charge_current=dict(mA=ccl, configured_mA=USER_CHARGE, enabled=not cold, reason=ccl_why), discharge_current=dict(mA=dcl, configured_mA=USER_DISCHARGE, enabled=True, reason=dcl_why), requests=[]),
            phase=dict(name=phase, remembered=remembered, since_ms=now_ms - 1_320_000, waiting=waiting),
            warnings=warnings, packs=packs,
            bms_ports=[dict(number=p["number"], protocol="jk_4e57", packs=[p["number"]], open=True, bytes=14_205_331, snapshots=48_190 + self.snapshot, timeouts=3 if p["stage"] == "fresh" else 77,
                            reopens=0, rejections=[dict(name="bad_checksum", count=2)]) for p in packs],
            inverters=[dict(number=1, dialect="pylontech", state="active", heartbeat_age_ms=beat, sets=self.snapshot, sent=self.snapshot * 6, busy=0, dropped=0,
                            received=self.snapshot, heartbeats=self.snapshot, bus_offs=0, restarts=0, frames=frames(report))],
            commands=list(self.commands.values()))
        if current > 500:
            document["bank"]["time_to_full_s"] = round((full - remaining) / current * 3600)
        elif current < -500:
            document["bank"]["time_to_empty_s"] = round(remaining / -current * 3600)
        return document

    def charge_limit(self, state, alive, lost, cold):
        if cold:
            return 0, self.reason("ccl", "cold", "cold", 0, 1, 2, -11)
        if lost:
            return 100_000, self.reason("ccl", "share", "the weakest pack decides", 100_000, 2)
        if state["taper"] < 1:
            bound = int(USER_CHARGE * state["taper"] // 100 * 100)
            return bound, self.reason("ccl", "cell_high", "a high cell", bound, 2, 7, round(state["high"]))
        return USER_CHARGE, self.reason("ccl", "user_current", "configured limit of the bank", USER_CHARGE, value=USER_CHARGE)

    def pack(self, number, state, soc, is_lost, is_cold):
        cells = []
        for cell in range(self.options.cells):
            offset = ((cell * 7 + number * 3) % 11 - 5) * 0.8 + self.noise.gauss(0, .5)
            cells.append(round(state["cell"] + offset))
        if number == 2 and len(cells) > 6:
            cells[6] = round(state["high"] + self.noise.gauss(0, .4))
        high, low = max(cells), min(cells)
        share = state["current"] / self.options.packs * (1.03 if number == 1 else .97)
        warm = -11 if is_cold else 214 + 5 * number
        why = self.reason(f"pack{number}", "bms_margin", "distance to the over-current limit", 135_000, number, value=150_000)
        pack = dict(
            number=number, name=f"Shelf {number}", state="lost" if is_lost else "active", stage="lost" if is_lost else "fresh", age_ms=94_000 if is_lost else 420 + 130 * number,
            voltage_mV=sum(cells), current_mA=round(share), power_W=round(sum(cells) * share / 1e6), soc_cpct=round(min(1, max(0, soc + .004 * (number - 1.5))) * 10_000),
            soh_cpct=9900, remaining_mAh=round(FULL_MAH * min(1, soc + .004 * (number - 1.5))), full_mAh=FULL_MAH, rated_mAh=FULL_MAH, cycles=212 + number,
            charge_limit=dict(mA=0 if is_lost else 135_000, reason=self.reason("lost", "stale", "silent", 0, number, value=94_000) if is_lost else why),
            discharge_limit=dict(mA=0 if is_lost else 135_000, reason=why),
            charge_switch=True, discharge_switch=True, balancing=number == 2 and high - low > 15, cells_mV=cells,
            highest_cell=dict(mV=high, cell=cells.index(high) + 1), lowest_cell=dict(mV=low, cell=cells.index(low) + 1), cell_delta_mV=high - low,
            temperatures=[dict(place="cell", sensor=1, dC=warm), dict(place="cell", sensor=2, dC=warm + 4), dict(place="mosfet", sensor=0, dC=warm + 62)],
            alarms=[], warnings=[], uptime_s=1_843_200,
            settings=dict(cell_over_voltage_mV=3650, cell_under_voltage_mV=2600, charge_over_current_mA=150_000, discharge_over_current_mA=150_000))
        if self.fault == "alarm" and number == 2:
            pack["alarms"] = [dict(name="cell_over_voltage", text="cell over-voltage")]
            pack["charge_switch"] = False
            pack["state"] = "charge_off"
        if is_lost:
            pack["alarms"] = [dict(name="communication", text="BMS lost")]
        return pack


def frames(report):
    """The Pylontech set for this report."""
    def frame(number, data, *signals):
        return dict(id=f"{number:03X}", data=data.hex().upper(), signals=[dict(name=name, value=value) for name, value in signals])
    limits = struct.pack("<HHHH", report["cvl"] // 100, report["ccl"] // 100, report["dcl"] // 100, report["dvl"] // 100)
    return [
        frame(0x359, bytes([0, 0, 0, 0, report["packs"], 0x50, 0x4E]), ("CellOverVoltageProtection", "0"), ("HighVoltageWarning", "0"), ("Modules", str(report["packs"]))),
        frame(0x351, limits, ("ChargeVoltageLimit", f"{report['cvl'] / 1000:.1f}"), ("ChargeCurrentLimit", f"{report['ccl'] / 1000:.1f}"),
              ("DischargeCurrentLimit", f"{report['dcl'] / 1000:.1f}"), ("DischargeVoltageLimit", f"{report['dvl'] / 1000:.1f}")),
        frame(0x355, struct.pack("<HH", int(report["soc"] * 100), 99), ("StateOfCharge", str(int(report["soc"] * 100))), ("StateOfHealth", "99")),
        frame(0x356, struct.pack("<hhh", report["voltage"] // 10, report["current"] // 100, report["temperature"]), ("Voltage", f"{report['voltage'] / 1000:.2f}"),
              ("Current", f"{report['current'] / 1000:.1f}"), ("Temperature", f"{report['temperature'] / 10:.1f}")),
        frame(0x35C, b"\xC0\x00", ("ChargeEnable", "1"), ("DischargeEnable", "1"), ("ForceCharge1", "0"), ("ForceCharge2", "0"), ("FullChargeRequest", "0")),
        frame(0x35E, b"PYLON   "),
    ]


UNITS = {"soc": "cpct", "voltage": "mV", "current": "mA", "power": "W", "charge_voltage": "mV", "discharge_voltage": "mV", "charge_current": "mA",
         "discharge_current": "mA", "highest_cell": "mV", "lowest_cell": "mV", "highest_temperature": "dC", "lowest_temperature": "dC"}


def history_point(name, moment):
    """(minimum, mean, maximum) of a series at a time: the typical day, with a season and weather on it."""
    day = moment // 86400
    weather = .55 + .45 * math.sin(day * 1.7) * math.sin(day * .31)
    season = .8 + .2 * math.cos((day % 365 - 172) / 365 * 2 * math.pi)
    soc, state = DAY[int(moment % 86400 // 60)]
    soc = .1 + soc * (.45 + .45 * weather * season)
    wobble = math.sin(moment / 97) * 25 + math.sin(moment / 13) * 15
    current = state["current"] * (.5 + .5 * weather) + wobble * 60
    voltage = state["cell"] * 16 - 90 + current / 1000 * 2
    ccl = USER_CHARGE * state["taper"]
    value, spread = {
        "soc": (min(10_000, soc * 10_000), 20), "voltage": (voltage, 120), "current": (current, 4000), "power": (voltage * current / 1e6, 220),
        "charge_voltage": (55_200 if state["high"] < 3460 else 54_900, 0), "discharge_voltage": (46_400, 0), "charge_current": (ccl, 0), "discharge_current": (USER_DISCHARGE, 0),
        "highest_cell": (state["high"], 3), "lowest_cell": (state["cell"] - 6, 3),
        "highest_temperature": (220 + 60 * season + 30 * math.sin(moment / 13751), 2), "lowest_temperature": (200 + 60 * season + 28 * math.sin(moment / 13751), 2),
    }[name]
    return round(value - spread), round(value), round(value + spread)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one packet
    disable_nagle_algorithm = True
    world: World
    options: argparse.Namespace

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def may(self):
        return not self.options.password or "packbridge_session=fake" in self.headers.get("Cookie", "")

    def session(self):
        if not self.options.password:
            return dict(login_needed=False, role="owner")
        return dict(login_needed=False, role="owner", csrf_token="fake-token") if self.may() else dict(login_needed=True, role="none")

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        values = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        if not path.startswith("/api/"):
            return self.file(path)
        if path == "/api/v1/session":
            return self.answer(200, self.session())
        if not self.may():
            return self.answer(401, dict(problem="Log in first."))
        name = path.removeprefix("/api/v1/")
        if name == "stream":
            return self.stream()
        if name in ("snapshot", "explain.json"):
            return self.answer(200, self.world.document())
        if name == "status":
            return self.answer(200, dict(version="0.9.0", time_ms=int(time.time() * 1000), history=dict(enabled=True, size_bytes=118_000_000, maximum_bytes=400_000_000)))
        if name == "events":
            least = ["info", "warning", "alarm"].index(values.get("severity", "info"))
            rows = [e for e in self.world.events if ["info", "warning", "alarm"].index(e["severity"]) >= least and e["id"] < int(values.get("before", 1 << 60))]
            return self.answer(200, dict(events=rows[:int(values.get("limit", 100))]))
        if name == "statistics":
            return self.answer(200, dict(days=[], cells=[], limited=[
                dict(limit="charge_current", rule="cell_high", text="a high cell", pack=2, cell=7, seconds=2580),
                dict(limit="charge_voltage", rule="runner_cell", text="a leading cell", pack=2, cell=7, seconds=1740),
                dict(limit="charge_current", rule="ramp", text="slow rise", seconds=310),
                dict(limit="discharge_current", rule="bms_margin", text="BMS margin", pack=1, seconds=120)]))
        if name == "history":
            return self.history(values)
        if name == "export.csv":
            return self.answer(200, b"time,bank.soc\r\n", "text/csv")
        if name == "support.tar":
            return self.answer(200, b"\0" * 1024, "application/x-tar")
        return self.answer(404, dict(problem="There is no such thing."))

    def history(self, values):
        start, end, points = int(values["from"]), int(values["to"]), int(values.get("points", 1500))
        step = max(1000, (end - start) // points)
        step = next((s for s in (1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000) if s >= step), 86_400_000)
        series = []
        for name in values["series"].split(","):
            rows = []
            for moment in range(start // step * step, end + 1, step):
                if 0.31 < (moment / 1000 % (86400 * 9)) / (86400 * 9) < 0.315:
                    continue
                rows.append([moment, *history_point(name.split(".")[1], moment / 1000)])
            series.append(dict(name=name, unit=UNITS[name.split(".")[1]], points=rows))
        self.answer(200, dict(resolution="minute", step_ms=step, series=series))

    def file(self, path):
        target = (WEB / ("index.html" if path == "/" else path.lstrip("/"))).resolve()
        if not target.is_relative_to(WEB) or not target.is_file():
            return self.answer(404, b"not found", "text/plain")
        self.answer(200, target.read_bytes(), TYPES[target.suffix])

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sent = len(self.world.changed)
        try:
            while True:
                if not self.world.silent:
                    for event in self.world.changed[sent:]:
                        self.wfile.write(f"event: event\ndata: {json.dumps(event)}\n\n".encode())
                    sent = len(self.world.changed)
                    self.wfile.write(f"event: snapshot\ndata: {json.dumps(self.world.document())}\n\n".encode())
                    self.wfile.flush()
                time.sleep(1)
        except OSError:
            pass

    def do_POST(self):
        if self.path.startswith("/fake/"):
            name = self.path.removeprefix("/fake/")
            self.world.silent = name == "hang"
            if name not in ("hang", "resume"):
                self.world.fault = name
            return self.answer(200, {})
        body = self.body()
        if self.path == "/api/v1/session":
            if body.get("password") != self.options.password:
                return self.answer(401, dict(problem="Wrong password."))
            return self.answer(200, dict(login_needed=False, role="owner", csrf_token="fake-token"), Set_Cookie="packbridge_session=fake; HttpOnly; SameSite=Strict; Path=/")
        if not self.may():
            return self.answer(401, dict(problem="Log in first."))
        if not self.headers.get("X-CSRF-Token"):
            return self.answer(403, dict(problem="The CSRF token is missing."))
        if self.path == "/api/v1/commands":
            return self.obey(body)
        return self.answer(404, dict(problem="There is no such thing."))

    def obey(self, body):
        order, now = body["order"], int(time.time() * 1000)
        if order == "resume":
            self.world.commands.clear()
        elif order in ("soc_ceiling",) and body.get("value", 0) < 2000:
            return self.answer(409, dict(problem="The value is out of range."))
        elif "time_to_live_s" in body:
            until = now + body["time_to_live_s"] * 1000
            self.world.commands[order] = dict(order=order, until_ms=until, by="web", **({"value": body["value"]} if "value" in body else {}))
        event = dict(id=2000 + len(self.world.changed), at_ms=now, kind="command", severity="info", text=f"command {order} accepted", ongoing=False)
        self.world.events.insert(0, event)
        self.world.changed.append(event)
        self.answer(200, dict(accepted=True, order=order))

    def do_DELETE(self):
        self.answer(200, dict(login_needed=bool(self.options.password), role="none"), Set_Cookie="packbridge_session=; Max-Age=0; Path=/")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the browser has gone on to another page
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--password")
    parser.add_argument("--speed", type=float, default=60)
    parser.add_argument("--packs", type=int, default=2)
    parser.add_argument("--cells", type=int, default=16)
    Handler.options = parser.parse_args()
    Handler.world = World(Handler.options)
    server = Server(("127.0.0.1", Handler.options.port), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
