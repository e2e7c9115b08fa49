"""Judges the converter: electrical rules, schematic against table, board against table, KiCad's design rules, what the maker gets.

    python3 check.py BUILD_DIRECTORY [--board OTHER.kicad_pcb]

BUILD_DIRECTORY is what `make hardware` filled. The last line is "N passed, N failed". With --board it judges another board against
the same table, which is how prove_checks.py shows that the checks notice a fault.
"""

import csv
import glob
import os
import re
import sys

import design
import pcbnew
import schematic

passed = failed = 0


def verdict(what, findings):
    """One check; findings is a list of sentences, empty when all is well."""
    global passed, failed
    findings = list(findings)
    if findings:
        failed += 1
        print(f"FAILED {what}")
        for finding in findings[:20]:
            print(f"       {finding}")
    else:
        passed += 1
        print(f"good   {what}")


# ---- electrical rules

def fed():
    """The nets that get power: those of a supply or an output, and what they feed through fuse, inductor, a diode the right way round, a
    resistor of up to 10 ohm, or a solder jumper towards its middle: a choice between two supplies feeds neither."""
    found = {pin.net for p in design.PARTS for pin in p.pins if pin.kind in (design.SUPPLY, design.OUT)} | {"GND"}
    ways = []
    for p in design.PARTS:
        nets = {pin.name: pin.net for pin in p.pins}
        if p.ref[0] == "D" and set(nets) == {"A", "K"}:
            ways.append((nets["A"], nets["K"]))
        elif p.ref[:2] == "JP" and len(p.pins) == 3:
            ways += [(p.pins[end].net, p.pins[1].net) for end in (0, 2)]
        elif p.ref[0] in "FL" or p.ref[0] == "R" and re.match(r"(\d+)R", p.value) and int(p.value.split("R")[0]) <= 10:
            ways += [(a, b) for a in nets.values() for b in nets.values()]
    while more := {b for a, b in ways if a in found and a != "GND" and b not in found}:
        found |= more
    return found


def held(net, pins):
    """An input has a level: somebody drives it, or a resistor, a jumper or whoever is at a connector gives it one. A capacitor or a test
    point does not."""
    return net == "GND" or any(pin.kind in (design.OUT, design.BIDIR, design.SUPPLY) or p.ref[0] in "RLJ" for p, pin in pins if pin.kind != design.IN)


def electrical_rules():
    nets = design.nets()
    verdict("every name is used once", (f"{ref} twice" for ref in {p.ref for p in design.PARTS} if sum(q.ref == ref for q in design.PARTS) > 1))
    verdict("every pin is on a net or is deliberately unused",
            (f"{p.ref}.{pin.number} {pin.name}" for p in design.PARTS for pin in p.pins if (pin.net is None) != (pin.kind == design.UNUSED)))
    verdict("no net ends at a single pin", (f"{net}: only {pins[0][0].ref}.{pins[0][1].number}" for net, pins in nets.items()
                                            if len([p for p, _ in pins if p.fitted]) < 2))
    verdict("no two outputs or supplies work against each other",
            (f"{net}: " + ", ".join(f"{p.ref}.{pin.name}" for p, pin in pins if pin.kind in (design.OUT, design.SUPPLY))
             for net, pins in nets.items() if sum(pin.kind in (design.OUT, design.SUPPLY) for _, pin in pins) > 1))
    verdict("what needs power gets it", (f"{net}: {p.ref}.{pin.name}" for net, pins in nets.items() for p, pin in pins
                                         if pin.kind == design.POWER and net not in fed()))
    verdict("every input is driven or held", (f"{net}: {p.ref}.{pin.name}" for net, pins in nets.items() for p, pin in pins
                                              if pin.kind == design.IN and not held(net, pins)))
    verdict("every net has its highest voltage noted", (set(nets) ^ set(design.NET_VOLTS)))
    verdict("no pin sees more than it bears", (f"{p.ref}.{pin.name} bears {pin.rated} V, {net} may have {design.NET_VOLTS[net]} V"
                                               for net, pins in nets.items() for p, pin in pins if pin.rated is not None and design.NET_VOLTS[net] > pin.rated))
    def across(part):
        volts = [design.NET_VOLTS[pin.net] for pin in part.pins]
        return abs(volts[0] - volts[1]) if part.ref != "C3" else 10  # between VIN and VC stands the regulator's own supply only
    verdict("every capacitor has a reserve of a fifth at least", (f"{p.ref}: {p.rated} V, {across(p)} V across it" for p in design.PARTS
                                                                  if p.ref.startswith("C") and p.rated < 1.2 * across(p)))
    wanted = {"BMS_TX": "IO4", "BMS_RX": "IO5", "CAN_TX": "IO6", "CAN_RX": "IO7", "STATUS": "IO10", "USB_D-": "IO18", "USB_D+": "IO19"}
    verdict("the module's pins are those of the firmware", (f"{net} is on {pin.name}, not {wanted[net]}" for net, pins in nets.items() for p, pin in pins
                                                            if p.ref == "U3" and net in wanted and pin.name != wanted[net]))
    firmware_pins()


def firmware_pins():
    """The pins in the firmware's own board file, when it has one for the ESP32-C3."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    pins = {pin.net: int(pin.name[2:]) for pin in design.find("U3").pins if pin.net and re.fullmatch(r"IO\d+", pin.name)}
    found = {}
    for path in glob.glob(os.path.join(root, "Sources", "Firmware*", "**", "*.swift"), recursive=True):
        if "C3" in os.path.basename(path):
            for name, number in re.findall(r"\bpin(BMSTransmit|BMSReceive|CANTransmit|CANReceive|LED)\b[^\d\n]*?(\d+)", open(path).read()):
                found.setdefault(name, set()).add(int(number))
    if not found:
        print("       (the firmware has no board file with pins yet: compared with its specification only)")
        return
    names = {"BMSTransmit": "BMS_TX", "BMSReceive": "BMS_RX", "CANTransmit": "CAN_TX", "CANReceive": "CAN_RX", "LED": "STATUS"}
    verdict("the firmware's board file has the same pins", (f"{name} is {found[name]} there, {pins.get(names[name])} here" for name in found if pins.get(names[name]) not in found[name]))


# ---- schematic and board against the table

def schematic_says_the_same():
    wanted = {net: {(p.ref, pin.number) for p, pin in pins if p.drawn} for net, pins in design.nets().items()}
    groups = schematic.connections()
    verdict("schematic: nothing hangs between nets", (f"{sorted(names)}: {sorted(pins)}" for names, pins in groups if len(names) != 1))
    got = {}
    for names, pins in groups:
        for name in names:
            got.setdefault(name, set()).update(pins)
    verdict("schematic: wires and labels connect what the table connects",
            (f"{net}: {sorted(wanted.get(net, set()) ^ got.get(net, set()))}" for net in sorted(set(wanted) | set(got)) if wanted.get(net) != got.get(net)))


def board_says_the_same(board):
    table = {p.ref: p for p in design.PARTS}
    there = {f.GetReference(): f for f in board.GetFootprints()}
    # A test point shows its net instead of its name.
    points = {p.value: p.ref for p in design.PARTS if p.ref.startswith("TP")}
    there = {points.get(ref, ref): f for ref, f in there.items()}
    verdict("board: the parts of the table, no other", (f"{ref}" for ref in set(table) ^ set(there)))
    def wrong():
        for ref in set(table) & set(there):
            nets = {pin.number: pin.net for pin in table[ref].pins}
            numbers = set()
            for pad in there[ref].Pads():
                number = pad.GetNumber()
                if not number:
                    continue
                numbers.add(number)
                if (pad.GetNetname() or None) != nets.get(number):
                    yield f"{ref}.{number} is on {pad.GetNetname() or 'nothing'}, in the table on {nets.get(number)}"
            if numbers != set(nets):
                yield f"{ref}: pads {sorted(numbers ^ set(nets))} are only in one of the two"
    verdict("board: every pad is on the net of the table", wrong())


def design_rules(board, folder):
    verdict("board: nothing is left unconnected", [f"{n} connections missing"] if (n := board.GetConnectivity().GetUnconnectedCount()) else [])
    report = os.path.join(folder, "drc.txt")
    classes = {str(name) for name in board.GetDesignSettings().GetNetClasses().NetClasses()}
    verdict("board: KiCad knows the net classes of the project", {"Battery", "Power"} - classes)
    verdict("board: KiCad could check its design rules", [] if pcbnew.WriteDRCReport(board, report, pcbnew.EDA_UNITS_MILLIMETRES, True) else ["no report"])
    text = open(report).read()
    findings = re.findall(r"^\[(\w+)\]: (.*)\n.*\n((?:    @.*\n)*)", text, re.M)
    verdict("board: KiCad's design rules find nothing", (f"{kind}: {what} {' / '.join(w.strip() for w in where.splitlines())}" for kind, what, where in findings))
    zones = [z for z in board.Zones() if not z.GetIsRuleArea()]
    verdict("board: the ground is poured on both sides", [] if len(zones) == 2 and all(z.IsFilled() and z.GetFilledArea() > 1e15 for z in zones) else ["zone empty or missing"])
    verdict("board: high voltage keeps 0.3 mm everywhere", high_voltage(board))


def high_voltage(board):
    """KiCad checks the classes, too; this is the same with plain geometry, so that a broken project file cannot hide it."""
    pads = [(pad, pad.GetNetname(), pad.GetBoundingBox(), f.GetReference()) for f in board.GetFootprints() for pad in f.Pads() if pad.IsOnCopperLayer()]
    for pad, net, box, ref in pads:
        if net not in design.HIGH_VOLTAGE:
            continue
        for other, name, beside, owner in pads:
            if name == net or owner == ref:  # pads of one part are as far apart as its maker made them
                continue
            dx = max(box.GetLeft() - beside.GetRight(), beside.GetLeft() - box.GetRight(), 0)
            dy = max(box.GetTop() - beside.GetBottom(), beside.GetTop() - box.GetBottom(), 0)
            gap = pcbnew.ToMM((dx * dx + dy * dy) ** 0.5)
            if gap < 0.3:
                yield f"{ref}.{pad.GetNumber()} ({net}) is {gap:.2f} mm from {owner}.{other.GetNumber()} ({name})"


def committed(folder):
    """What lies beside this script for people who only want to open it is what the scripts make, but for KiCad's random marks."""
    def lines(path):
        text = re.sub(r"\(tstamp [-0-9a-f]+\)", "", open(path).read())
        return sorted(line.strip() for line in text.splitlines())
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("packbridge.kicad_pcb", "packbridge.kicad_sch", "packbridge.kicad_pro", "packbridge.kicad_sym", "sym-lib-table", "fp-lib-table"):
        mine = os.path.join(here, name)
        verdict(f"hardware/{name} is what the scripts make",
                [] if os.path.exists(mine) and lines(mine) == lines(os.path.join(folder, name)) else ["run hardware/build --update and commit"])


# ---- what the maker gets

def outputs(folder):
    plots = os.path.join(folder, "gerbers")
    wanted = {"F_Cu.gtl": 20000, "B_Cu.gbl": 20000, "F_Mask.gts": 3000, "B_Mask.gbs": 1000, "F_Silkscreen.gto": 5000, "B_Silkscreen.gbo": 200,
              "F_Paste.gtp": 3000, "Edge_Cuts.gm1": 300, "PTH.drl": 500, "NPTH.drl": 200}
    def missing():
        for name, size in wanted.items():
            path = os.path.join(plots, "packbridge-" + name)
            if not os.path.exists(path) or os.path.getsize(path) < size:
                yield f"{path}: {'missing' if not os.path.exists(path) else f'{os.path.getsize(path)} bytes'}"
    verdict("gerbers and drill files are there and not empty", missing())
    with open(os.path.join(folder, "bom.csv")) as file:
        rows = list(csv.DictReader(file))
    listed = [ref for row in rows for ref in row["parts"].split()]
    verdict("bill of materials: every part that is fitted, once", set(listed) ^ {p.ref for p in design.PARTS if p.fitted} or [r for r in set(listed) if listed.count(r) > 1])
    verdict("bill of materials: the number is that of the names", (row["parts"] for row in rows if int(row["number"]) != len(row["parts"].split())))
    for name in ("board-top.png", "board-bottom.png", "schematic.png", "case.png"):
        path = os.path.join(folder, name)
        verdict(f"picture {name}", [] if os.path.exists(path) and os.path.getsize(path) > 15000 else ["missing or empty"])
    for name in ("case-bottom.stl", "case-lid.stl"):
        path = os.path.join(folder, name)
        facets = open(path).read().count("facet normal") if os.path.exists(path) else 0
        verdict(f"{name} is a body", [] if facets > 100 else [f"{facets} facets"])


def main():
    folder = sys.argv[1]
    other = sys.argv[sys.argv.index("--board") + 1] if "--board" in sys.argv else None
    board = pcbnew.LoadBoard(other or os.path.join(folder, "packbridge.kicad_pcb"))
    if not other:
        electrical_rules()
        schematic_says_the_same()
    board_says_the_same(board)
    design_rules(board, os.path.dirname(other) if other else folder)
    if not other:
        outputs(folder)
        committed(folder)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
