"""What a maker of boards needs: gerbers, drill files, bill of materials, positions of the parts.

    python3 fabricate.py BUILD_DIRECTORY
"""

import csv
import os
import sys

import design
import pcbnew

LAYERS = [(pcbnew.F_Cu, "F_Cu"), (pcbnew.B_Cu, "B_Cu"), (pcbnew.F_Mask, "F_Mask"), (pcbnew.B_Mask, "B_Mask"), (pcbnew.F_SilkS, "F_Silkscreen"),
          (pcbnew.B_SilkS, "B_Silkscreen"), (pcbnew.F_Paste, "F_Paste"), (pcbnew.Edge_Cuts, "Edge_Cuts")]


def gerbers(board, folder):
    control = pcbnew.PLOT_CONTROLLER(board)
    options = control.GetPlotOptions()
    options.SetOutputDirectory(os.path.abspath(folder))
    options.SetPlotFrameRef(False)
    options.SetPlotValue(False)
    options.SetUseGerberProtelExtensions(True)
    options.SetSubtractMaskFromSilk(True)
    options.SetCreateGerberJobFile(False)
    for layer, name in LAYERS:
        control.SetLayer(layer)
        control.OpenPlotfile(name, pcbnew.PLOT_FORMAT_GERBER, name)
        control.PlotLayer()
    control.ClosePlot()
    drill = pcbnew.EXCELLON_WRITER(board)
    drill.SetFormat(True)
    drill.SetOptions(False, False, pcbnew.wxPoint(0, 0), False)
    drill.CreateDrillandMapFilesSet(os.path.abspath(folder), True, False)


def bill(path):
    groups = {}
    for p in design.PARTS:
        if p.fitted:
            groups.setdefault((p.value, p.footprint.split(":")[1], p.what), []).append(p.ref)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "parts", "value", "footprint", "what to buy"])
        for (value, footprint, what), refs in groups.items():
            rows.writerow([len(refs), " ".join(refs), value, footprint, what])


def positions(board, path):
    import board as maker

    fitted = {p.ref for p in design.PARTS if p.fitted}
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["part", "x mm", "y mm", "degrees", "side"])
        for f in board.GetFootprints():
            if f.GetReference() in fitted:
                x, y = (pcbnew.ToMM(v) - o for v, o in zip((f.GetPosition().x, f.GetPosition().y), maker.ORIGIN))
                rows.writerow([f.GetReference(), f"{x:.2f}", f"{y:.2f}", f.GetOrientation() / 10, "top"])


if __name__ == "__main__":
    folder = sys.argv[1]
    board = pcbnew.LoadBoard(os.path.join(folder, "packbridge.kicad_pcb"))
    os.makedirs(os.path.join(folder, "gerbers"), exist_ok=True)
    gerbers(board, os.path.join(folder, "gerbers"))
    bill(os.path.join(folder, "bom.csv"))
    positions(board, os.path.join(folder, "positions.csv"))
