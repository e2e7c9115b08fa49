// A case for the converter, to be printed: bottom and lid, both without supports.
//   openscad -D 'part="bottom"' -o case-bottom.stl case.scad
// Coordinates of the openings are those of placement.py, seen from above, with y downwards as in KiCad.
part = "both"; // bottom, lid, both (side by side, for a picture)

board = [90, 50];
holes = [[4.5, 4.5], [85.5, 4.5], [4.5, 45.5], [85.5, 45.5]];
thick = 1.6;      // of the board
gap = 0.75;       // between board and wall
wall = 2.0;
floor = 2.0;
stand = 4.0;      // below the board: pins of the sockets
above = 21.0;     // above the board: C1 is the tallest part
lip = 2.0;

inside = [board.x + 2 * gap, board.y + 2 * gap];
outside = [inside.x + 2 * wall, inside.y + 2 * wall];
height = floor + stand + thick + above;
top_of_board = floor + stand + thick;

module rounded(size, r) {
    linear_extrude(size.z) offset(r, $fn = 40) offset(-r) square([size.x, size.y]);
}

// From the board's coordinates to those of the case.
function place(p) = [wall + gap + p.x, wall + gap + board.y - p.y];

module opening_left(y1, y2, h) { // in the wall at the left, from the board upwards
    translate([-1, place([0, y2]).y, top_of_board - 0.5]) cube([wall + 2, y2 - y1, h]);
}
module opening_right(y1, y2, h) {
    translate([outside.x - wall - 1, place([0, y2]).y, top_of_board - 0.5]) cube([wall + 2, y2 - y1, h]);
}
module opening_below(x1, x2, h) { // in the wall at the lower edge of the board
    translate([place([x1, 0]).x, -1, top_of_board - 0.5]) cube([x2 - x1, wall + 2, h]);
}

module bottom() {
    difference() {
        rounded([outside.x, outside.y, height], 4);
        translate([wall, wall, floor]) rounded([inside.x, inside.y, height], 2);
        opening_left(8.4, 21.6, 9);       // J1, the plug of the BMS's cable
        opening_right(15.4, 33.2, 14.5);  // J2, RJ45
        opening_below(68.5, 79.5, 5);     // J3, USB-C with the shell of its plug
        // Air for the supply.
        for (i = [0:6]) translate([place([20 + 4.5 * i, 0]).x, -1, top_of_board + 4]) cube([1.8, wall + 2, 11]);
        for (i = [0:6]) translate([place([20 + 4.5 * i, 0]).x, outside.y - wall - 1, top_of_board + 4]) cube([1.8, wall + 2, 11]);
    }
    for (h = holes) translate([place(h).x, place(h).y, 0]) difference() {
        cylinder(d = 7, h = floor + stand, $fn = 40);
        translate([0, 0, floor]) cylinder(d = 2.6, h = stand + 1, $fn = 30); // screw M3 x 8 cuts its own thread
    }
}

module lid() {
    difference() {
        union() {
            rounded([outside.x, outside.y, wall], 4);
            translate([wall + 0.2, wall + 0.2, wall]) difference() {
                rounded([inside.x - 0.4, inside.y - 0.4, lip], 2);
                translate([1.6, 1.6, -1]) rounded([inside.x - 3.6, inside.y - 3.6, lip + 2], 1);
            }
        }
        for (i = [0:9]) translate([14 + 4.5 * i, 12, -1]) cube([1.8, 20, wall + 2]);
        // Deep enough to be read, from outside: the lid lies on its face while it is printed.
        translate([outside.x - 10, outside.y - 13, -0.1]) mirror([1, 0, 0]) linear_extrude(0.7) text("PackBridge", size = 7, font = "DejaVu Sans:style=Bold");
    }
}

if (part == "bottom") bottom();
if (part == "lid") lid();
if (part == "both") {
    bottom();
    translate([0, outside.y + 12, 0]) lid();
}
