"""The KiCad project file: the rules that KiCad checks the board against, for people who open it and for check.py alike."""

import json

import design

WARN, ERROR, IGNORE = "warning", "error", "ignore"

# Rules that do not apply to a board made by a script; every other finding counts, warnings too.
SEVERITIES = {
    "lib_footprint_issues": IGNORE,  # the library of the person who looks at it may be newer
    "silk_over_copper": IGNORE,  # the maker of the board clips silk at pads
    "silk_overlap": IGNORE,
}


def net_class(name, clearance, width, nets):
    return {"name": name, "clearance": clearance, "track_width": width, "via_diameter": 0.8, "via_drill": 0.4, "nets": nets,
            "microvia_diameter": 0.3, "microvia_drill": 0.1, "diff_pair_gap": 0.25, "diff_pair_via_gap": 0.25, "diff_pair_width": 0.2,
            "bus_width": 12.0, "wire_width": 6.0, "line_style": 0, "pcb_color": "rgba(0, 0, 0, 0.000)",
            "schematic_color": "rgba(0, 0, 0, 0.000)"}


def project():
    high = sorted(design.HIGH_VOLTAGE)
    power = sorted(design.POWER_NETS | {"GND"})
    return {
        "board": {"design_settings": {
            "defaults": {"board_outline_line_width": 0.1},
            "rules": {"min_clearance": 0.2, "min_copper_edge_clearance": 0.3, "min_hole_clearance": 0.25, "min_hole_to_hole": 0.25,
                      "min_through_hole_diameter": 0.3, "min_track_width": 0.2, "min_via_annular_width": 0.15, "min_via_diameter": 0.6,
                      "min_silk_clearance": 0.0, "solder_mask_clearance": 0.0, "allow_blind_buried_vias": False, "allow_microvias": False},
            "rule_severities": SEVERITIES}},
        "meta": {"filename": "packbridge.kicad_pro", "version": 1},
        "net_settings": {"classes": [net_class("Default", 0.2, 0.25, []), net_class("Battery", 0.3, 0.6, high),
                                     net_class("Power", 0.2, 0.5, power)],
                         "meta": {"version": 2}},
        "schematic": {"legacy_lib_dir": "", "legacy_lib_list": []},
        "sheets": [["e63e39d7-6ac0-4ffd-8aa3-1841a4541b55", ""]],
        "libraries": {"pinned_footprint_libs": [], "pinned_symbol_libs": []},
    }


def write(path):
    with open(path, "w") as file:
        json.dump(project(), file, indent=2)
        file.write("\n")
