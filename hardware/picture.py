"""Plots a board and stacks its layers to a picture as it would look from above or below.

    python3 picture.py BOARD.kicad_pcb OUTPUT_DIRECTORY
"""

import os
import re
import subprocess
import sys

import pcbnew
import placement

SUBSTRATE, COPPER, TRACK, GOLD, SILK, HOLE = "#0b4f30", "#16704a", "#33a06e", "#d8b45a", "#f4f4ee", "#1b1b1b"
MARGIN = 3.0


def plot(board, layer, name, folder):
    """One layer as SVG; returns what is inside of it, all in black."""
    control = pcbnew.PLOT_CONTROLLER(board)
    options = control.GetPlotOptions()
    options.SetOutputDirectory(folder)
    options.SetPlotFrameRef(False)
    options.SetPlotValue(False)
    options.SetPlotReference(True)
    options.SetPlotInvisibleText(False)
    options.SetSubtractMaskFromSilk(True)
    options.SetDrillMarksType(pcbnew.PCB_PLOT_PARAMS.NO_DRILL_SHAPE)
    options.SetMirror(False)
    options.SetSvgPrecision(4, False)
    control.SetLayer(layer)
    control.OpenPlotfile(name, pcbnew.PLOT_FORMAT_SVG, name)
    control.PlotLayer()
    path = control.GetPlotFileName()
    control.ClosePlot()
    text = open(path).read()
    return text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]


def paint(svg, colour):
    svg = re.sub(r"<title>.*?</title>|<desc>.*?</desc>|<text.*?</text>", "", svg, flags=re.S)  # text is drawn as strokes, too
    svg = re.sub(r"(fill|stroke):#(?!FFFFFF)[0-9A-Fa-f]{6}", rf"\1:{colour}", svg)
    return f'<g transform="scale(0.0001)">{svg}</g>'  # KiCad counts in 0.1 um here


def tracks(board, layer):
    """The tracks once more, lighter, so that one can follow them through the poured ground."""
    text = ""
    for track in board.GetTracks():
        if track.Type() == pcbnew.PCB_TRACE_T and track.GetLayer() == layer:
            a, b = track.GetStart(), track.GetEnd()
            x1, y1, x2, y2, w = (pcbnew.ToMM(v) for v in (a.x, a.y, b.x, b.y, track.GetWidth()))
            text += f'<line x1="{x1:.3f}" y1="{y1:.3f}" x2="{x2:.3f}" y2="{y2:.3f}" stroke-width="{w:.3f}"/>'
    return f'<g stroke="{TRACK}" stroke-linecap="round">{text}</g>'


def holes(board):
    found = []
    for footprint in board.GetFootprints():
        for pad in footprint.Pads():
            size = pad.GetDrillSize()
            if size.x:
                p = pad.GetPosition()
                w, h = pcbnew.ToMM(size.x), pcbnew.ToMM(size.y)
                if round(pad.GetOrientation() / 900) % 2:
                    w, h = h, w
                found.append((pcbnew.ToMM(p.x), pcbnew.ToMM(p.y), w, h))
    for track in board.GetTracks():
        if track.Type() == pcbnew.PCB_VIA_T:
            p = track.GetPosition()
            found.append((pcbnew.ToMM(p.x), pcbnew.ToMM(p.y), 0.25, 0.25))
    return "".join(f'<rect x="{x - w / 2:.3f}" y="{y - h / 2:.3f}" width="{w:.3f}" height="{h:.3f}" rx="{min(w, h) / 2:.3f}" fill="{HOLE}"/>'
                   for x, y, w, h in found)


def compose(board, side, folder):
    import board as maker

    left, top = maker.ORIGIN
    w, h, r = placement.WIDTH, placement.HEIGHT, placement.RADIUS
    layers = {"top": (pcbnew.F_Cu, pcbnew.F_Mask, pcbnew.F_SilkS), "bottom": (pcbnew.B_Cu, pcbnew.B_Mask, pcbnew.B_SilkS)}
    copper, mask, silk = layers[side]
    parts = [f'<rect x="{left}" y="{top}" width="{w}" height="{h}" rx="{r}" fill="{SUBSTRATE}"/>',
             paint(plot(board, copper, f"{side}-copper", folder), COPPER), tracks(board, copper),
             paint(plot(board, mask, f"{side}-mask", folder), GOLD),
             paint(plot(board, silk, f"{side}-silk", folder), SILK),
             holes(board)]
    if side == "bottom":
        parts = [f'<g transform="translate({2 * left + w} 0) scale(-1 1)">', *parts, "</g>"]
    box = f"{left - MARGIN} {top - MARGIN} {w + 2 * MARGIN} {h + 2 * MARGIN}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{w + 2 * MARGIN}mm" height="{h + 2 * MARGIN}mm" viewBox="{box}">'
            f'<rect x="{left - MARGIN}" y="{top - MARGIN}" width="{w + 2 * MARGIN}" height="{h + 2 * MARGIN}" fill="#ffffff"/>'
            + "".join(parts) + "</svg>")


def main(path, folder):
    os.makedirs(folder, exist_ok=True)
    board = pcbnew.LoadBoard(path)
    for side in ("top", "bottom"):
        svg = os.path.join(folder, f"board-{side}.svg")
        open(svg, "w").write(compose(board, side, os.path.abspath(folder)))
        subprocess.run(["rsvg-convert", "-w", "1800", svg, "-o", svg[:-3] + "png"], check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
