"""The schematic as a picture, for people without KiCad. What is drawn comes from schematic.py.

    python3 sheet_picture.py OUTPUT.svg
"""

import sys

import sheet
from schematic import drawn, junctions, kind, labels, pin_places, segments, symbol, texts_of

INK, RED, BLUE, GREEN, GREY = "#1d2733", "#8e1b1b", "#1f4e8c", "#2e6b3a", "#8a97a5"
BODY, FLAG = "#fdf6e3", "#eef6ee"
S = 10  # pixels for a step
WIDTH, HEIGHT = 166, 105
AWAY = {0: (1, 0), 180: (-1, 0), 90: (0, 1), 270: (0, -1)}  # direction of "outward"


def text(x, y, words, size, anchor="start", colour=INK, bold=False):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x * S:.1f}" y="{y * S:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>{words}</text>'


def line(points, colour=INK, width=1.3, fill="none"):
    where = " ".join(f"{x * S:.1f},{y * S:.1f}" for x, y in points)
    return (f'<polyline points="{where}" fill="{fill}" stroke="{colour}" stroke-width="{width}"'
            ' stroke-linejoin="round" stroke-linecap="round"/>')


def body(x, y, shape):
    what, *rest = shape
    edge = f'fill="{BODY}" stroke="{RED}" stroke-width="1.5"'
    if what == "box":
        left, top, right, bottom = min(rest[0::2]), min(rest[1::2]), max(rest[0::2]), max(rest[1::2])
        size = f'width="{(right - left) * S:.1f}" height="{(bottom - top) * S:.1f}"'
        return f'<rect x="{(x + left) * S:.1f}" y="{(y + top) * S:.1f}" {size} {edge}/>'
    if what == "circle":
        return f'<circle cx="{(x + rest[0]) * S:.1f}" cy="{(y + rest[1]) * S:.1f}" r="{rest[2] * S:.1f}" {edge}/>'
    points = [(x + a, y + b) for a, b in rest[0]]
    return line(points + points[:1], RED, 1.5, RED) if what == "fill" else line(points, RED, 1.5)


def part(p):
    x, y, _ = sheet.PARTS[p.ref]
    shapes, pins = symbol(p)
    known = {pin.number: pin for pin in p.pins}
    out = [body(x, y, shape) for shape in shapes]
    for number, dx, dy, outward in pins if kind(p) != "TP" else []:
        ux, uy = AWAY[outward]
        out.append(line([(x + dx, y + dy), (x + dx - ux, y + dy - uy)], RED))
        if kind(p) == "box":
            out.append(text(x + dx - ux * 1.3, y + dy + 0.32, known[number].name, 9, "end" if ux > 0 else "start"))
            out.append(text(x + dx - ux * 0.5, y + dy - 0.18, number, 7, "middle", GREY))
    reference, value = texts_of(p)
    out.append(text(reference[0], reference[1], p.ref, 11, reference[2], BLUE, True))
    if value:
        out.append(text(value[0], value[1], p.value, 10, value[2], BLUE))
    return "".join(out)


def label(net, x, y, outward, how):
    if how in ("sign", "up") and net == "GND":
        bars = [(0.7, 0.5), (0.45, 0.78), (0.2, 1.06)]
        return line([(x, y), (x, y + 0.5)]) + "".join(line([(x - w, y + h), (x + w, y + h)], INK, 1.6) for w, h in bars)
    if how in ("sign", "up"):
        arrow = line([(x, y), (x, y - 0.9)]) + line([(x - 0.5, y - 0.5), (x, y - 1), (x + 0.5, y - 0.5)])
        return arrow + text(x, y - 1.3, net, 10, "middle", INK, True)
    if how == "over":
        return text(x, y - 0.3, net, 9, "start", GREEN, True)
    width = len(net) * 0.62 + 0.9
    ux, uy = AWAY[outward]
    if ux:
        start, end = x + ux * 0.4, x + ux * width
        flag = [(x, y), (start, y - 0.45), (end, y - 0.45), (end, y + 0.45), (start, y + 0.45), (x, y)]
        return line(flag, GREEN, 1, FLAG) + text((start + end) / 2, y + 0.32, net, 9, "middle", GREEN)
    start, end, half = y + uy * 0.5, y + uy * 1.6, width / 2
    flag = [(x, y), (x - half, start), (x - half, end), (x + half, end), (x + half, start), (x, y)]
    return line(flag, GREEN, 1, FLAG) + text(x, y + uy * 1.05 + 0.32, net, 9, "middle", GREEN)


def picture():
    out = [text(4.5, 3.6, "PackBridge converter, revision A", 20, bold=True),
           text(161, 3.6, "not built, not tested on a bench", 14, "end", RED, True)]
    for title, x1, y1, x2, y2 in sheet.FRAMES:
        out.append(f'<rect x="{x1 * S}" y="{y1 * S}" width="{(x2 - x1) * S}" height="{(y2 - y1) * S}" fill="none" stroke="{GREY}" stroke-dasharray="6 4"/>')
        out.append(text(x1 + 1, y1 + 1.8, title, 14, bold=True))
    out += [line([a, b], GREEN, 1.5) for a, b in segments()]
    out += [label(*one) for one in labels()]
    out += [part(p) for p in drawn()]
    out += [f'<circle cx="{x * S:.1f}" cy="{y * S:.1f}" r="3" fill="{GREEN}"/>' for x, y in junctions()]
    for _, pin, x, y, _ in pin_places():
        if pin.net is None:
            out.append(line([(x - 0.35, y - 0.35), (x + 0.35, y + 0.35)], BLUE) + line([(x - 0.35, y + 0.35), (x + 0.35, y - 0.35)], BLUE))
    for x, y in sheet.FLAGS.values():
        out.append(line([(x, y), (x, y - 0.5), (x - 0.4, y - 0.75), (x, y - 1), (x + 0.4, y - 0.75), (x, y - 0.5)]))
    for x, y, lines in sheet.NOTES:
        out += [text(x, y + 1.35 * i, words, 10.5, colour="#555555") for i, words in enumerate(lines)]
    size = f'viewBox="0 0 {WIDTH * S} {HEIGHT * S}" width="{WIDTH * S}" height="{HEIGHT * S}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="DejaVu Sans, Verdana, sans-serif">',
                      "<title>Schematic of the PackBridge converter</title>", f'<rect width="{WIDTH * S}" height="{HEIGHT * S}" fill="#ffffff"/>',
                      *out, "</svg>\n"])


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        file.write(picture())
