"""Writes the one footprint that KiCad 6 does not bring along: packbridge.pretty/ESP32-C3-WROOM-02.

Measures: Espressif, ESP32-C3-WROOM-02 data sheet, recommended land pattern: 18 pads 1.5 x 0.9 mm, 1.5 mm apart, in two columns 17.5 mm
apart; the ground pad 2.9 x 2.9 mm lies 0.96 mm right of the middle; the body is 18 x 20 mm, of which 6 mm are antenna. No copper
below the antenna.
"""

import sys

HALF, ANTENNA, TOP, BOTTOM = 9.0, -7.1, -13.1, 6.9


def line(x1, y1, x2, y2, layer, width):
    return f"  (fp_line (start {x1} {y1}) (end {x2} {y2}) (layer \"{layer}\") (width {width}))"


def frame(x1, y1, x2, y2, layer, width):
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    return [line(*a, *b, layer, width) for a, b in zip(corners, corners[1:])]


def footprint():
    text = ['(footprint "ESP32-C3-WROOM-02" (version 20211014) (generator packbridge)', '  (layer "F.Cu")',
            '  (descr "ESP32-C3-WROOM-02, 18 x 20 mm, antenna at the top")', "  (attr smd)",
            '  (fp_text reference "REF**" (at 0 -3.4) (layer "F.SilkS") (effects (font (size 1 1) (thickness 0.15))))',
            '  (fp_text value "ESP32-C3-WROOM-02" (at 0 5.2) (layer "F.Fab") (effects (font (size 1 1) (thickness 0.15))))']
    text += frame(-HALF, TOP, HALF, BOTTOM, "F.Fab", 0.1) + frame(-HALF - 0.75, TOP, HALF + 0.75, BOTTOM + 0.25, "F.CrtYd", 0.05)
    # Silk: the edge between antenna and can, corners at the bottom, a dot at pin 1.
    text += [line(-HALF, ANTENNA, HALF, ANTENNA, "F.SilkS", 0.12), line(-HALF, 7.05, HALF, 7.05, "F.SilkS", 0.12)]
    text.append('  (fp_circle (center -10.1 -6) (end -9.9 -6) (layer "F.SilkS") (width 0.2) (fill solid))')
    for index in range(9):
        y = -6 + 1.5 * index
        for number, x in ((1 + index, -8.75), (18 - index, 8.75)):
            text.append(f'  (pad "{number}" smd rect (at {x} {y}) (size 1.5 0.9) (layers "F.Cu" "F.Paste" "F.Mask"))')
    text.append('  (pad "19" smd rect (at 0.96 0.2) (size 2.9 2.9) (layers "F.Cu" "F.Paste" "F.Mask"))')
    text.append(f'  (zone (net 0) (net_name "") (layers "F.Cu" "B.Cu") (hatch edge 0.5) (connect_pads (clearance 0)) (min_thickness 0.25)'
                f' (keepout (tracks not_allowed) (vias not_allowed) (pads not_allowed) (copperpour not_allowed)'
                f' (footprints allowed)) (fill (thermal_gap 0.5) (thermal_bridge_width 0.5))'
                f' (polygon (pts (xy -12 {ANTENNA}) (xy 12 {ANTENNA}) (xy 12 {TOP - 1}) (xy -12 {TOP - 1}))))')
    return "\n".join(text) + "\n)\n"


if __name__ == "__main__":
    open(sys.argv[1], "w").write(footprint())
