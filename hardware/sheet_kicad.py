"""The schematic as KiCad 6 reads it, with its symbols as a library. What is drawn comes from schematic.py.

    python3 sheet_kicad.py OUTPUT_DIRECTORY
"""

import os
import sys

import sheet
from schematic import G, KINDS, ROOT, drawn, ident, junctions, kind, labels, pin_places, segments, symbol, texts_of

STROKE = "(stroke (width 0.2) (type default) (color 0 0 0 0))"
THIN = "(stroke (width 0) (type {}) (color 0 0 0 0))"

# Signs: name: (lines in mm, y upwards; what their pin does; where it points)
SIGNS = {
    "GND": ([[(0, 0), (0, -1.27), (1.27, -1.27), (0, -2.54), (-1.27, -1.27), (0, -1.27)]], "power_in", 270),
    "+5V": ([[(-0.8, 1.27), (0, 2.54), (0.8, 1.27)], [(0, 0), (0, 2.54)]], "power_in", 90),
    "+3V3": ([[(-0.8, 1.27), (0, 2.54), (0.8, 1.27)], [(0, 0), (0, 2.54)]], "power_in", 90),
    "PWR_FLAG": ([[(0, 0), (0, 1.27), (-1, 1.9), (0, 2.54), (1, 1.9), (0, 1.27)]], "power_out", 90),
}


def mm(steps):
    return f"{steps * G:.3f}"


def at(x, y, angle=0):
    return f"(at {mm(x)} {mm(y)} {angle})"


def effects(size=1.27, justify="", hide=False):
    return f'(effects (font (size {size} {size})){f" (justify {justify})" if justify else ""}{" hide" if hide else ""})'


def field(number, name, value, place="(at 0 0 0)", how=None):
    return f'(property "{name}" "{value}" (id {number}) {place} {how or effects(hide=True)})'


def polyline(points, fill="none"):
    """In mm, y upwards, as in a library."""
    text = " ".join(f"(xy {x:.3f} {y:.3f})" for x, y in points)
    return f"(polyline (pts {text}) {STROKE} (fill (type {fill})))"


def segment(word, a, b, line, name):
    """A line of the sheet, in steps: a wire or a part of a frame."""
    return f"({word} (pts (xy {mm(a[0])} {mm(a[1])}) (xy {mm(b[0])} {mm(b[1])})) {THIN.format(line)} (uuid {ident(name)}))"


# ---- symbols

def shape_text(shape):
    what, *rest = shape
    if what == "box":
        x1, y1, x2, y2 = rest
        return f"(rectangle (start {mm(x1)} {mm(-y1)}) (end {mm(x2)} {mm(-y2)}) {STROKE} (fill (type background)))"
    if what == "circle":
        x, y, r = rest
        return f"(circle (center {mm(x)} {mm(-y)}) (radius {mm(r)}) {STROKE} (fill (type none)))"
    points = [(x * G, -y * G) for x, y in rest[0]]
    return polyline(points + points[:1], "outline") if what == "fill" else polyline(points)


def pin_text(pin, x, y, outward, length):
    inward = {0: 180, 90: 90, 180: 0, 270: 270}[outward]  # KiCad counts against the clock
    return (f"(pin {KINDS[pin.kind]} line {at(x, -y, inward)} (length {length}) "
            f'(name "{pin.name}" {effects(1.0)}) (number "{pin.number}" {effects(1.0)}))')


def part_symbol(part):
    """One symbol for each part: nothing to look up, nothing to go wrong."""
    shapes, pins = symbol(part)
    box = kind(part) == "box"
    known = {pin.number: pin for pin in part.pins}
    length = 0 if kind(part) == "TP" else G
    names = "(pin_names (offset 0.5))" if box else "(pin_numbers hide) (pin_names (offset 0.5) hide)"
    fields = [field(0, "Reference", part.ref.rstrip("0123456789"), how=effects()), field(1, "Value", part.value, how=effects()),
              field(2, "Footprint", part.footprint), field(3, "Datasheet", "")]
    drawing = " ".join(shape_text(s) for s in shapes)
    connections = " ".join(pin_text(known[n], x, y, outward, length) for n, x, y, outward in pins)
    return (f'(symbol "packbridge:{part.ref}" {names} (in_bom yes) (on_board yes)\n    ' + "\n    ".join(fields)
            + f'\n    (symbol "{part.ref}_0_1" {drawing})\n    (symbol "{part.ref}_1_1" {connections}))')


def sign_symbol(name):
    lines, kind_of, direction = SIGNS[name]
    net = "pwr" if name == "PWR_FLAG" else name
    fields = [field(0, "Reference", "#FLG" if name == "PWR_FLAG" else "#PWR"), field(1, "Value", name, how=effects()),
              field(2, "Footprint", ""), field(3, "Datasheet", "")]
    pin = f'(pin {kind_of} line (at 0 0 {direction}) (length 0) (name "{net}" {effects()}) (number "1" {effects()}))'
    return (f'(symbol "packbridge:{name}" (power) (pin_numbers hide) (pin_names (offset 0) hide) (in_bom no) (on_board no)\n    '
            + "\n    ".join(fields) + f'\n    (symbol "{name}_0_1" {" ".join(polyline(p) for p in lines)})\n    (symbol "{name}_1_1" {pin}))')


def symbols():
    return [part_symbol(p) for p in drawn()] + [sign_symbol(name) for name in SIGNS]


# ---- the sheet

class Sheet:
    def __init__(self):
        self.lines, self.instances, self.signs = [], [], 0

    def instance(self, name, key, x, y, fields, pins, listed, on_board):
        self.lines.append(f'(symbol (lib_id "packbridge:{name}") {at(x, y)} (unit 1) (in_bom {"yes" if listed else "no"})'
                          f' (on_board {"yes" if on_board else "no"}) (uuid {key})\n    ' + "\n    ".join(fields + pins) + ")")

    def sign(self, name, x, y, text_at):
        """Ground, a supply, or the flag that tells KiCad that a net has its power."""
        self.signs += 1
        key = ident(f"sign {name} {x} {y}")
        reference = f"#{'FLG' if name == 'PWR_FLAG' else 'PWR'}{self.signs:03}"
        fields = [field(0, "Reference", reference, at(x, y)), field(1, "Value", name, at(*text_at), effects(hide=name == "GND")),
                  field(2, "Footprint", ""), field(3, "Datasheet", "")]
        self.instance(name, key, x, y, fields, [f'(pin "1" (uuid {ident(key + "pin")}))'], False, False)
        self.instances.append((key, reference, name, ""))

    def part(self, part):
        x, y, _ = sheet.PARTS[part.ref]
        key = ident(part.ref)
        reference, value = texts_of(part)
        side = {"middle": "", "start": "left"}
        shown = value or (x, y, "middle")
        fields = [field(0, "Reference", part.ref, at(reference[0], reference[1] - 0.3), effects(justify=side[reference[2]])),
                  field(1, "Value", part.value, at(shown[0], shown[1] - 0.3), effects(1.27, side[shown[2]], value is None)),
                  field(2, "Footprint", part.footprint, at(x, y)), field(3, "Datasheet", ""), field(4, "Buy", part.what)]
        pins = [f'(pin "{pin.number}" (uuid {ident(f"{part.ref} pin {pin.number}")}))' for pin in part.pins]
        self.instance(part.ref, key, x, y, fields, pins, part.fitted, True)
        self.instances.append((key, part.ref, part.value, part.footprint))

    def label(self, net, x, y, outward, how):
        """Global, so that the net is called here as on the board."""
        angle, justify = (90, "left") if how == "over" else {0: (0, "left"), 180: (180, "right"), 90: (270, "right"), 270: (90, "left")}[outward]
        references = field(0, "Intersheet References", "${INTERSHEET_REFS}", at(x, y), effects(1.1, justify, True))
        self.lines.append(f'(global_label "{net}" (shape passive) {at(x, y, angle)} {effects(1.1, justify)}'
                          f" (uuid {ident(f'label {net} {x} {y}')}) {references})")

    def text(self, text, x, y, size):
        self.lines.append(f'(text "{text}" {at(x, y)} {effects(size, "left bottom")} (uuid {ident(f"text {text}")}))')

    def draw(self):
        for x, y in junctions():
            self.lines.append(f"(junction (at {mm(x)} {mm(y)}) (diameter 0) (color 0 0 0 0) (uuid {ident(f'junction {x} {y}')}))")
        for p, pin, x, y, _ in pin_places():
            if pin.net is None:
                self.lines.append(f"(no_connect (at {mm(x)} {mm(y)}) (uuid {ident(f'unused {p.ref} {pin.number}')}))")
        for a, b in segments():
            self.lines.append(segment("wire", a, b, "default", f"wire {a} {b}"))
        for title, x1, y1, x2, y2 in sheet.FRAMES:
            corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
            for a, b in zip(corners, corners[1:]):
                self.lines.append(segment("polyline", a, b, "dash", f"frame {title} {a} {b}"))
            self.text(title, x1 + 1, y1 + 1.4, 2)
        for x, y, lines in sheet.NOTES:
            self.text("\\n".join(lines), x, y + 1.2 * (len(lines) - 1), 1.5)
        for net, x, y, outward, how in labels():
            if how in ("sign", "up"):
                self.sign(net, x, y, (x, y + 1.6) if net == "GND" else (x, y - 1.4))
            else:
                self.label(net, x, y, outward, how)
        for x, y in sheet.FLAGS.values():
            self.sign("PWR_FLAG", x, y, (x, y - 1.8))
        for p in drawn():
            self.part(p)


def schematic_file(path):
    drawing = Sheet()
    drawing.draw()
    with open(path, "w") as file:
        file.write(f'(kicad_sch (version 20211123) (generator packbridge)\n  (uuid {ROOT})\n  (paper "A3")\n'
                   '  (title_block (title "PackBridge converter") (rev "A")'
                   ' (comment 1 "Not built, not tested on a bench. See hardware/README.md"))\n'
                   "  (lib_symbols\n  " + "\n  ".join(symbols()) + ")\n  " + "\n  ".join(drawing.lines)
                   + '\n  (sheet_instances (path "/" (page "1")))\n  (symbol_instances\n')
        for key, reference, value, footprint in drawing.instances:
            file.write(f'    (path "/{key}" (reference "{reference}") (unit 1) (value "{value}") (footprint "{footprint}"))\n')
        file.write("  )\n)\n")


def libraries(folder):
    """The symbols as a library of the project, and the tables that name it and the footprint of the module."""
    with open(os.path.join(folder, "packbridge.kicad_sym"), "w") as file:
        text = "\n  ".join(symbols()).replace('(symbol "packbridge:', '(symbol "')
        file.write(f"(kicad_symbol_lib (version 20211014) (generator packbridge)\n  {text}\n)\n")
    for word, name in (("sym", "packbridge.kicad_sym"), ("fp", "packbridge.pretty")):
        with open(os.path.join(folder, f"{word}-lib-table"), "w") as file:
            file.write(f'({word}_lib_table\n  (lib (name "packbridge")(type "KiCad")(uri "${{KIPRJMOD}}/{name}")(options "")(descr ""))\n)\n')


if __name__ == "__main__":
    schematic_file(os.path.join(sys.argv[1], "packbridge.kicad_sch"))
    libraries(sys.argv[1])
