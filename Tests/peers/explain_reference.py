#!/usr/bin/env python3
"""Holds `packbridge explain` against the formulas of the control specification, calculated here in exact fractions.

    Tests/peers/explain_reference.py PACKBRIDGE [--count 4000] [--seed 1]

Random banks of 1 to 6 packs, three chemistries, random settings; inputs that are missing, hot, cold, full, empty, old. Nothing here comes
from the sources of the bridge: charge-control.md §5.6, §6, §7 and aggregation.md §5, as amended. A limit may be lower than the exact value
by what rounding in mA takes, never higher. The last line is "N passed, N failed".
"""

import argparse
import json
import math
import random
import subprocess
import sys
from fractions import Fraction as F

from judging import Report, conclude

#: charge-control.md §2 and §7.2: bulk, float, rebulk, full_min, abs_max, zd_floor, span of the charge taper, of the discharge taper, highest C-rate
CHEMISTRY = {
    "LFP": dict(bulk=3450, float=3350, rebulk=3300, absolute=3650, floor=2800, span=150, sag=300, rate=F(1, 2), ovp=(3400, 3700), cell=(1500, 4000)),
    "NMC": dict(bulk=4100, float=4050, rebulk=3950, absolute=4200, floor=3000, span=80, sag=300, rate=F(1, 2), ovp=(4000, 4250), cell=(2000, 4500)),
    "LTO": dict(bulk=2700, float=2600, rebulk=2450, absolute=2850, floor=1900, span=100, sag=200, rate=F(1), ovp=(2600, 2900), cell=(1000, 3200)),
}
#: §7.3, tenths of a degree: C-rate when charging, part of the discharge limit when discharging.
CHARGE = {
    "LFP": [(0, 0), (20, F("0.05")), (50, F("0.10")), (100, F("0.20")), (150, F("0.20")), (200, F("0.5")), (450, F("0.5")), (500, F("0.10")), (550, 0)],
    "NMC": [(0, 0), (50, F("0.10")), (100, F("0.20")), (200, F("0.5")), (400, F("0.5")), (450, F("0.30")), (500, F("0.10")), (520, 0)],
    "LTO": [(-200, 0), (-100, F("0.20")), (0, F("0.5")), (100, 1), (450, 1), (500, F("0.5")), (550, 0)],
}
DISCHARGE = [(-200, 0), (-100, F("0.20")), (0, F("0.5")), (100, 1), (450, 1), (500, F("0.5")), (550, F("0.25")), (600, 0)]
MOSFET = [(700, 1), (800, F("0.25")), (900, 0)]
HIGH = [(0, 1), (F("0.25"), F("0.5")), (F("0.5"), F("0.15")), (F("0.75"), F("0.02")), (1, 0)]
LOW = [(0, 0), (F("0.25"), F("0.05")), (F("0.5"), F("0.20")), (F("0.75"), F("0.5")), (1, 1)]
#: Amendment 8 by name: what stops charging, what stops discharging.
STOPS_CHARGE = {"cell_over_voltage", "pack_over_voltage", "charge_over_current", "charge_over_temperature", "charge_under_temperature"}
STOPS_DISCHARGE = {"cell_under_voltage", "pack_under_voltage", "discharge_over_current", "discharge_over_temperature"}


def line(table, x):
    """Linear between the points, level beyond them."""
    if x <= table[0][0]:
        return F(table[0][1])
    for (x0, y0), (x1, y1) in zip(table, table[1:]):
        if x <= x1:
            return y0 + (F(y1) - y0) * F(x - x0, 1) / (x1 - x0)
    return F(table[-1][1])


class Bank:
    """The limits of one snapshot in mV and mA, before they are rounded."""

    def __init__(self, config, packs):
        self.c, self.packs, self.k = config, packs, CHEMISTRY[config["chemistry"]]
        self.n = config["cells"]
        self.bulk = config["bulk_mV"]
        # Amendment 27: an absent float or rebulk is lowered where the preset would break the order.
        self.float = config.get("float_mV", min(self.k["float"], self.bulk - 20))
        self.rebulk = config.get("rebulk_mV", min(self.k["rebulk"], self.float - 50))
        self.ovp = min(p["settings"]["ovp_mV"] for p in packs)
        self.uvp = max(p["settings"]["uvp_mV"] for p in packs)
        self.charge_zero = min(self.bulk + self.k["span"], self.ovp - 30, self.k["absolute"] - 20)
        self.charge_start = self.bulk - 50
        self.discharge_zero = max(self.uvp + 100, config.get("discharge_zero_mV", self.k["floor"]))
        self.margin = F(config.get("bms_margin_pct", 90), 100)

    def fade(self, pack):
        """failsafe.md §3: full until T_hold, gone at T_zero."""
        hold, zero = self.c.get("hold_ms", 15_000), self.c.get("zero_ms", 30_000)
        return max(F(0), min(F(1), F(zero - pack["age_ms"], zero - hold)))

    def limit(self, pack, charging):
        """lim_p of §7 of a pack that takes part in this direction, in mA."""
        base = self.margin * pack["settings"]["charge_ocp_mA" if charging else "discharge_ocp_mA"]
        cap = pack.get("user_charge_mA" if charging else "user_discharge_mA")
        base = base if cap is None else min(base, cap)
        alarms = set(pack["alarms"])
        if alarms & (STOPS_CHARGE if charging else STOPS_DISCHARGE):
            return F(0)
        temperatures = pack["temps_dC"]
        known = bool(temperatures) and None not in temperatures
        cells, capacity = pack["cells_mV"], pack["capacity_mAh"]
        bounds = [base]
        published = pack.get("bms_charge_limit_mA" if charging else "bms_discharge_limit_mA")
        if published is not None:
            bounds.append(F(published))
        if pack.get("mos_dC") is not None:
            bounds.append(base * line(MOSFET, pack["mos_dC"]))
        if charging:
            u = F(max(cells) - self.charge_start, self.charge_zero - self.charge_start)
            bounds.append(base * line(HIGH, u))
            if not known or min(temperatures) <= self.c.get("cold_zero_dC", -200 if self.c["chemistry"] == "LTO" else 0):
                return F(0)
            highest = F(self.c.get("charge_rate_mC", int(self.k["rate"] * 1000)), 1000)
            rate = min(line(CHARGE[self.c["chemistry"]], t) for t in temperatures)
            bounds.append(capacity * min(rate, highest))
            if max(cells) >= self.ovp - 30:
                return F(0)
        else:
            u = F(min(cells) - self.discharge_zero, self.k["sag"])
            bounds.append(base * line(LOW, u))
            bounds += [base * line(DISCHARGE, t) for t in temperatures if t is not None]
            if not known:  # §1: no temperature, or one too few
                bounds.append(F(capacity, 5))
        return max(F(0), min(bounds))

    def current(self, charging):
        """min(Σ lim_p, min(lim_p / w_p)), the user's cap, in mA."""
        user = self.c["user_charge_mA" if charging else "user_discharge_mA"]
        # Amendment 9: too hot by far, for a cell or the MOSFETs, is a fault of the whole bank.
        if any((t or 0) >= 650 for p in self.heard() for t in p["temps_dC"]) or any(p.get("mos_dC", 0) >= 1000 for p in self.heard()):
            return F(0)
        takers = [p for p in self.packs if p["charge_fet" if charging else "discharge_fet"] and self.fade(p) > 0]
        if not takers:
            return F(0)
        whole = sum(p["capacity_mAh"] * self.fade(p) for p in takers)
        limits = [(p, self.limit(p, charging)) for p in takers]
        total = sum(limit * self.fade(p) for p, limit in limits)
        tightest = min(limit * whole / (p["capacity_mAh"] * self.fade(p)) for p, limit in limits)
        return min(F(user), total, tightest)

    def heard(self):
        return [p for p in self.packs if self.fade(p) > 0]

    def charge_voltage(self, phase):
        """CVL of §6 in mV, rounded down to 0.1 V."""
        bounds = [self.bulk, min(self.ovp - 50, self.k["absolute"])]
        if phase == "FLOAT":
            bounds.append(self.float)
        bounds = [self.n * bound for bound in bounds]
        published = [p["bms_charge_voltage_mV"] for p in self.packs if p.get("bms_charge_voltage_mV") is not None]
        bounds += published
        for pack in self.packs:
            excess = max(pack["cells_mV"]) - (self.bulk + 10)
            gain = F(self.c.get("runner_gain_tenths", 10), 10)
            if excess > 0:
                bounds.append(max(F(self.n * self.float), sum(pack["cells_mV"]) - gain * excess))
            if max(pack["cells_mV"]) >= self.ovp - 30:
                bounds.append(self.n * self.float)
        lowest = min(bounds) + self.c.get("inverter_offset_mV", 0)
        cap = self.n * min(self.ovp - 50, self.k["absolute"])
        lowest = min(max(lowest, self.n * self.rebulk), cap)  # §6.3
        return math.floor(lowest / 100) * 100

    def discharge_voltage(self):
        return math.ceil(F(self.n * max(self.discharge_zero, self.c.get("user_dvl_mV", 0)), 100)) * 100


def draw(dice):
    """A snapshot as somebody might download it."""
    chemistry = dice.choice(["LFP", "LFP", "LFP", "NMC", "LTO"])
    k = CHEMISTRY[chemistry]
    cells = dice.choice([8, 15, 16, 16, 16, 22]) if chemistry != "NMC" else dice.choice([13, 14])
    config = {"chemistry": chemistry, "cells": cells, "bulk_mV": k["bulk"] + dice.choice([0, 0, -20, 20, 30]),
              "user_charge_mA": dice.choice([140_000, 300_000, 50_000, 0]), "user_discharge_mA": dice.choice([140_000, 300_000, 70_000])}
    if dice.random() < 0.3:
        config["bms_margin_pct"] = dice.choice([50, 75, 90, 100])
    if dice.random() < 0.3:
        config["charge_rate_mC"] = dice.choice([50, 200, 333, 500])
    if dice.random() < 0.2:
        config["inverter_offset_mV"] = dice.choice([100, 250, 500]) * cells // 16
    if dice.random() < 0.2:
        config["runner_gain_tenths"] = dice.choice([10, 15, 25, 40])
    # Most often something that limits: voltage, temperature, MOSFET, nothing.
    level = dice.choice([(-150, 30)] * 4 + [(-60, 120), (-60, 190)])
    ovp = dice.randint(k["bulk"] + 100, min(k["ovp"][1], k["absolute"] + 20)) if chemistry != "LTO" else dice.randint(2780, 2880)
    packs = []
    empty = dice.random() < 0.2
    around = k["floor"] + dice.randint(40, 250) if empty else k["bulk"] + dice.randint(*level)
    for number in range(dice.choice([1, 1, 2, 2, 3, 4, 6])):
        volts = [min(ovp + 15, max(k["floor"] - 120, around + dice.randint(-12, 12))) for _ in range(cells)]
        warm = dice.choice([(200, 300)] * 3 + [(-250, 620), (-20, 120), (400, 560)])
        temperature = dice.randint(*warm)
        pack = {
            "id": number + 1, "capacity_mAh": dice.choice([100, 280, 280, 304, 560]) * 1000, "cells_mV": volts, "pack_mV": sum(volts),
            "current_mA": dice.choice([0, 5_000, -5_000, 20_000, -40_000]), "temps_dC": [temperature, temperature + dice.randint(0, 40)],
            "mos_dC": dice.choice([300, 300, None, dice.randint(650, 950)]), "soc_cpct": dice.randint(300, 9600),
            "settings": {"ovp_mV": ovp + dice.choice([0, 0, 10]), "uvp_mV": k["floor"] - dice.choice([100, 100, 60, 200]),
                         "charge_ocp_mA": dice.choice([50, 100, 150, 200]) * 1000, "discharge_ocp_mA": dice.choice([100, 150, 200]) * 1000},
            "charge_fet": dice.random() > 0.08, "discharge_fet": dice.random() > 0.08, "alarms": [], "age_ms": dice.choice([500, 500, 4_000])}
        if dice.random() < 0.05:
            pack["temps_dC"][dice.randrange(2)] = None
        if dice.random() < 0.08:
            pack["alarms"] = [dice.choice(sorted(STOPS_CHARGE | STOPS_DISCHARGE))]
        if dice.random() < 0.08:
            pack["user_charge_mA"] = dice.choice([0, 20_000, 80_000])
        if dice.random() < 0.08:
            pack["bms_discharge_limit_mA"] = dice.choice([0, 33_333, 90_000])
        if dice.random() < 0.05:
            pack["bms_charge_limit_mA"] = dice.choice([0, 12_345, 90_000])
        packs.append({key: value for key, value in pack.items() if value is not None})
    return {"config": config, "packs": packs}


def judge(snapshot, answer, report):
    """One snapshot. What the answer may differ by downwards is the rounding of each division to mA, twice over the share."""
    bank = Bank(snapshot["config"], snapshot["packs"])
    where = json.dumps(snapshot)
    if "error" in answer:
        report.check("an answer", False, f"{answer} {where}")
        return
    if answer["phase"] not in ("BULK", "FLOAT"):
        # Charging is blocked: the phase it came from is not told.
        report.check("no current in HOLD", answer["phase"] == "HOLD" and answer["ccl_mA"] == 0, f"{answer['phase']} {where}")
    for name, charging in (("ccl_mA", True), ("dcl_mA", False)):
        exact = bank.current(charging)
        slack = 2 + 12 * len(snapshot["packs"])
        report.check(name, math.floor(exact) - slack <= answer[name] <= exact, f"(got {answer[name]}, exact {float(exact):.3f}) {where}")
    if answer["phase"] in ("BULK", "FLOAT"):
        report.equal(f"cvl_mV {where}", answer["cvl_mV"], bank.charge_voltage(answer["phase"]))
    report.equal(f"dvl_mV {where}", answer["dvl_mV"], bank.discharge_voltage())
    for limit in ("cvl", "ccl", "dcl"):
        bound = answer["reasons"][limit]["bound"]
        report.check(f"the reason of {limit} is its bound", bound // 100 * 100 == answer[f"{limit}_mV"] if limit == "cvl" else bound == answer[f"{limit}_mA"], where)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("packbridge")
    arguments.add_argument("--count", type=int, default=4000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    dice = random.Random(given.seed)
    snapshots = [draw(dice) for _ in range(given.count)]
    lines = "".join(json.dumps(snapshot) + "\n" for snapshot in snapshots)
    out = subprocess.run([given.packbridge, "explain", "-"], input=lines, capture_output=True, text=True).stdout.splitlines()
    report = Report(f"explain against the formulas, seed {given.seed}")
    report.equal("one answer for each line", len(out), len(snapshots))
    for snapshot, answer in zip(snapshots, out):
        judge(snapshot, json.loads(answer), report)
    return conclude([report])


if __name__ == "__main__":
    sys.exit(main())
