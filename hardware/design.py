"""The converter as one table: every part, its pins, the net on each pin, its footprint and what it has to withstand.

Schematic, board, bill of materials and checks are all made from this file. Pins of the module are those of the firmware's board
for the ESP32-C3: BMS on GPIO4 (to the BMS) and GPIO5 (from the BMS), CAN on GPIO6 (to the transceiver) and GPIO7 (from it), the LED on GPIO10.
"""

from dataclasses import dataclass, field

# What a pin does. The electrical rules in check.py know these words:
#   out, in, bidir     signals
#   passive            resistors, connectors, whatever follows what is connected to it
#   supply             gives power to its net
#   power              needs power from its net
#   unused             deliberately connected to nothing
OUT, IN, BIDIR, PASSIVE, SUPPLY, POWER, UNUSED = "out", "in", "bidir", "passive", "supply", "power", "unused"


@dataclass(frozen=True)
class Pin:
    number: str
    name: str
    kind: str
    net: str | None  # None only for UNUSED
    rated: float | None = None  # highest voltage against GND that the pin bears, V


@dataclass
class Part:
    ref: str
    value: str
    footprint: str  # library:name
    pins: list[Pin]
    what: str  # what to buy: the properties that count, not a shop's number
    group: str  # block of the schematic
    rated: float | None = None  # between its pins, V: capacitors, diodes, the fuse
    fitted: bool = True
    drawn: bool = True  # in the schematic as a symbol with pins
    fields: dict = field(default_factory=dict)


R0805 = "Resistor_SMD:R_0805_2012Metric"
C0805 = "Capacitor_SMD:C_0805_2012Metric"
JUMPER3 = "Jumper:SolderJumper-3_P1.3mm_Open_Pad1.0x1.5mm"
PARTS: list[Part] = []


def part(ref, value, footprint, pins, what, group, **more):
    PARTS.append(Part(ref, value, footprint, [Pin(*p) for p in pins], what, group, **more))


def two(ref, value, footprint, first, second, what, group, names=("1", "2"), **more):
    """A part with two passive pins."""
    part(ref, value, footprint, [("1", names[0], PASSIVE, first), ("2", names[1], PASSIVE, second)], what, group, **more)


# Highest voltage of each net against GND. VBAT: 16 cells at 3.625 V. Surges: see calculation.py.
SURGE, VBAT = 80.0, 58.0
NET_VOLTS = {
    "GND": 0, "VBAT": VBAT, "VFUSED": VBAT, "VREV": VBAT, "VIN": SURGE, "VC": SURGE, "SW": SURGE, "FB": 1.3,
    "+5V": 5.25, "+3V3": 3.4, "VBUS": 5.25, "CAN_VCC": 5.25, "EN": 3.4, "IO2": 3.4, "IO8": 3.4, "IO9": 3.4,
    "BMS_TX": 3.4, "BMS_RX": 3.4, "JK_RX": 3.4, "JK_TX": 3.4, "CAN_TX": 3.4, "CAN_RXD": 5.25, "CAN_RX": 3.6,
    "CANH": 24.0, "CANL": 24.0, "CAN_TERM": 24.0, "RJ_2": 24.0, "RJ_3": 24.0, "RJ_4": 24.0, "RJ_5": 24.0, "RJ_7": 24.0, "RJ_8": 24.0,
    "USB_D+": 3.6, "USB_D-": 3.6, "CC1": 5.25, "CC2": 5.25, "TXD0": 3.4, "RXD0": 3.4, "STATUS": 3.4, "LED": 3.4,
}
# These carry the battery's voltage or the board's current: wider tracks, more distance.
HIGH_VOLTAGE = {"VBAT", "VFUSED", "VREV", "VIN", "SW", "VC"}
POWER_NETS = {"+5V", "+3V3", "VBUS", "CAN_VCC"}

# ---- from the battery: connector of the BMS, fuse, reverse and surge protection
part("J1", "JK GPS", "Connector_JST:JST_XH_S4B-XH-A_1x04_P2.50mm_Horizontal",
     [("1", "GND", PASSIVE, "GND"), ("2", "RX", PASSIVE, "JK_RX"), ("3", "TX", PASSIVE, "JK_TX"), ("4", "VBAT", SUPPLY, "VBAT")],
     "JST XH, 4 pins, lying; order of the pins as on the BMS's GPS connector", "input")
two("F1", "500 mA T", "Fuse:Fuse_Littelfuse-NANO2-451_453", "VBAT", "VFUSED",
    "slow fuse 0.5 A, breaks at least 125 V DC, melting integral 0.03 to 0.06 A2s (Nano2 size)", "input", rated=125)
part("D1", "S1G", "Diode_SMD:D_SMA", [("1", "K", PASSIVE, "VREV"), ("2", "A", PASSIVE, "VFUSED")],
     "silicon rectifier 1 A, 400 V: reverse polarity", "input", rated=400)
two("R1", "10R 2W", "Resistor_THT:R_Axial_DIN0414_L11.9mm_D4.5mm_P5.08mm_Vertical", "VREV", "VIN",
    "10 ohm, 2 W, wirewound, standing, bears a pulse of 2 J: inrush and surge", "input")
part("D2", "SMCJ58A", "Diode_SMD:D_SMC", [("1", "K", PASSIVE, "VIN"), ("2", "A", PASSIVE, "GND")],
     "TVS, stands off 58 V, breaks at 64.4 to 71.2 V, 1500 W (unidirectional)", "input", rated=93.6)
part("C1", "33u 100V", "Capacitor_THT:CP_Radial_D10.0mm_P5.00mm", [("1", "+", PASSIVE, "VIN"), ("2", "-", PASSIVE, "GND")],
     "33 uF, 100 V, electrolytic, 105 C", "input", rated=100)
two("C2", "1u 100V", "Capacitor_SMD:C_1206_3216Metric", "VIN", "GND", "1 uF, 100 V, X7R", "input", rated=100)

# ---- 5 V
part("U1", "XL7015", "Package_TO_SOT_SMD:TO-252-5_TabPin3",
     [("1", "GND", POWER, "GND"), ("2", "FB", IN, "FB"), ("3", "SW", OUT, "SW", 80), ("4", "VC", PASSIVE, "VC", 80),
      ("5", "VIN", POWER, "VIN", 80)],
     "XL7015E1, TO-252-5: buck 0.8 A, 150 kHz, 5 to 80 V. CHECK the order of its pins in the maker's data sheet", "buck")
two("C3", "1u 50V", C0805, "VIN", "VC", "1 uF, 50 V, X7R", "buck", rated=50)
part("D3", "SS110", "Diode_SMD:D_SMA", [("1", "K", PASSIVE, "SW"), ("2", "A", PASSIVE, "GND")],
     "Schottky 1 A, 100 V", "buck", rated=100)
two("L1", "100u", "Inductor_SMD:L_12x12mm_H6mm", "SW", "+5V",
    "100 uH, saturates above 1.2 A, at most 0.35 ohm, shielded, 12 x 12 mm", "buck")
part("C4", "220u 16V", "Capacitor_THT:CP_Radial_D8.0mm_P3.50mm", [("1", "+", PASSIVE, "+5V"), ("2", "-", PASSIVE, "GND")],
     "220 uF, 16 V, electrolytic, ESR at most 0.15 ohm at 100 kHz", "buck", rated=16)
two("C5", "10u 25V", C0805, "+5V", "GND", "10 uF, 25 V, X5R or X7R", "buck", rated=25)
two("R2", "3k0 1%", R0805, "+5V", "FB", "3.0 kohm, 1 %", "buck")
two("R3", "1k0 1%", R0805, "FB", "GND", "1.0 kohm, 1 %", "buck")

# ---- USB: flashing and, later, a console; it also feeds the board while no battery is there
part("J3", "USB-C", "Connector_USB:USB_C_Receptacle_HRO_TYPE-C-31-M-12",
     [("A1", "GND", PASSIVE, "GND"), ("A12", "GND", PASSIVE, "GND"), ("B1", "GND", PASSIVE, "GND"), ("B12", "GND", PASSIVE, "GND"),
      ("S1", "SHIELD", PASSIVE, "GND"),
      ("A4", "VBUS", SUPPLY, "VBUS"), ("A9", "VBUS", PASSIVE, "VBUS"), ("B4", "VBUS", PASSIVE, "VBUS"), ("B9", "VBUS", PASSIVE, "VBUS"),
      ("A5", "CC1", PASSIVE, "CC1"), ("B5", "CC2", PASSIVE, "CC2"),
      ("A6", "D+", PASSIVE, "USB_D+"), ("B6", "D+", PASSIVE, "USB_D+"), ("A7", "D-", PASSIVE, "USB_D-"), ("B7", "D-", PASSIVE, "USB_D-"),
      ("A8", "SBU1", UNUSED, None), ("B8", "SBU2", UNUSED, None)],
     "USB-C receptacle, 16 pins (HRO TYPE-C-31-M-12)", "usb")
two("R13", "5k1", R0805, "CC1", "GND", "5.1 kohm, 1 %", "usb")
two("R14", "5k1", R0805, "CC2", "GND", "5.1 kohm, 1 %", "usb")
part("U5", "USBLC6-2SC6", "Package_TO_SOT_SMD:SOT-23-6",
     [("1", "IO1", PASSIVE, "USB_D-"), ("2", "GND", PASSIVE, "GND"), ("3", "IO2", PASSIVE, "USB_D+"), ("4", "IO2", PASSIVE, "USB_D+"),
      ("5", "VBUS", PASSIVE, "VBUS", 5.25), ("6", "IO1", PASSIVE, "USB_D-")],
     "USBLC6-2SC6: surge protection of the USB lines", "usb")
part("D5", "SS14", "Diode_SMD:D_SMA", [("1", "K", PASSIVE, "+5V"), ("2", "A", PASSIVE, "VBUS")], "Schottky 1 A, 40 V", "usb", rated=40)

# ---- 3.3 V
part("U2", "AMS1117-3.3", "Package_TO_SOT_SMD:SOT-223-3_TabPin2",
     [("1", "GND", POWER, "GND"), ("2", "VO", SUPPLY, "+3V3"), ("3", "VI", POWER, "+5V", 12)],
     "AMS1117-3.3 or equal with the same pins, 0.8 A or more", "logic")
two("C8", "10u 25V", C0805, "+5V", "GND", "10 uF, 25 V, X5R or X7R", "logic", rated=25)
two("C7", "22u 10V", C0805, "+3V3", "GND", "22 uF, 10 V, X5R or X7R", "logic", rated=10)
two("R15", "1k0", R0805, "STATUS", "LED", "1 kohm", "module")
part("D6", "status", "LED_SMD:LED_0805_2012Metric", [("1", "K", PASSIVE, "GND"), ("2", "A", PASSIVE, "LED")], "LED, green", "module", rated=5)

# ---- the module
part("U3", "ESP32-C3-WROOM-02", "packbridge:ESP32-C3-WROOM-02",
     [("1", "3V3", POWER, "+3V3", 3.6), ("2", "EN", IN, "EN", 3.6),
      ("3", "IO4", BIDIR, "BMS_TX", 3.6), ("4", "IO5", BIDIR, "BMS_RX", 3.6),
      ("5", "IO6", BIDIR, "CAN_TX", 3.6), ("6", "IO7", BIDIR, "CAN_RX", 3.6),
      ("7", "IO8", BIDIR, "IO8", 3.6), ("8", "IO9", BIDIR, "IO9", 3.6), ("9", "GND", POWER, "GND"), ("10", "IO10", BIDIR, "STATUS", 3.6),
      ("11", "RXD", IN, "RXD0", 3.6), ("12", "TXD", OUT, "TXD0", 3.6),
      ("13", "IO18", BIDIR, "USB_D-", 3.6), ("14", "IO19", BIDIR, "USB_D+", 3.6),
      ("15", "IO3", UNUSED, None), ("16", "IO2", BIDIR, "IO2", 3.6), ("17", "IO1", UNUSED, None), ("18", "IO0", UNUSED, None),
      ("19", "GND", POWER, "GND")],
     "ESP32-C3-WROOM-02-N4 (4 MB), antenna on the board", "module")
two("C10", "10u 25V", C0805, "+3V3", "GND", "10 uF, 25 V, X5R or X7R", "module", rated=25)
two("C11", "100n", C0805, "+3V3", "GND", "100 nF, 50 V, X7R", "module", rated=50)
two("R4", "10k", R0805, "+3V3", "EN", "10 kohm", "module")
two("C9", "1u 50V", C0805, "EN", "GND", "1 uF, 50 V, X7R", "module", rated=50)
two("SW1", "RESET", "Button_Switch_SMD:SW_SPST_B3U-1000P", "EN", "GND", "push button B3U-1000P", "module")
two("R5", "10k", R0805, "+3V3", "IO8", "10 kohm", "module")
two("R6", "10k", R0805, "+3V3", "IO9", "10 kohm", "module")
two("SW2", "BOOT", "Button_Switch_SMD:SW_SPST_B3U-1000P", "IO9", "GND", "push button B3U-1000P", "module")
two("R7", "10k", R0805, "+3V3", "IO2", "10 kohm", "module")
two("R8", "220R", R0805, "BMS_TX", "JK_RX", "220 ohm", "module")
two("R9", "220R", R0805, "JK_TX", "BMS_RX", "220 ohm", "module")
part("J4", "CONSOLE", "Connector_PinHeader_2.54mm:PinHeader_1x04_P2.54mm_Vertical",
     [("1", "GND", PASSIVE, "GND"), ("2", "TX", PASSIVE, "TXD0"), ("3", "RX", PASSIVE, "RXD0"), ("4", "3V3", PASSIVE, "+3V3")],
     "pin header 1 x 4, 2.54 mm: UART0, for a 3.3 V serial adapter", "module")

# ---- CAN
part("U4", "TJA1050", "Package_SO:SOIC-8_3.9x4.9mm_P1.27mm",
     [("1", "TXD", IN, "CAN_TX", 3.6), ("2", "GND", POWER, "GND"), ("3", "VCC", POWER, "CAN_VCC", 6), ("4", "RXD", OUT, "CAN_RXD"),
      ("5", "VREF", UNUSED, None), ("6", "CANL", BIDIR, "CANL", 40), ("7", "CANH", BIDIR, "CANH", 40), ("8", "S", IN, "GND")],
     "TJA1050T (JP1 to 5 V) or SN65HVD230D (JP1 to 3.3 V, R11 left out): same pins", "can")
part("JP1", "5V/3V3", JUMPER3, [("1", "5V", PASSIVE, "+5V"), ("2", "VCC", PASSIVE, "CAN_VCC"), ("3", "3V3", PASSIVE, "+3V3")],
     "solder: supply of the transceiver", "can")
two("C12", "100n", C0805, "CAN_VCC", "GND", "100 nF, 50 V, X7R", "can", rated=50)
two("R10", "4k7", R0805, "CAN_RXD", "CAN_RX", "4.7 kohm, 1 %: level resistor", "can")
two("R11", "10k", R0805, "CAN_RX", "GND", "10 kohm, 1 %; with the TJA1050 only", "can")
two("R12", "120R", "Resistor_SMD:R_1206_3216Metric", "CANH", "CAN_TERM", "120 ohm, 1 %, 0.25 W", "can")
two("JP2", "120R", "Jumper:SolderJumper-2_P1.3mm_Open_Pad1.0x1.5mm", "CAN_TERM", "CANL", "solder: termination", "can")
part("D4", "PESD1CAN", "Package_TO_SOT_SMD:SOT-23",
     [("1", "IO1", PASSIVE, "CANH"), ("2", "IO2", PASSIVE, "CANL"), ("3", "GND", PASSIVE, "GND")],
     "PESD1CAN (24 V): surge protection of the bus lines", "can")
part("JP3", "CANH", JUMPER3, [("1", "4", PASSIVE, "RJ_4"), ("2", "CANH", PASSIVE, "CANH"), ("3", "7", PASSIVE, "RJ_7")],
     "solder: CAN-H to pin 4 (Pylontech, Growatt) or 7 (Victron)", "can")
part("JP4", "CANL", JUMPER3, [("1", "5", PASSIVE, "RJ_5"), ("2", "CANL", PASSIVE, "CANL"), ("3", "8", PASSIVE, "RJ_8")],
     "solder: CAN-L to pin 5 (Pylontech, Growatt) or 8 (Victron)", "can")
part("JP5", "GND", JUMPER3, [("1", "2", PASSIVE, "RJ_2"), ("2", "GND", PASSIVE, "GND"), ("3", "3", PASSIVE, "RJ_3")],
     "solder: ground to pin 2 (Growatt) or 3 (Victron), or open", "can")
part("J2", "INVERTER", "Connector_RJ:RJ45_Amphenol_54602-x08_Horizontal",
     [("1", "1", UNUSED, None), ("2", "2", PASSIVE, "RJ_2"), ("3", "3", PASSIVE, "RJ_3"), ("4", "4", PASSIVE, "RJ_4"),
      ("5", "5", PASSIVE, "RJ_5"), ("6", "6", UNUSED, None), ("7", "7", PASSIVE, "RJ_7"), ("8", "8", PASSIVE, "RJ_8")],
     "RJ45 socket, 8P8C, unshielded, without transformer (Amphenol 54602-908)", "can")

# ---- test points and screws
for number, net in enumerate(["VIN", "+5V", "+3V3", "GND", "CANH", "CANL", "CAN_TX", "CAN_RX", "BMS_TX", "BMS_RX"], 1):
    part(f"TP{number}", net, "TestPoint:TestPoint_Pad_D1.5mm", [("1", "1", PASSIVE, net)], "test point (bare pad)", "test", fitted=False)
for number in range(1, 5):
    part(f"H{number}", "M3", "MountingHole:MountingHole_3.2mm_M3", [], "hole for a screw M3", "screws", fitted=False, drawn=False)


def nets():
    """Every net with its pins, as (ref, pin) pairs in the order of the table."""
    found: dict[str, list[tuple[Part, Pin]]] = {}
    for p in PARTS:
        for pin in p.pins:
            if pin.net is not None:
                found.setdefault(pin.net, []).append((p, pin))
    return found


def find(ref):
    return next(p for p in PARTS if p.ref == ref)
