"""Breaks the converter in several ways and expects that the checks notice each.

    python3 prove_checks.py BUILD_DIRECTORY
"""

import os
import subprocess
import sys

import pcbnew
import project

HERE = os.path.dirname(os.path.abspath(__file__))
passed = failed = 0


def expect(what, command, sentence):
    global passed, failed
    said = subprocess.run(command, capture_output=True, text=True)
    noticed = said.returncode != 0 and sentence in said.stdout
    passed, failed = passed + noticed, failed + (not noticed)
    print(f"{'good  ' if noticed else 'FAILED'} noticed: {what}" + ("" if noticed else f"\n       expected '{sentence}', got:\n{said.stdout[-800:]}{said.stderr[-400:]}"))


def broken_board(folder, name, breaking):
    """A copy of the board with one fault; returns the command that judges it."""
    there = os.path.join(folder, "broken", name)
    os.makedirs(there, exist_ok=True)
    for ending in ("kicad_pcb", "kicad_pro"):
        with open(os.path.join(folder, f"packbridge.{ending}")) as source, open(os.path.join(there, f"packbridge.{ending}"), "w") as copy:
            copy.write(source.read())
    path = os.path.join(there, "packbridge.kicad_pcb")
    board = pcbnew.LoadBoard(path)
    breaking(board)
    pcbnew.SaveBoard(path, board)
    project.write(os.path.join(there, "packbridge.kicad_pro"))  # saving a board writes defaults into its project
    return [sys.executable, os.path.join(HERE, "check.py"), folder, "--board", path]


def pad(board, ref, number):
    return next(p for f in board.GetFootprints() if f.GetReference() == ref for p in f.Pads() if p.GetNumber() == number)


def lose_a_track(board):
    track = next(t for t in sorted(board.GetTracks(), key=lambda t: -t.GetLength()) if t.GetNetname() == "CANH")
    board.Delete(track)


def short_the_battery(board):
    a, b = pad(board, "C2", "1"), pad(board, "C2", "2")
    track = pcbnew.PCB_TRACK(board)
    track.SetStart(a.GetPosition())
    track.SetEnd(b.GetPosition())
    track.SetWidth(pcbnew.FromMM(0.5))
    track.SetLayer(pcbnew.F_Cu)
    track.SetNet(a.GetNet())
    board.Add(track)


def swap_can(board):
    a, b = pad(board, "U4", "6"), pad(board, "U4", "7")
    first, second = a.GetNet(), b.GetNet()
    a.SetNet(second)
    b.SetNet(first)


def move_a_part(board):
    next(f for f in board.GetFootprints() if f.GetReference() == "R12").Move(pcbnew.wxPointMM(0, 3.5))


def table(change, module):
    """The command that runs a script after one line of Python has changed the table."""
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {HERE!r}); import design, sheet; {change}; sys.argv = {[module, FOLDER]!r}; "
            f"import runpy; runpy.run_path({os.path.join(HERE, module)!r}, run_name='__main__')"]


FOLDER = sys.argv[1]
NET = "object.__setattr__(next(p for p in design.find({0!r}).pins if p.number == {1!r}), 'net', {2!r})"
if __name__ == "__main__":
    expect("a missing piece of CAN-H", broken_board(FOLDER, "open", lose_a_track), "FAILED board: nothing is left unconnected")
    expect("the battery's input shorted to ground", broken_board(FOLDER, "short", short_the_battery), "FAILED board: KiCad's design rules find nothing")
    expect("CAN-H and CAN-L swapped on the board", broken_board(FOLDER, "swapped", swap_can), "FAILED board: every pad is on the net of the table")
    expect("a part that was moved onto its neighbour's tracks", broken_board(FOLDER, "moved", move_a_part), "FAILED board: KiCad's design rules find nothing")
    for what, changes, sentence in (
        ("a pin that is connected to nothing", [("R5", "2", None)], "every pin is on a net or is deliberately unused"),
        ("a net with a single pin", [("R7", "2", "IO22")], "no net ends at a single pin"),
        ("two outputs on one net", [("U4", "4", "TXD0")], "no two outputs or supplies work against each other"),
        ("a module without its 3.3 V", [("U2", "2", "IO2")], "what needs power gets it"),
        ("a regulator behind a fuse that leads nowhere", [("F1", "2", "LED")], "what needs power gets it"),
        ("the input's diode the wrong way round", [("D1", "1", "VFUSED"), ("D1", "2", "VREV")], "what needs power gets it"),
        ("an input on which there is only a test point", [("U3", "5", "IO2")], "every input is driven or held"),
    ):
        expect(what, table("; ".join(NET.format(*change) for change in changes), "check.py"), f"FAILED {sentence}")
    expect("the transceiver's 5 V on a pin of the module", table(NET.format("U3", "6", "CAN_RXD"), "check.py"), "FAILED no pin sees more than it bears")
    expect("BMS lines swapped in the table", table(f"{NET.format('U3', '3', 'BMS_RX')}; {NET.format('U3', '4', 'BMS_TX')}", "check.py"),
           "FAILED the module's pins are those of the firmware")
    expect("an input capacitor for 63 V", table("design.find('C1').rated = 63", "check.py"), "FAILED every capacitor has a reserve")
    expect("a wire too many in the schematic", table("sheet.WIRES.append([(125, 54), (125, 62)])", "check.py"), "FAILED schematic: nothing hangs between nets")
    expect("3.3 kohm in the divider", table("design.find('R2').value = '3k3 1%'", "calculation.py"), "FAILED 5 V, nominal")
    expect("1 ohm in front of the surge protection", table("design.find('R1').value = '1R 2W'", "calculation.py"), "FAILED input of the XL7015")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)
