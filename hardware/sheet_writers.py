"""The schematic in two forms: as KiCad 6 reads it, and as a picture. What is drawn comes from schematic.py.

    python3 sheet_writers.py OUTPUT_DIRECTORY
"""

import os
import sys

import design
import sheet
from schematic import G, KINDS, ROOT, drawn, ident, junctions, kind, labels, pin_places, segments, symbol, texts_of

INK, RED, BLUE, PAPER, GREY = "#1d2733", "#8e1b1b", "#1f4e8c", "#ffffff", "#8a97a5"


# ---- KiCad

def effects(size=1.27, justify="", hide=False):
    return f'(effects (font (size {size} {size})){f" (justify {justify})" if justify else ""}{" hide" if hide else ""})'


def kicad_shape(shape):
    stroke, none = "(stroke (width 0.2) (type default) (color 0 0 0 0))", "(fill (type none))"
    if shape[0] == "box":
        fill = "(fill (type background))"
        return f"(rectangle (start {shape[1] * G:.3f} {-shape[2] * G:.3f}) (end {shape[3] * G:.3f} {-shape[4] * G:.3f}) {stroke} {fill})"
    if shape[0] == "circle":
        return f"(circle (center {shape[1] * G:.3f} {-shape[2] * G:.3f}) (radius {shape[3] * G:.3f}) {stroke} {none})"
    points = shape[1] + ([shape[1][0]] if shape[0] == "fill" else [])
    return f'(polyline (pts {" ".join(f"(xy {x * G:.3f} {-y * G:.3f})" for x, y in points)}) {stroke} {"(fill (type outline))" if shape[0] == "fill" else none})'


def kicad_symbol(part):
    shapes, pins = symbol(part)
    box = kind(part) == "box"
    known = {pin.number: pin for pin in part.pins}
    name = part.ref  # one symbol for each part: nothing to look up, nothing to go wrong
    text = [f'(symbol "packbridge:{name}" {"" if box else "(pin_numbers hide) "}(pin_names (offset 0.5){"" if box else " hide"}) (in_bom yes) (on_board yes)']
    reference = part.ref.rstrip("0123456789")
    for index, (key, value) in enumerate([("Reference", reference), ("Value", part.value), ("Footprint", part.footprint), ("Datasheet", "")]):
        text.append(f'(property "{key}" "{value}" (id {index}) (at 0 0 0) {effects(hide=index > 1)})')
    text.append(f'(symbol "{name}_0_1" {" ".join(kicad_shape(s) for s in shapes)})')
    lines = []
    for number, x, y, outward in pins:
        pin = known[number]
        length = 0 if kind(part) == "TP" else G
        inward = {0: 180, 90: 90, 180: 0, 270: 270}[outward]
        lines.append(f'(pin {KINDS[pin.kind]} line (at {x * G:.3f} {-y * G:.3f} {inward}) (length {length}) '
                     f'(name "{pin.name}" {effects(1.0)}) (number "{number}" {effects(1.0)}))')
    text.append(f'(symbol "{name}_1_1" {" ".join(lines)}))')
    return "\n    ".join(text)


def kicad_sign(net):
    """The sign of ground or of a supply, or the flag that KiCad's rules want."""
    if net == "FLAG":
        body, kind_of, direction, flag = '(polyline (pts (xy 0 0) (xy 0 1.27) (xy -1 1.9) (xy 0 2.54) (xy 1 1.9) (xy 0 1.27)) (stroke (width 0.2) (type default) (color 0 0 0 0)) (fill (type none)))', "power_out", 90, ""
        name, pin_name = "PWR_FLAG", "pwr"
    elif net == "GND":
        body, kind_of, direction, flag = '(polyline (pts (xy 0 0) (xy 0 -1.27) (xy 1.27 -1.27) (xy 0 -2.54) (xy -1.27 -1.27) (xy 0 -1.27)) (stroke (width 0.2) (type default) (color 0 0 0 0)) (fill (type none)))', "power_in", 270, "(power) "
        name = pin_name = net
    else:
        body, kind_of, direction, flag = '(polyline (pts (xy -0.8 1.27) (xy 0 2.54) (xy 0.8 1.27)) (stroke (width 0.2) (type default) (color 0 0 0 0)) (fill (type none))) (polyline (pts (xy 0 0) (xy 0 2.54)) (stroke (width 0.2) (type default) (color 0 0 0 0)) (fill (type none)))', "power_in", 90, "(power) "
        name = pin_name = net
    return (f'(symbol "packbridge:{name}" (power) (pin_numbers hide) (pin_names (offset 0) hide) (in_bom no) (on_board no)'
            f' (property "Reference" "{"#FLG" if net == "FLAG" else "#PWR"}" (id 0) (at 0 0 0) {effects(hide=True)}) (property "Value" "{name}" (id 1) (at 0 0 0) {effects()})'
            f' (property "Footprint" "" (id 2) (at 0 0 0) {effects(hide=True)}) (property "Datasheet" "" (id 3) (at 0 0 0) {effects(hide=True)})'
            f' (symbol "{name}_0_1" {body}) (symbol "{name}_1_1" (pin {kind_of} line (at 0 0 {direction}) (length 0) (name "{pin_name}" {effects()}) (number "1" {effects()}))))')


def kicad(path):
    out = [f'(kicad_sch (version 20211123) (generator packbridge)\n  (uuid {ROOT})\n  (paper "A3")',
           '  (title_block (title "PackBridge converter") (rev "A") (comment 1 "Not built, not tested on a bench. See hardware/README.md"))',
           "  (lib_symbols"]
    out += ["    " + kicad_symbol(p) for p in drawn()] + ["    " + kicad_sign(n) for n in ("GND", "+5V", "+3V3", "FLAG")] + ["  )"]
    for x, y in junctions():
        out.append(f'  (junction (at {x * G:.3f} {y * G:.3f}) (diameter 0) (color 0 0 0 0) (uuid {ident(f"junction {x} {y}")}))')
    for p, pin, x, y, _ in pin_places():
        if pin.net is None:
            out.append(f'  (no_connect (at {x * G:.3f} {y * G:.3f}) (uuid {ident(f"unused {p.ref} {pin.number}")}))')
    for a, b in segments():
        out.append(f'  (wire (pts (xy {a[0] * G:.3f} {a[1] * G:.3f}) (xy {b[0] * G:.3f} {b[1] * G:.3f})) (stroke (width 0) (type default) (color 0 0 0 0)) (uuid {ident(f"wire {a} {b}")}))')
    instances = []
    for title, x1, y1, x2, y2 in sheet.FRAMES:
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
        for a, b in zip(corners, corners[1:]):
            out.append(f'  (polyline (pts (xy {a[0] * G:.3f} {a[1] * G:.3f}) (xy {b[0] * G:.3f} {b[1] * G:.3f})) (stroke (width 0) (type dash) (color 0 0 0 0)) (uuid {ident(f"frame {a} {b}")}))')
        out.append(f'  (text "{title}" (at {(x1 + 1) * G:.3f} {(y1 + 1.4) * G:.3f} 0) {effects(2, "left bottom")} (uuid {ident("title " + title)}))')
    for x, y, lines in sheet.NOTES:
        out.append(f'  (text "{(chr(92) + "n").join(lines)}" (at {x * G:.3f} {(y + 1.2 * (len(lines) - 1)) * G:.3f} 0) {effects(1.5, "left bottom")} (uuid {ident("note " + lines[0])}))')
    count = 0

    def sign(name, net, x, y, value_at, show=True):
        nonlocal count
        count += 1
        key = ident(f"sign {name} {x} {y}")
        reference = f"#{'FLG' if name == 'PWR_FLAG' else 'PWR'}{count:03}"
        out.append(f'  (symbol (lib_id "packbridge:{name}") (at {x * G:.3f} {y * G:.3f} 0) (unit 1) (in_bom no) (on_board no) (uuid {key})'
                   f' (property "Reference" "{reference}" (id 0) (at {x * G:.3f} {y * G:.3f} 0) {effects(hide=True)})'
                   f' (property "Value" "{name}" (id 1) (at {value_at[0] * G:.3f} {value_at[1] * G:.3f} 0) {effects(1.27, hide=not show)})'
                   f' (property "Footprint" "" (id 2) (at 0 0 0) {effects(hide=True)}) (property "Datasheet" "" (id 3) (at 0 0 0) {effects(hide=True)})'
                   f' (pin "1" (uuid {ident(key + "pin")})))')
        instances.append((key, reference, name, ""))

    for net, x, y, outward, how in labels():
        if how in ("sign", "up"):
            sign(net, net, x, y, (x, y + 1.6) if net == "GND" else (x, y - 1.4), show=net != "GND")
            continue
        angle, justify = {0: (0, "left"), 180: (180, "right"), 90: (270, "right"), 270: (90, "left")}[outward]
        if how == "over":  # a plain label on its wire needs the name of the net as the board has it: global, too
            angle, justify = 90, "left"
        out.append(f'  (global_label "{net}" (shape passive) (at {x * G:.3f} {y * G:.3f} {angle}) {effects(1.1, justify)} (uuid {ident(f"label {net} {x} {y}")})'
                   f' (property "Intersheet References" "${{INTERSHEET_REFS}}" (id 0) (at {x * G:.3f} {y * G:.3f} 0) {effects(1.1, "left", True)}))')
    for net, (x, y) in sheet.FLAGS.items():
        sign("PWR_FLAG", net, x, y, (x, y - 1.8))
    for p in drawn():
        x, y, _ = sheet.PARTS[p.ref]
        key = ident(p.ref)
        reference, value = texts_of(p)
        side = {"middle": "", "start": "left"}
        show = value or (x, y, "middle")
        out.append(f'  (symbol (lib_id "packbridge:{p.ref}") (at {x * G:.3f} {y * G:.3f} 0) (unit 1) (in_bom {"yes" if p.fitted else "no"}) (on_board yes) (uuid {key})'
                   f' (property "Reference" "{p.ref}" (id 0) (at {reference[0] * G:.3f} {(reference[1] - 0.3) * G:.3f} 0) {effects(1.27, side[reference[2]])})'
                   f' (property "Value" "{p.value}" (id 1) (at {show[0] * G:.3f} {(show[1] - 0.3) * G:.3f} 0) {effects(1.27, side[show[2]], value is None)})'
                   f' (property "Footprint" "{p.footprint}" (id 2) (at {x * G:.3f} {y * G:.3f} 0) {effects(hide=True)})'
                   f' (property "Datasheet" "" (id 3) (at 0 0 0) {effects(hide=True)})'
                   f' (property "Buy" "{p.what}" (id 4) (at 0 0 0) {effects(hide=True)}) '
                   + " ".join(f'(pin "{pin.number}" (uuid {ident(f"{p.ref} pin {pin.number}")}))' for pin in p.pins) + ")")
        instances.append((key, p.ref, p.value, p.footprint))
    out.append('  (sheet_instances (path "/" (page "1")))\n  (symbol_instances')
    out += [f'    (path "/{key}" (reference "{reference}") (unit 1) (value "{value}") (footprint "{footprint}"))' for key, reference, value, footprint in instances]
    out.append("  )\n)")
    open(path, "w").write("\n".join(out) + "\n")


def library(folder):
    """The same symbols as a library of the project, and the tables that name it and the footprint of the module."""
    symbols = [kicad_symbol(p) for p in drawn()] + [kicad_sign(n) for n in ("GND", "+5V", "+3V3", "FLAG")]
    with open(os.path.join(folder, "packbridge.kicad_sym"), "w") as file:
        file.write("(kicad_symbol_lib (version 20211014) (generator packbridge)\n  "
                   + "\n  ".join(symbols).replace('(symbol "packbridge:', '(symbol "') + "\n)\n")
    for table, kind_of, name in (("sym_lib_table", "sym-lib-table", "packbridge.kicad_sym"), ("fp_lib_table", "fp-lib-table", "packbridge.pretty")):
        with open(os.path.join(folder, kind_of), "w") as file:
            file.write(f'({table}\n  (lib (name "packbridge")(type "KiCad")(uri "${{KIPRJMOD}}/{name}")(options "")(descr ""))\n)\n')


# ---- picture

S = 10  # pixels for a step


def svg_text(x, y, text, size, anchor="start", colour=INK, bold=False, angle=0):
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    turn = f' transform="rotate({angle} {x * S:.1f} {y * S:.1f})"' if angle else ""
    return f'<text x="{x * S:.1f}" y="{y * S:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{" font-weight=" + chr(34) + "bold" + chr(34) if bold else ""}{turn}>{text}</text>'


def svg_line(points, colour=INK, width=1.3, fill="none"):
    return f'<polyline points="{" ".join(f"{x * S:.1f},{y * S:.1f}" for x, y in points)}" fill="{fill}" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>'


def svg_part(p):
    x, y, _ = sheet.PARTS[p.ref]
    shapes, pins = symbol(p)
    out = []
    for s in shapes:
        if s[0] == "box":
            a, b, c, d = min(s[1], s[3]), min(s[2], s[4]), max(s[1], s[3]), max(s[2], s[4])
            out.append(f'<rect x="{(x + a) * S:.1f}" y="{(y + b) * S:.1f}" width="{(c - a) * S:.1f}" height="{(d - b) * S:.1f}" fill="#fdf6e3" stroke="{RED}" stroke-width="1.5"/>')
        elif s[0] == "circle":
            out.append(f'<circle cx="{(x + s[1]) * S:.1f}" cy="{(y + s[2]) * S:.1f}" r="{s[3] * S:.1f}" fill="#fdf6e3" stroke="{RED}" stroke-width="1.5"/>')
        else:
            points = [(x + a, y + b) for a, b in s[1]]
            out.append(svg_line(points + points[:1] if s[0] == "fill" else points, RED, 1.5, RED if s[0] == "fill" else "none"))
    known = {pin.number: pin for pin in p.pins}
    for number, dx, dy, outward in pins:
        if kind(p) == "TP":
            continue
        ux, uy = {0: (-1, 0), 180: (1, 0), 90: (0, -1), 270: (0, 1)}[outward]
        out.append(svg_line([(x + dx, y + dy), (x + dx + ux, y + dy + uy)], RED, 1.3))
        if kind(p) == "box":
            side = -1 if outward == 0 else 1
            out.append(svg_text(x + dx + side * 1.3, y + dy + 0.32, known[number].name, 9, "end" if side < 0 else "start"))
            out.append(svg_text(x + dx + side * 0.5, y + dy - 0.18, number, 7, "middle", GREY))
    reference, value = texts_of(p)
    out.append(svg_text(reference[0], reference[1], p.ref, 11, reference[2], BLUE, True))
    if value:
        out.append(svg_text(value[0], value[1], p.value, 10, value[2], BLUE))
    return "".join(out)


def svg_label(net, x, y, outward, how):
    if how in ("sign", "up") and net == "GND":
        return svg_line([(x, y), (x, y + 0.5)]) + "".join(svg_line([(x - w, y + 0.5 + i * 0.28), (x + w, y + 0.5 + i * 0.28)], INK, 1.6) for i, w in enumerate((0.7, 0.45, 0.2)))
    if how in ("sign", "up"):
        return svg_line([(x, y), (x, y - 0.9)]) + svg_line([(x - 0.5, y - 0.5), (x, y - 1), (x + 0.5, y - 0.5)]) + svg_text(x, y - 1.3, net, 10, "middle", INK, True)
    if how == "over":
        return svg_text(x, y - 0.3, net, 9, "start", "#2e6b3a", True)
    width = len(net) * 0.62 + 0.9
    ux, uy = {0: (1, 0), 180: (-1, 0), 90: (0, 1), 270: (0, -1)}[outward]
    if ux:
        x2 = x + ux * width
        flag = [(x, y), (x + ux * 0.4, y - 0.45), (x2, y - 0.45), (x2, y + 0.45), (x + ux * 0.4, y + 0.45), (x, y)]
        return svg_line(flag, "#2e6b3a", 1, "#eef6ee") + svg_text((x + ux * 0.4 + x2) / 2, y + 0.32, net, 9, "middle", "#2e6b3a")
    y2 = y + uy * 1.6
    half = width / 2
    flag = [(x, y), (x - half, y + uy * 0.5), (x - half, y2), (x + half, y2), (x + half, y + uy * 0.5), (x, y)]
    return svg_line(flag, "#2e6b3a", 1, "#eef6ee") + svg_text(x, y + uy * 1.05 + 0.32, net, 9, "middle", "#2e6b3a")


def picture(path):
    width, height = 166, 105
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * S} {height * S}" width="{width * S}" height="{height * S}" font-family="DejaVu Sans, Verdana, sans-serif">',
           "<title>Schematic of the PackBridge converter</title>", f'<rect width="{width * S}" height="{height * S}" fill="{PAPER}"/>',
           svg_text(3, 3.6, "PackBridge converter, revision A", 20, bold=True), svg_text(163, 3.6, "not built, not tested on a bench", 14, "end", RED, True)]
    for title, x1, y1, x2, y2 in sheet.FRAMES:
        out.append(f'<rect x="{x1 * S}" y="{y1 * S}" width="{(x2 - x1) * S}" height="{(y2 - y1) * S}" fill="none" stroke="{GREY}" stroke-dasharray="6 4"/>')
        out.append(svg_text(x1 + 1, y1 + 1.8, title, 14, bold=True))
    out += [svg_line([a, b], "#2e6b3a", 1.5) for a, b in segments()]
    out += [svg_label(*label) for label in labels()]
    out += [svg_part(p) for p in drawn()]
    out += [f'<circle cx="{x * S:.1f}" cy="{y * S:.1f}" r="3" fill="#2e6b3a"/>' for x, y in junctions()]
    for p, pin, x, y, _ in pin_places():
        if pin.net is None:
            out.append(svg_line([(x - 0.35, y - 0.35), (x + 0.35, y + 0.35)], BLUE) + svg_line([(x - 0.35, y + 0.35), (x + 0.35, y - 0.35)], BLUE))
    for net, (x, y) in sheet.FLAGS.items():
        out.append(svg_line([(x, y), (x, y - 0.5), (x - 0.4, y - 0.75), (x, y - 1), (x + 0.4, y - 0.75), (x, y - 0.5)]))
    for x, y, lines in sheet.NOTES:
        out += [svg_text(x, y + 1.35 * i, line, 10.5, colour="#555555") for i, line in enumerate(lines)]
    open(path, "w").write("\n".join(out) + "\n</svg>\n")


if __name__ == "__main__":
    kicad(os.path.join(sys.argv[1], "packbridge.kicad_sch"))
    library(sys.argv[1])
    picture(os.path.join(sys.argv[1], "schematic.svg"))
