"""A small maze router on a grid of 0.25 mm and two layers.

It looks for the cheapest way from what is connected already to the next pad of the net (A*), dislikes vias and the lower side (that
is the ground plane), and when there is no way left it goes through the tracks of others, which are then laid anew.
"""

import heapq
import math

STEP = 0.25
VIA, DRILL = 0.8, 0.4
TOP, BOTTOM = 0, 1
STRAIGHT, DIAGONAL, CHANGE, LOWER, THROUGH = 10, 14, 120, 3, 200


class Grid:
    def __init__(self, width, height, edge):
        self.width, self.height, self.edge = width, height, edge
        self.columns, self.rows = int(round(width / STEP)) + 1, int(round(height / STEP)) + 1
        self.size = self.columns * self.rows
        self.fixed = []  # (layers, net, box, clearance): pads, holes, forbidden areas; net None = for nobody
        self.tracks = {}  # net: [(layer, x1, y1, x2, y2, width)], layer None: a via
        self.rules = lambda net: (0.25, 0.2)  # width, clearance

    def cells(self, box, reach):
        """Indices of the cells whose centre is nearer than `reach` to the box (x1, y1, x2, y2)."""
        x1, y1, x2, y2 = box
        found = []
        for row in range(max(0, math.ceil((y1 - reach) / STEP)), min(self.rows - 1, math.floor((y2 + reach) / STEP)) + 1):
            y = row * STEP
            dy = max(y1 - y, 0, y - y2)
            for column in range(max(0, math.ceil((x1 - reach) / STEP)), min(self.columns - 1, math.floor((x2 + reach) / STEP)) + 1):
                x = column * STEP
                dx = max(x1 - x, 0, x - x2)
                if dx * dx + dy * dy < reach * reach - 1e-9:
                    found.append(row * self.columns + column)
        return found

    def line_cells(self, x1, y1, x2, y2, reach):
        length = math.hypot(x2 - x1, y2 - y1)
        found = []
        for row in range(max(0, math.ceil((min(y1, y2) - reach) / STEP)), min(self.rows - 1, math.floor((max(y1, y2) + reach) / STEP)) + 1):
            for column in range(max(0, math.ceil((min(x1, x2) - reach) / STEP)), min(self.columns - 1, math.floor((max(x1, x2) + reach) / STEP)) + 1):
                x, y = column * STEP, row * STEP
                t = 0 if length == 0 else max(0, min(1, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length**2))
                if math.hypot(x - x1 - t * (x2 - x1), y - y1 - t * (y2 - y1)) < reach - 1e-9:
                    found.append(row * self.columns + column)
        return found

    def obstacles(self, net):
        """What is in the way of a net: for tracks by layer, for vias; once for good (bytearray), once as tracks (index: nets)."""
        width, clearance = self.rules(net)
        hard = [bytearray(self.size), bytearray(self.size)]
        hard_via = bytearray(self.size)
        soft = [{}, {}]
        soft_via = {}
        rim = self.edge + width / 2
        for row in range(self.rows):
            for column in range(self.columns):
                x, y = column * STEP, row * STEP
                nearest = min(x, y, self.width - x, self.height - y)
                index = row * self.columns + column
                if nearest < rim:
                    hard[0][index] = hard[1][index] = 1
                if nearest < self.edge + VIA / 2:
                    hard_via[index] = 1
        for layers, owner, box, own in self.fixed:
            if owner == net and owner is not None:
                continue
            gap = max(clearance, own) + 0.03
            for layer in layers:
                for index in self.cells(box, gap + width / 2):
                    hard[layer][index] = 1
            for index in self.cells(box, gap + VIA / 2):
                hard_via[index] = 1
        for owner, pieces in self.tracks.items():
            if owner == net:
                continue
            gap = max(clearance, self.rules(owner)[1]) + 0.03
            for layer, x1, y1, x2, y2, breadth in pieces:
                for one in (TOP, BOTTOM) if layer is None else (layer,):
                    for index in self.line_cells(x1, y1, x2, y2, gap + (width + breadth) / 2):
                        soft[one].setdefault(index, set()).add(owner)
                for index in self.line_cells(x1, y1, x2, y2, gap + (VIA + breadth) / 2):
                    soft_via.setdefault(index, set()).add(owner)
        return hard, hard_via, soft, soft_via

    def search(self, starts, goals, hard, hard_via, soft, soft_via, through, any_bottom=False):
        """The cheapest way from one of `starts` to one of `goals`, both sets of (layer, index); None when there is none."""
        columns = self.columns
        if goals:
            xs = [i % columns for _, i in goals]
            ys = [i // columns for _, i in goals]
            left, right, upper, lower = min(xs), max(xs), min(ys), max(ys)

        def ahead(index):
            if any_bottom:
                return 0
            dx = max(left - index % columns, 0, index % columns - right)
            dy = max(upper - index // columns, 0, index // columns - lower)
            return STRAIGHT * max(dx, dy) + (DIAGONAL - STRAIGHT) * min(dx, dy)

        cost = {node: 0 for node in starts}
        before = {}
        heap = [(ahead(node[1]), node) for node in sorted(starts)]
        heapq.heapify(heap)
        closed = set()
        around = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
        while heap:
            _, node = heapq.heappop(heap)
            if node in closed:
                continue
            closed.add(node)
            layer, index = node
            if node in goals or (any_bottom and layer == BOTTOM):
                way = [node]
                while node in before:
                    node = before[node]
                    way.append(node)
                return way[::-1]
            column, row = index % columns, index // columns
            steps = []
            for dx, dy in around:
                if not (0 <= column + dx < columns and 0 <= row + dy < self.rows):
                    continue
                other = index + dx + dy * columns
                if hard[layer][other] or (dx and dy and (hard[layer][index + dx] or hard[layer][index + dy * columns])):
                    continue
                price = (DIAGONAL if dx and dy else STRAIGHT) + (LOWER if layer == BOTTOM else 0)
                if other in soft[layer] or (dx and dy and (index + dx in soft[layer] or index + dy * columns in soft[layer])):
                    if not through:
                        continue
                    price += THROUGH
                steps.append(((layer, other), price))
            if not hard_via[index] and not hard[1 - layer][index]:
                price = CHANGE
                if index in soft_via:
                    price += THROUGH * 3
                if index not in soft_via or through:
                    steps.append(((1 - layer, index), price))
            for other, price in steps:
                new = cost[node] + price
                if new < cost.get(other, 1 << 60):
                    cost[other] = new
                    before[other] = node
                    heapq.heappush(heap, (new + ahead(other[1]), other))
        return None

    def add(self, net, way):
        """Turns a way into tracks and vias."""
        width = self.rules(net)[0]
        pieces = self.tracks.setdefault(net, [])
        point = lambda node: (node[1] % self.columns * STEP, node[1] // self.columns * STEP)
        begin = 0
        for i in range(1, len(way)):
            if way[i][0] != way[i - 1][0]:
                x, y = point(way[i])
                pieces.append((None, x, y, x, y, VIA))
                begin = i
                continue
            turn = i + 1 == len(way) or way[i + 1][0] != way[i][0] or way[i + 1][1] - way[i][1] != way[i][1] - way[i - 1][1]
            if turn:
                pieces.append((way[i][0], *point(way[begin]), *point(way[i]), width))
                begin = i

    def pad_cells(self, layers, box):
        x1, y1, x2, y2 = box
        middle = ((x1 + x2) / 2, (y1 + y2) / 2)
        inset = min(0.1, (x2 - x1) / 2 - 0.01, (y2 - y1) / 2 - 0.01)
        inner = (x1 + inset, y1 + inset, x2 - inset, y2 - inset)
        found = self.cells(inner, 1e-4)
        # Of a large pad only the middle: a track should not end in its corner.
        if len(found) > 9:
            found.sort(key=lambda i: math.hypot(i % self.columns * STEP - middle[0], i // self.columns * STEP - middle[1]))
            found = found[: max(9, len(found) // 3)]
        return {(layer, i) for layer in layers for i in found}

    def connect(self, net, pads, through=False):
        """Joins all pads of a net; returns the nets that were run over, or None when there is no way at all."""
        hard, hard_via, soft, soft_via = self.obstacles(net)
        groups = [self.pad_cells(layers, box) for layers, box in pads]
        run_over = set()
        done = groups[0]
        rest = groups[1:]
        new = []
        while rest:
            way = self.search(done, set().union(*rest), hard, hard_via, soft, soft_via, through)
            if way is None:
                return None
            for before, (layer, index) in zip([None] + way, way):
                run_over |= soft[layer].get(index, set())
                if before and before[0] != layer:
                    run_over |= soft_via.get(index, set())
            new.append(way)
            reached = [group for group in rest if way[-1] in group]
            rest = [group for group in rest if way[-1] not in group]
            done = done.union(way, *reached)
        for way in new:
            self.add(net, way)
        return run_over

    def drop(self, net, layers, box):
        """A way from a pad down to the plane: a short track and a via. False when there is no place."""
        hard, hard_via, soft, soft_via = self.obstacles(net)
        way = self.search(self.pad_cells(layers, box), set(), hard, hard_via, soft, soft_via, False, any_bottom=True)
        if way is None:
            return False
        self.add(net, way)
        return True
