"""The converter's supply, calculated: every rule is asserted, every figure printed.

    python3 calculation.py [NETLIST_DIRECTORY]

With a directory it also writes the circuits for ngspice there, runs them and asserts what they show. What comes from a data sheet is
in the table below with what it was taken for; compare it with the sheets of the parts you buy.
"""

import math
import re
import subprocess
import sys

import design

# ---- the installation
V_LOW, V_HIGH = 45.0, 58.0  # 16 cells in series, V
LOAD = 0.3  # highest continuous load on 5 V, A: module with its radio off about 0.05, transceiver while dominant 0.075, the rest reserve
AMBIENT = 60.0  # in the case beside a battery, degrees Celsius

# ---- data sheets: XL7015
V_REFERENCE, REFERENCE_TOLERANCE = 1.25, 0.02
FREQUENCY, V_IN_MAX, SWITCH_MAX = 150e3, 80.0, 0.8
SWITCH_DROP, QUIESCENT, EDGES = 1.2, 3e-3, 200e-9  # V at 0.3 A; A; rise and fall together, s: assumed generously
THETA_SWITCH = 90.0  # TO-252 on its pad alone, K/W
# ---- the other parts
RESISTOR_TOLERANCE = 0.01
L, L_TOLERANCE, L_DCR, L_SATURATION = 100e-6, 0.2, 0.35, 1.2
C_OUT, ESR_OUT, C_IN = 220e-6, 0.15, 33e-6
SCHOTTKY_DROP, RECTIFIER_DROP = 0.7, 0.9
TVS_STANDOFF, TVS_BREAK_LOW, TVS_BREAK_HIGH, TVS_CLAMP, TVS_CURRENT = 58.0, 64.4, 71.2, 93.6, 16.0
SURGE = 130.0  # what may stand on the battery line for a moment: twice the battery and a bit
FUSE, FUSE_BREAKS, FUSE_INTEGRAL, FUSE_INTEGRAL_HIGH = 0.5, 125.0, 0.03, 0.06
R1_PULSE, TVS_POWER = 2.0, 1500.0  # J; W for 1 ms, for longer pulses falling with the root of their length
LDO_THETA, LDO_OUT = 110.0, 3.3
TRANSCEIVER = (4.75, 5.25)  # supply of the TJA1050

passed = failed = 0


def check(name, value, unit, low=-math.inf, high=math.inf):
    global passed, failed
    good = low <= value <= high
    passed, failed = passed + good, failed + (not good)
    limits = " and ".join([f"at least {low:g}"] * (low > -math.inf) + [f"at most {high:g}"] * (high < math.inf))
    print(f"{'good' if good else 'FAILED':6} {name:62} {value:9.4g} {unit:4} {limits}")


def ohms(ref):
    """The resistance that stands in the table of parts: 3k0, 10R, 4k7."""
    found = re.match(r"(\d+)([Rk])(\d*)", design.find(ref).value)
    return float(f"{found[1]}.{found[3] or 0}") * (1000 if found[2] == "k" else 1)


def divider():
    print("-- output voltage")
    upper, lower = ohms("R2"), ohms("R3")
    out = V_REFERENCE * (1 + upper / lower)
    t = RESISTOR_TOLERANCE
    least, most = (V_REFERENCE * (1 + upper * (1 - s * t) / (lower * (1 + s * t))) for s in (1, -1))
    check("5 V, nominal", out, "V", 4.95, 5.05)
    check("5 V, resistors at their worst, low", least, "V", 4.9, 5.1)
    check("5 V, resistors at their worst, high", most, "V", 4.9, 5.1)
    worst = [v * (1 + s * REFERENCE_TOLERANCE) for v, s in ((least, -1), (most, 1))]
    check("5 V, resistors and reference at their worst, low", worst[0], "V", *TRANSCEIVER)
    check("5 V, resistors and reference at their worst, high", worst[1], "V", *TRANSCEIVER)
    check("current through the divider", out / (upper + lower) * 1e3, "mA", 0.5, 3)
    return out


def ripple(out):
    print("-- inductor and output capacitor")
    for volts in (V_LOW, V_HIGH):
        v = volts - RECTIFIER_DROP - ohms("R1") * LOAD * out / volts / 0.7 - SWITCH_DROP
        duty = (out + SCHOTTKY_DROP) / (v + SCHOTTKY_DROP)
        for inductance, name in ((L, "nominal"), (L * (1 - L_TOLERANCE), "20 % low")):
            swing = (v - out) * duty / (inductance * FREQUENCY)
            check(f"ripple of the inductor's current, {volts:g} V, {name}", swing, "A", 0, 0.45)
    check("highest current of the switch", LOAD + swing / 2, "A", 0, 0.8 * SWITCH_MAX)
    check("the inductor saturates above that", L_SATURATION / (LOAD + swing / 2), "x", 1.5)
    check("ripple of the output", swing * (ESR_OUT + 1 / (8 * FREQUENCY * C_OUT)) * 1e3, "mV", 0, 75)
    check("shortest time the switch is on", duty / FREQUENCY * 1e6, "us", 0.4)
    return duty, swing


def heat(out, duty, swing):
    print("-- dissipation at 58 V and 300 mA")
    conduction = SWITCH_DROP * LOAD * duty
    switching = 0.5 * V_HIGH * LOAD * EDGES * FREQUENCY
    own = V_HIGH * QUIESCENT
    switch = conduction + switching + own
    diode = SCHOTTKY_DROP * LOAD * (1 - duty)
    inductor = L_DCR * (LOAD**2 + swing**2 / 12)
    loss = switch + diode + inductor
    efficiency = out * LOAD / (out * LOAD + loss)
    check("XL7015: conduction, switching, own", switch, "W", 0, 0.7)
    check("XL7015: junction", AMBIENT + switch * THETA_SWITCH, "C", high=125)
    check("D3", diode, "W", 0, 0.5)
    check("L1", inductor, "W", 0, 0.5)
    check("efficiency", efficiency * 100, "%", 60)
    check("U2: 3.3 V at 0.2 A", (out - LDO_OUT) * 0.2, "W", 0, 0.6)
    check("U2: junction", AMBIENT + (out - LDO_OUT) * 0.2 * LDO_THETA, "C", high=125)
    current = out * LOAD / efficiency / V_LOW
    check("current from the battery at 45 V", current * 1e3, "mA", 0, 80)
    check("R1 while running", current**2 * ohms("R1"), "W", 0, 0.5)
    return current


def protection(current):
    print("-- fuse, inrush, reverse polarity, surge")
    r = ohms("R1")
    peak = V_HIGH / r
    integral = V_HIGH**2 / (2 * r) * C_IN
    check("the fuse carries the current at 60 C (derated to 75 %)", FUSE * 0.75 / current, "x", 2)
    check("the fuse breaks the battery's voltage", FUSE_BREAKS / V_HIGH, "x", 1.5)
    check("current when it is plugged in", peak, "A", 0, 8)
    check("melting integral of the fuse over that of the inrush", FUSE_INTEGRAL / integral, "x", 3)
    check("energy in R1 when it is plugged in", 0.5 * C_IN * V_HIGH**2 * 1e3, "mJ", 0, 200)
    check("D1 at reverse polarity with a charged input", design.find("D1").rated / (2 * V_HIGH), "x", 1.5)
    check("D2 stands off the charging battery", TVS_STANDOFF, "V", V_HIGH)
    # A straight line from breakdown to the clamping voltage of the data sheet.
    slope = (TVS_CLAMP - TVS_BREAK_HIGH) / TVS_CURRENT
    amps = (SURGE - TVS_BREAK_HIGH) / (r + slope)
    clamp = TVS_BREAK_HIGH + slope * amps
    check(f"input of the XL7015 while {SURGE:g} V stand on the line", clamp, "V", 0, V_IN_MAX)
    check("current of D2 then", amps, "A", 0, TVS_CURRENT)
    melts = FUSE_INTEGRAL_HIGH / amps**2
    check("the fuse ends it after", melts * 1e3, "ms", 0, 5)
    check("D2 bears that", TVS_POWER * math.sqrt(1e-3 / melts) / (clamp * amps), "x", 1.5)
    check("R1 bears that", R1_PULSE / (amps**2 * r * melts), "x", 1.5)
    for ref in ("C1", "C2"):
        check(f"{ref}: rated over the highest voltage", design.find(ref).rated / clamp, "x", 1.2)
    check("D3: rated over the highest voltage", design.find("D3").rated / clamp, "x", 1.2)


def levels():
    print("-- level resistor between transceiver and module")
    series, lower = ohms("R10"), ohms("R11")
    high = TRANSCEIVER[1] * lower / (series + lower)
    low = (TRANSCEIVER[0] * 0.8) * lower / (series + lower)
    check("TJA1050 high, supply at its highest", high, "V", 0, 3.6)
    check("TJA1050 high, loaded and supply at its lowest", low, "V", 0.75 * 3.3)
    check("SN65HVD230 high without R11", 3.2, "V", 0.75 * 3.3, 3.6)
    check("edge with 20 pF, of a bit of 2 us", 2.2 * series * lower / (series + lower) * 20e-12 / 2e-6 * 100, "%", 0, 10)
    check("current into the module's clamp if R11 is missing with 5 V", (TRANSCEIVER[1] - 3.6) / series * 1e3, "mA", 0, 0.5)


# ---- ngspice: what can be modelled without the maker's model of the XL7015. The switch is an ideal one at the calculated duty.
INPUT = """* input: battery, fuse, rectifier, resistor, TVS, capacitor
.model rectifier D(Is=1e-9 N=1.8 Rs=0.05 Bv=400)
.model tvs D(Is=1e-12 N=1 Bv=71.2 Ibv=1m Rs=1.4)
Rfuse bat fused 0.4
D1 fused rev rectifier
R1 rev vin {r1:g}
D2 0 vin tvs
C1 vin c1 33u
Rc1 c1 0 0.8
C2 vin 0 1u
Rload vin 0 {load:g}
"""


def spice(folder, name, text):
    path = f"{folder}/{name}.cir"
    open(path, "w").write(text + ".end\n")
    said = subprocess.run(["ngspice", "-b", path], capture_output=True, text=True, timeout=120)
    open(f"{folder}/{name}.log", "w").write(said.stdout + said.stderr)
    found = dict(re.findall(r"^(\w+)\s+=\s+([-+0-9.eE]+)", said.stdout, re.M))
    return {key: float(value) for key, value in found.items()}


def simulate(folder, out, duty):
    print("-- ngspice")
    load = V_LOW**2 / (out * LOAD / 0.7)
    head = INPUT.format(r1=ohms("R1"), load=load)
    m = spice(folder, "inrush", "* plugged in at 58 V\n" + head + "Vbat bat 0 PULSE(0 58 1u 1u 1u 1 2)\n"
              ".tran 1u 5m 0 1u\n.meas tran peak MAX i(D1)\n.meas tran settled FIND v(vin) AT=4.9m\n"
              ".meas tran integral INTEG par('i(D1)*i(D1)')\n".replace("i(D1)", "i(Vbat)").replace("MAX", "MIN"))
    check("inrush: highest current", -m.get("peak", math.nan), "A", 0, 8)
    check("inrush: input afterwards", m.get("settled", math.nan), "V", 55, 58)
    check("inrush: integral, of the fuse's", m.get("integral", math.nan) / FUSE_INTEGRAL * 100, "%", 0, 33)
    m = spice(folder, "reverse", "* wrong way round\n" + head + "Vbat bat 0 PULSE(0 -58 1u 1u 1u 1 2)\n"
              ".tran 1u 2m 0 1u\n.meas tran lowest MIN v(vin)\n.meas tran back MAX i(Vbat)\n")
    check("reverse polarity: lowest voltage at the input", m.get("lowest", math.nan), "V", -0.3)
    check("reverse polarity: current", m.get("back", math.nan) * 1e3, "mA", high=1)
    m = spice(folder, "surge", "* 130 V for 100 us on a line of 58 V\n" + head + "Vbat bat 0 PWL(0 58 10m 58 10.001m 130 10.1m 130 10.101m 58)\n"
              ".tran 1u 12m 0 1u\n.meas tran highest MAX v(vin)\n")
    check("surge: highest voltage at the XL7015", m.get("highest", math.nan), "V", 58, V_IN_MAX)
    m = spice(folder, "surge-long", "* 130 V for 20 ms: the capacitor does not help any more\n" + head
              + "Vbat bat 0 PWL(0 58 10m 58 10.001m 130 30m 130)\n.tran 5u 30m 0 5u\n.meas tran highest MAX v(vin)\n")
    check("surge of 20 ms: highest voltage at the XL7015", m.get("highest", math.nan), "V", 64, V_IN_MAX)
    period = 1 / FREQUENCY
    m = spice(folder, "ripple", f"""* output filter at 58 V, 300 mA
Vdrive gate 0 PULSE(0 1 0 50n 50n {duty * period - 50e-9:g} {period:g})
.model switch SW(Ron={SWITCH_DROP / LOAD:g} Roff=10Meg Vt=0.5 Vh=0.1)
.model schottky D(Is=1e-6 N=1.05 Rs=0.3)
Vin in 0 56
S1 in sw gate 0 switch
D3 0 sw schottky
L1 sw l {L * (1 - L_TOLERANCE):g} IC={LOAD:g}
Rl l out {L_DCR:g}
C4 out c4 {C_OUT:g} IC={out:g}
Rc4 c4 0 {ESR_OUT:g}
C5 out 0 10u IC={out:g}
Rload out 0 {out / LOAD:g}
.tran 20n 2m 1.8m 20n UIC
.meas tran out AVG v(out)
.meas tran swing PP v(out)
.meas tran amps PP i(L1)
""")
    check("switching: average of the output with the calculated duty", m.get("out", math.nan), "V", 4.7, 5.3)
    check("switching: ripple of the output", m.get("swing", math.nan) * 1e3, "mV", 0, 75)
    check("switching: ripple of the inductor's current", m.get("amps", math.nan), "A", 0, 0.45)


if __name__ == "__main__":
    out = divider()
    duty, swing = ripple(out)
    current = heat(out, duty, swing)
    protection(current)
    levels()
    if len(sys.argv) > 1:
        simulate(sys.argv[1], out, duty)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)
