"""The schematic as a drawing: shapes, places of pins, labels, and what the wires connect. sheet_kicad.py and sheet_picture.py write it down."""

import math
import uuid

import design
import sheet

G = 2.54
NAMESPACE = uuid.UUID("7f3a0f9e-3a55-4a0c-9c62-51d1f5a3c0de")
ROOT = "e63e39d7-6ac0-4ffd-8aa3-1841a4541b55"
KINDS = {design.OUT: "output", design.IN: "input", design.BIDIR: "bidirectional", design.PASSIVE: "passive", design.SUPPLY: "power_out",
         design.POWER: "power_in", design.UNUSED: "passive"}
# (An unused pin has a cross on the sheet instead of a type of its own: KiCad warns about both together.)
SIGNS = {"GND", "+5V", "+3V3"}


def ident(name):
    return str(uuid.uuid5(NAMESPACE, name))


def turn(x, y, angle):
    for _ in range(angle // 90 % 4):
        x, y = -y, x
    return x, y


# ---- shapes: lists of ("line", points) | ("box", x1, y1, x2, y2) | ("circle", x, y, r) | ("fill", points), in steps, y downwards

def arc(cx, r, up=True):
    return ("line", [(cx - r * math.cos(math.pi * i / 8), (-1 if up else 1) * r * math.sin(math.pi * i / 8)) for i in range(9)])


DIODE = [("fill", [(0.6, -0.65), (0.6, 0.65), (-0.6, 0)]), ("line", [(-0.6, -0.7), (-0.6, 0.7)]), ("line", [(-1, 0), (-0.6, 0)]), ("line", [(0.6, 0), (1, 0)])]
SHAPES = {
    "R": [("box", -1, -0.4, 1, 0.4)],
    "F": [("box", -1, -0.4, 1, 0.4), ("line", [(-1, 0), (1, 0)])],
    "C": [("line", [(-0.2, -0.8), (-0.2, 0.8)]), ("line", [(0.2, -0.8), (0.2, 0.8)]), ("line", [(-1, 0), (-0.2, 0)]), ("line", [(0.2, 0), (1, 0)])],
    "CP": [("box", -0.35, -0.8, -0.1, 0.8), ("fill", [(0.15, -0.8), (0.35, -0.8), (0.35, 0.8), (0.15, 0.8)]), ("line", [(-1, 0), (-0.35, 0)]),
           ("line", [(0.35, 0), (1, 0)]), ("line", [(-0.9, -0.5), (-0.5, -0.5)]), ("line", [(-0.7, -0.7), (-0.7, -0.3)])],
    "L": [arc(-0.75, 0.25), arc(-0.25, 0.25), arc(0.25, 0.25), arc(0.75, 0.25)],
    "D": DIODE,
    "SCHOTTKY": DIODE + [("line", [(-0.6, -0.7), (-0.35, -0.7), (-0.35, -0.5)]), ("line", [(-0.6, 0.7), (-0.85, 0.7), (-0.85, 0.5)])],
    "TVS": DIODE + [("line", [(-0.6, -0.7), (-0.85, -0.85)]), ("line", [(-0.6, 0.7), (-0.35, 0.85)])],
    "LED": DIODE + [("line", [(0, -0.9), (-0.5, -1.4), (-0.3, -1.35)]), ("line", [(0.5, -0.9), (0, -1.4), (0.2, -1.35)])],
    "SW": [("circle", -0.8, 0, 0.12), ("circle", 0.8, 0, 0.12), ("line", [(-0.8, -0.5), (0.8, -0.5)]), ("line", [(0, -0.5), (0, -0.9)]),
           ("line", [(-1, 0), (-0.92, 0)]), ("line", [(0.92, 0), (1, 0)])],
    "J2": [("fill", [(-0.15, -0.5), (-0.15, 0.5), (-0.5, 0.4), (-0.7, 0), (-0.5, -0.4)]), ("fill", [(0.15, -0.5), (0.15, 0.5), (0.5, 0.4), (0.7, 0), (0.5, -0.4)]),
           ("line", [(-1, 0), (-0.7, 0)]), ("line", [(0.7, 0), (1, 0)])],
    "J3": [("box", -1, -1.4, 1, 1.4), ("line", [(-1, 0), (-0.3, 0)]), ("circle", -0.2, 0, 0.12), ("line", [(1, -1), (0.3, -1)]), ("circle", 0.2, -1, 0.12),
           ("line", [(1, 1), (0.3, 1)]), ("circle", 0.2, 1, 0.12)],
    "TP": [("circle", 0.7, 0, 0.3), ("line", [(0, 0), (0.4, 0)])],
}
TWO = [("1", -2, 0, 180), ("2", 2, 0, 0)]
SOLDER = [("2", -2, 0, 180), ("1", 2, 1, 0), ("3", 2, -1, 0)]


def kind(part):
    if part.ref in sheet.BOXES:
        return "box"
    if part.ref == "JP2":
        return "J2"
    special = {"C1": "CP", "C4": "CP", "D2": "TVS", "D3": "SCHOTTKY", "D5": "SCHOTTKY", "D6": "LED"}
    return special.get(part.ref) or {"JP": "J3", "SW": "SW", "TP": "TP"}.get(part.ref[:2]) or part.ref[0]


def symbol(part):
    """Shape and pins of a part as it lies on the sheet: (shapes, [(number, x, y, outward)]), outward in degrees clockwise from right."""
    angle = sheet.PARTS[part.ref][2]
    name = kind(part)
    if name == "box":
        width, left, right = sheet.BOXES[part.ref]
        heights = [h for _, h in left + right]
        shapes = [("box", -width / 2, min(heights) - 1, width / 2, max(heights) + 1)]
        pins = [(n, -width / 2 - 1, h, 180) for n, h in left] + [(n, width / 2 + 1, h, 0) for n, h in right]
        return shapes, pins
    pins = {"J3": SOLDER, "TP": [("1", 0, 0, 180)]}.get(name, TWO)
    shapes = []
    for shape in SHAPES[name]:
        if shape[0] in ("line", "fill"):
            shapes.append((shape[0], [turn(x, y, angle) for x, y in shape[1]]))
        elif shape[0] == "circle":
            shapes.append(("circle", *turn(shape[1], shape[2], angle), shape[3]))
        else:
            shapes.append(("box", *turn(shape[1], shape[2], angle), *turn(shape[3], shape[4], angle)))
    return shapes, [(n, *turn(x, y, angle), (o + angle) % 360) for n, x, y, o in pins]


def drawn():
    return [p for p in design.PARTS if p.drawn]


def pin_places():
    """Every pin on the sheet: (part, pin, x, y, outward)."""
    for p in drawn():
        x, y, _ = sheet.PARTS[p.ref]
        known = {pin.number: pin for pin in p.pins}
        placed = symbol(p)[1]
        assert {n for n, *_ in placed} == set(known), f"{p.ref}: the symbol has other pins than the table"
        for number, dx, dy, outward in placed:
            yield p, known[number], round(x + dx, 3), round(y + dy, 3), outward


def on(point, a, b):
    (x, y), (x1, y1), (x2, y2) = point, a, b
    return min(x1, x2) - 1e-6 <= x <= max(x1, x2) + 1e-6 and min(y1, y2) - 1e-6 <= y <= max(y1, y2) + 1e-6 and \
        abs((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) < 1e-6


def segments():
    return [(a, b) for wire in sheet.WIRES for a, b in zip(wire, wire[1:])]


def labels():
    """Labels and signs: those on wires, and one for each pin that nothing touches: (net, x, y, outward, sign?)."""
    found = [(net, x, y, {"up": 270, "right": 0, "over": 0}[how], how) for net, x, y, how in sheet.SIGNS]
    ends = {}
    for _, _, x, y, _ in pin_places():
        ends[(x, y)] = ends.get((x, y), 0) + 1
    for p, pin, x, y, outward in pin_places():
        if pin.net is None or any(on((x, y), a, b) for a, b in segments()) or ends[(x, y)] > 1:
            continue
        sign = pin.net in SIGNS and ((pin.net == "GND" and outward == 90) or (pin.net != "GND" and outward == 270))
        found.append((pin.net, x, y, outward, "sign" if sign else "label"))
    for net, (x, y) in sheet.FLAGS.items():
        found.append((net, x, y, 90, "label"))
    return found


def connections():
    """Follows wires and labels: a list of (set of label names, set of (ref, pin number)) for each thing that is connected."""
    points = {(x, y) for _, _, x, y, _ in pin_places()} | {p for s in segments() for p in s} | {(x, y) for _, x, y, _, _ in labels()}
    group = {p: p for p in points}

    def root(p):
        while group[p] != p:
            p = group[p]
        return p

    for a, b in segments():
        for p in points:
            if on(p, a, b):
                group[root(p)] = root(a)
    result = {}
    for net, x, y, _, _ in labels():
        result.setdefault(root((x, y)), (set(), set()))[0].add(net)
    for p, pin, x, y, _ in pin_places():
        if pin.net is not None:
            result.setdefault(root((x, y)), (set(), set()))[1].add((p.ref, pin.number))
        elif root((x, y)) in result or sum(1 for q in points if root(q) == root((x, y))) > 1:
            result.setdefault(root((x, y)), (set(), set()))[1].add((p.ref, pin.number))
    return list(result.values())


def junctions():
    """Where three or more things meet. KiCad connects a pin, also that of a sign, in the middle of a wire only where there is one."""
    found = []
    pins = [(x, y) for _, _, x, y, _ in pin_places()] + [(x, y) for _, x, y, _, how in labels() if how in ("sign", "up")]
    points = {p for s in segments() for p in s} | set(pins)
    for p in points:
        count = sum(2 if p not in s else 1 for s in segments() if on(p, *s)) + pins.count(p)
        if count > 2:
            found.append(p)
    return sorted(found)


def texts_of(part):
    """Where reference and value stand."""
    x, y, angle = sheet.PARTS[part.ref]
    name = kind(part)
    if name == "box":
        width, left, right = sheet.BOXES[part.ref]
        top, bottom = min(h for _, h in left + right) - 1, max(h for _, h in left + right) + 1
        return (x, y + top - 0.5, "middle"), (x, y + bottom + 0.95, "middle")
    if name == "TP":
        return (x + 0.9, y + 0.9, "start"), None
    if name == "J3":
        return (x, y - 1.75, "middle"), (x, y + 2.6, "middle")
    if angle % 180 == 90:
        return (x + 1.1, y - 0.25, "start"), (x + 1.1, y + 0.75, "start")
    return (x, y - 1.15, "middle"), (x, y + 1.75, "middle")
