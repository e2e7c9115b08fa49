"""What is where on the schematic sheet: positions in steps of 2.54 mm on A3, and the wires that are drawn.

A pin that no wire touches gets a label with the name of its net, or the sign of ground or supply. check.py follows the wires and
labels and compares what they connect with the table in design.py, so a wire in the wrong place is found.
"""

# ref: (x, y, turned by degrees clockwise). A two-pinned part lies with pin 1 left; turned by 90 it stands with pin 1 above.
PARTS = {
    # supply, one row
    "J1": (9, 15.5, 0), "F1": (19, 14, 0), "D1": (27, 14, 180), "R1": (35, 14, 0), "D2": (42, 17, 90), "C1": (49, 17, 90), "C2": (56, 17, 90),
    "C3": (64, 16, 90), "U1": (74, 18, 0), "D3": (85, 17, 90), "L1": (91, 14, 0), "R2": (99, 18, 90), "R3": (99, 26, 90),
    "C4": (106, 17, 90), "C5": (113, 17, 90), "C8": (119, 17, 90), "U2": (132, 16, 0), "C7": (141, 17, 90),
    # module
    "R4": (9, 48, 90), "C9": (9, 54, 90), "SW1": (15, 54, 90), "C10": (23, 48, 90), "C11": (31, 48, 90),
    "R6": (9, 66, 90), "SW2": (9, 72, 90), "R5": (20, 66, 90), "R7": (27, 66, 90), "U3": (46, 58, 0),
    "R8": (26, 76, 0), "R9": (26, 81, 0), "J4": (46, 78.5, 0), "R15": (55, 74, 90), "D6": (55, 78, 270),
    # USB
    "J3": (70, 56, 0), "R13": (82, 68, 90), "R14": (88, 68, 90), "U5": (70, 78, 0), "D5": (88, 48, 180),
    # CAN
    "JP1": (104, 50, 180), "C12": (108, 68, 90), "U4": (118, 57, 0), "R10": (104, 78, 0), "R11": (110, 82, 90), "R12": (130, 56, 90), "JP2": (130, 60, 90),
    "JP3": (142, 54, 0), "JP4": (142, 62, 0), "JP5": (142, 70, 0), "J2": (156, 59.5, 0), "D4": (130, 74, 0),
}
for number in range(1, 11):
    PARTS[f"TP{number}"] = (12 + 11 * ((number - 1) % 5), 92 + 4 * ((number - 1) // 5), 90)

# Chips and connectors as boxes: width in steps, pins at the left and at the right with their height from the middle.
BOXES = {
    "J1": (4, [], [("4", -1.5), ("3", -0.5), ("2", 0.5), ("1", 1.5)]),
    "U1": (8, [("5", -4), ("4", 0), ("1", 4)], [("3", -4), ("2", 4)]),
    "U2": (8, [("3", -2), ("1", 2)], [("2", -2)]),
    "U3": (12, [("1", -8), ("2", -6), ("3", -4), ("4", -2), ("5", 0), ("6", 2), ("7", 4), ("8", 6), ("9", 8)],
           [("18", -8), ("17", -6), ("16", -4), ("15", -2), ("14", 0), ("13", 2), ("12", 4), ("11", 6), ("10", 8), ("19", 10)]),
    "J4": (5, [("1", -1.5), ("2", -0.5), ("3", 0.5), ("4", 1.5)], []),
    "J3": (6, [("A1", -8), ("A12", -7), ("B1", -6), ("B12", -5), ("S1", -4)],
           [("A4", -8), ("A9", -7), ("B4", -6), ("B9", -5), ("A5", -3), ("B5", -2), ("A6", 0), ("B6", 1), ("A7", 3), ("B7", 4), ("A8", 6), ("B8", 7)]),
    "U5": (6, [("1", -2), ("2", 0), ("3", 2)], [("6", -2), ("5", 0), ("4", 2)]),
    "U4": (8, [("1", -5), ("4", -2), ("8", 1), ("3", 4), ("2", 6)], [("7", -3), ("6", 5), ("5", 6)]),
    "J2": (5, [("1", -3.5), ("2", -2.5), ("3", -1.5), ("4", -0.5), ("5", 0.5), ("6", 1.5), ("7", 2.5), ("8", 3.5)], []),
    "D4": (5, [("1", -1), ("2", 1)], [("3", 0)]),
}

WIRES = [
    [(12, 14), (17, 14)], [(21, 14), (25, 14)], [(29, 14), (33, 14)], [(37, 14), (69, 14)],
    [(42, 14), (42, 15)], [(49, 14), (49, 15)], [(56, 14), (56, 15)], [(64, 18), (69, 18)],
    [(79, 14), (89, 14)], [(85, 14), (85, 15)], [(93, 14), (127, 14)], [(99, 14), (99, 16)], [(99, 20), (99, 24)], [(79, 22), (99, 22)],
    [(106, 14), (106, 15)], [(113, 14), (113, 15)], [(119, 14), (119, 15)], [(137, 14), (149, 14)], [(141, 14), (141, 15)],
    [(9, 50), (9, 52)], [(9, 51), (19, 51)], [(15, 51), (15, 52)],
    [(9, 68), (9, 70)], [(9, 69), (13, 69)],
    [(123, 54), (140, 54)], [(123, 62), (140, 62)], [(106, 78), (116, 78)], [(110, 78), (110, 80)],
]
# Signs and labels that stand on wires: net, x, y, direction of the text.
SIGNS = [("+5V", 102, 14, "up"), ("+3V3", 149, 14, "up"), ("VIN", 38, 14, "over"), ("SW", 81, 14, "over"), ("FB", 88, 22, "over"), ("EN", 19, 51, "right"),
         ("IO9", 13, 69, "right"), ("CAN_RX", 116, 78, "right"), ("CANH", 125, 54, "over"), ("CANL", 125, 62, "over"),
         ("VBAT", 13, 14, "over"), ("VFUSED", 21, 14, "over"), ("VREV", 29.5, 14, "over"), ("VC", 65, 18, "over"), ("LED", 55, 76, "right"),
         ("CAN_TERM", 130, 58, "right")]
# What KiCad's own rules need to know: these nets get their power through passive parts.
FLAGS = {"GND": (76, 92), "VIN": (86, 92), "+5V": (96, 92), "CAN_VCC": (106, 92)}

# Frames: title, x1, y1, x2, y2
FRAMES = [
    ("Battery: fuse, reverse polarity, surge", 4.5, 6, 60, 33), ("5 V", 60, 6, 123.5, 33), ("3.3 V", 123.5, 6, 161, 33),
    ("Module", 4.5, 37, 60, 86), ("USB", 60, 37, 96, 86), ("CAN and inverter", 96, 37, 161, 86), ("Test points", 4.5, 88, 70, 102),
    ("Power flags for KiCad's rules", 70, 88, 114, 102),
]
NOTES = [
    (6, 24, ["The pin VBAT carries the whole battery.", "F1 first, then D1 against reversed wires, R1 against inrush and surge,", "D2 clamps below the 80 V that U1 bears (calculation.py)."]),
    (62, 31, ["U1: 5 V = 1.25 V x (1 + R2 / R3). Compare the order of its pins with the maker's data sheet."]),
    (126, 26, ["JP1 selects the transceiver's supply:", "5 V for a TJA1050, 3.3 V for an SN65HVD230.", "With the SN65HVD230 leave R11 out."]),
    (117, 81, ["JP3, JP4: CAN-H and CAN-L to 4 and 5 (Pylontech, Growatt) or to 7 and 8 (Victron).", "JP5: ground to 2 (Growatt), 3 (Victron) or open. JP2: termination of 120 ohm.", "All are open at first: nothing is on the bus until you choose."]),
    (5.5, 84.8, ["GPIO4, GPIO5: BMS; GPIO6, GPIO7: CAN; GPIO10: LED, as in the firmware."]),
]
