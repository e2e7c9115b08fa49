"""Makes the board from the table: places the parts, routes them, pours the ground, and writes the KiCad files.

    python3 board.py OUTPUT_DIRECTORY
"""

import os
import sys

import design
import placement
import pcbnew
import project
import route
import schematic

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = os.environ.get("KICAD6_FOOTPRINT_DIR", "/usr/share/kicad/footprints")
ORIGIN = (100.0, 60.0)  # of the board on KiCad's sheet
CLEARANCE, HIGH_CLEARANCE, EDGE = 0.2, 0.3, 0.5
WIDTHS = {"SW": 0.7, "VBAT": 0.8, "VFUSED": 0.8, "VREV": 0.8, "VIN": 0.6, "VC": 0.4, "+5V": 0.6, "+3V3": 0.4, "VBUS": 0.4, "CAN_VCC": 0.4, "GND": 0.5,
          "USB_D+": 0.2, "USB_D-": 0.2, "CC1": 0.2, "CC2": 0.2}
# The crowded nets first; what is not named follows in the order of the table.
FIRST = ["USB_D-", "USB_D+", "CC1", "CC2", "VBUS", "SW", "VC", "FB", "VIN", "VREV", "VFUSED", "VBAT", "CAN_VCC", "CANH", "CANL"]


def rules(net):
    return WIDTHS.get(net, 0.25), HIGH_CLEARANCE if net in design.HIGH_VOLTAGE else CLEARANCE


def mm(value):
    return pcbnew.FromMM(value)


def at(x, y):
    return pcbnew.wxPointMM(ORIGIN[0] + x, ORIGIN[1] + y)


def load(part):
    library, name = part.footprint.split(":")
    folder = os.path.join(HERE, "packbridge.pretty") if library == "packbridge" else os.path.join(LIBRARIES, library + ".pretty")
    footprint = pcbnew.FootprintLoad(folder, name)
    if footprint is None:
        sys.exit(f"board: no footprint {part.footprint} in {folder}")
    footprint.SetFPID(pcbnew.LIB_ID(library, name))
    return footprint


def place(board, items):
    """Puts every part on the board and gives its pads their nets."""
    for part in design.PARTS:
        footprint = load(part)
        x, y, angle = placement.PLACES[part.ref]
        footprint.SetReference(part.ref)
        footprint.SetValue(part.value)
        footprint.SetPath(pcbnew.KIID_PATH(f"/{schematic.ident(part.ref)}"))
        board.Add(footprint)
        footprint.SetPosition(at(x, y))
        footprint.SetOrientation(angle * 10)
        nets = {pin.number: pin.net for pin in part.pins}
        for pad in footprint.Pads():
            net = nets.get(pad.GetNumber())
            if net:
                pad.SetNet(items[net])
        dress(footprint, part)


def dress(footprint, part):
    """Names on the silk: readable, small, none for screws; the value only on the drawing layer."""
    reference = footprint.Reference()
    reference.SetTextSize(pcbnew.wxSizeMM(0.8, 0.8))
    reference.SetTextThickness(mm(0.12))
    footprint.Value().SetVisible(False)
    choice = placement.NAMES.get(part.ref, False)
    if part.ref.startswith("H") or choice is None:
        reference.SetVisible(False)
    elif choice:
        reference.SetPosition(at(choice[0], choice[1]))
        reference.SetTextAngle(choice[2] * 10 - footprint.GetOrientation())
    if part.ref.startswith("TP"):
        reference.SetText(part.value)


def outline(board):
    w, h, r = placement.WIDTH, placement.HEIGHT, placement.RADIUS
    def shape(kind):
        one = pcbnew.PCB_SHAPE(board)
        one.SetShape(kind)
        one.SetLayer(pcbnew.Edge_Cuts)
        one.SetWidth(mm(0.1))
        board.Add(one)
        return one
    for x1, y1, x2, y2 in [(r, 0, w - r, 0), (w, r, w, h - r), (w - r, h, r, h), (0, h - r, 0, r)]:
        line = shape(pcbnew.SHAPE_T_SEGMENT)
        line.SetStart(at(x1, y1))
        line.SetEnd(at(x2, y2))
    k = r * (1 - 0.5**0.5)
    for start, middle, end in [((0, r), (k, k), (r, 0)), ((w - r, 0), (w - k, k), (w, r)),
                               ((w, h - r), (w - k, h - k), (w - r, h)), ((r, h), (k, h - k), (0, h - r))]:
        shape(pcbnew.SHAPE_T_ARC).SetArcGeometry(at(*start), at(*middle), at(*end))


def write(board):
    for text, x, y, size, angle in placement.WRITING:
        item = pcbnew.PCB_TEXT(board)
        item.SetText(text)
        item.SetPosition(at(x, y))
        item.SetTextSize(pcbnew.wxSizeMM(size, size))
        item.SetTextThickness(mm(max(0.12, size * 0.15)))
        item.SetTextAngle(angle * 10)
        item.SetLayer(pcbnew.F_SilkS)
        board.Add(item)


def pads(board):
    """All pads as (net, layers, box in mm, ref, through)."""
    for footprint in board.GetFootprints():
        for pad in footprint.Pads():
            if not pad.IsOnCopperLayer() and pad.GetAttribute() != pcbnew.PAD_ATTRIB_NPTH:
                continue  # an opening for solder paste
            box = pad.GetBoundingBox()
            corners = [pcbnew.ToMM(v) for v in (box.GetLeft(), box.GetTop(), box.GetRight(), box.GetBottom())]
            corners = [c - ORIGIN[i % 2] for i, c in enumerate(corners)]
            drilled = pad.GetAttribute() in (pcbnew.PAD_ATTRIB_PTH, pcbnew.PAD_ATTRIB_NPTH)
            layers = (route.TOP, route.BOTTOM) if drilled else (route.TOP,)
            yield pad.GetNetname() or None, layers, tuple(corners), footprint.GetReference(), drilled


def lay(board):
    """Routes every net. Returns the tracks by net."""
    grid = route.Grid(placement.WIDTH, placement.HEIGHT, EDGE)
    grid.rules = rules
    by_net = {}
    for net, layers, box, ref, drilled in pads(board):
        grid.fixed.append((layers, net, box, CLEARANCE))
        if net:
            by_net.setdefault(net, []).append((layers, box, drilled))
    x, y, _ = placement.PLACES["U3"]
    grid.fixed.append(((0, 1), None, (x - 12, 0, x + 12, y - 7.1), 0))
    # Ground: every pad on the upper side gets its own way down to the plane.
    # (The two halves of a USB-C connector share pads; the one below the module gets vias of its own.)
    for layers, box, drilled in dict.fromkeys(by_net["GND"]):
        below_module = box[2] - box[0] == box[3] - box[1] > 2.5
        if not drilled and not below_module and not grid.drop("GND", layers, box):
            sys.exit(f"board: no place for a via beside the ground pad at {box}")
    x, y = x + 0.96, y + 0.2
    for dx in (-0.75, 0.75):
        for dy in (-0.75, 0.75):
            grid.tracks["GND"].append((None, x + dx, y + dy, x + dx, y + dy, route.VIA))
    waiting = FIRST + [net for net in design.nets() if net not in FIRST + ["GND"]]
    for attempt in range(400):
        if not waiting:
            return grid.tracks
        net = waiting.pop(0)
        ends = [(layers, box) for layers, box, _ in by_net[net]]
        grid.tracks.pop(net, None)
        run_over = grid.connect(net, ends)
        if run_over is None:
            run_over = grid.connect(net, ends, through=True)
            if run_over is None or "GND" in run_over and attempt > 300:
                sys.exit(f"board: no way for {net}")
            for other in sorted(run_over):
                if other == "GND":
                    continue
                grid.tracks.pop(other, None)
                waiting.append(other)
            print(f"board: {net} runs over {sorted(run_over)}", file=sys.stderr)
    sys.exit("board: the router goes round in circles")


def draw(board, tracks, items):
    for net, pieces in tracks.items():
        for layer, x1, y1, x2, y2, width in pieces:
            if layer is None:
                via = pcbnew.PCB_VIA(board)
                via.SetPosition(at(x1, y1))
                via.SetDrill(mm(route.DRILL))
                via.SetWidth(mm(route.VIA))
                via.SetNet(items[net])
                board.Add(via)
            else:
                track = pcbnew.PCB_TRACK(board)
                track.SetStart(at(x1, y1))
                track.SetEnd(at(x2, y2))
                track.SetWidth(mm(width))
                track.SetLayer(pcbnew.F_Cu if layer == route.TOP else pcbnew.B_Cu)
                track.SetNet(items[net])
                board.Add(track)


def pour(board, net):
    for layer in (pcbnew.F_Cu, pcbnew.B_Cu):
        zone = pcbnew.ZONE(board)
        zone.SetLayer(layer)
        zone.SetNet(net)
        zone.SetLocalClearance(mm(0.3))
        zone.SetMinThickness(mm(0.25))
        zone.SetThermalReliefGap(mm(0.3))
        zone.SetThermalReliefSpokeWidth(mm(0.5))
        zone.SetIslandRemovalMode(pcbnew.ISLAND_REMOVAL_MODE_ALWAYS)
        corners = zone.Outline()
        corners.NewOutline()
        e = EDGE
        for x, y in [(e, e), (placement.WIDTH - e, e), (placement.WIDTH - e, placement.HEIGHT - e), (e, placement.HEIGHT - e)]:
            corners.Append(mm(ORIGIN[0] + x), mm(ORIGIN[1] + y))
        board.Add(zone)


def main(folder):
    board = pcbnew.BOARD()
    items = {}
    for net in design.nets():
        items[net] = pcbnew.NETINFO_ITEM(board, net)
        board.Add(items[net])
    place(board, items)
    outline(board)
    write(board)
    board.BuildListOfNets()
    draw(board, lay(board), items)
    pour(board, items["GND"])
    os.makedirs(folder, exist_ok=True)
    project.write(os.path.join(folder, "packbridge.kicad_pro"))
    path = os.path.join(folder, "packbridge.kicad_pcb")
    pcbnew.SaveBoard(path, board)
    # The filler needs a board that belongs to a project: it crashes on one that was only made here.
    board = pcbnew.LoadBoard(path)
    pcbnew.ZONE_FILLER(board).Fill(board.Zones())
    pcbnew.SaveBoard(path, board)
    project.write(os.path.join(folder, "packbridge.kicad_pro"))  # saving a board writes defaults into its project


if __name__ == "__main__":
    main(sys.argv[1])
