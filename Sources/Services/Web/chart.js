// Time charts on a canvas: several below each other share one time axis, one cursor and one zoom. Limits are drawn behind the
// values as a band. A place without data stays empty: a gap is never bridged by a line.

import { clock, dayAndClock, number } from './text.js';

const LEFT = 52, RIGHT = 14, TOP = 8, BOTTOM = 20;

/// Steps of the time axis in seconds, and how a tick is written.
const TIME_STEPS = [5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];

export class ChartStack {
  /// `charts`: [{ id, title, unit, digits, lines: [{ key, label, color, fill? }], band?: { low, high, label }, spread?: { low, high, color } }]
  constructor(container, charts, onRange) {
    this.container = container;
    this.onRange = onRange;
    this.data = { time: [], columns: {}, step: 60 };
    this.cursor = null;
    this.charts = charts.map((spec, index) => this.#build(spec, index === charts.length - 1));
    new ResizeObserver(() => this.draw()).observe(container);
    window.addEventListener('themechange', () => this.draw());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  #build(spec, isLast) {
    const root = document.createElement('div');
    root.className = 'chart';
    root.innerHTML = '<div class="chart-head"><strong></strong><span class="keys"></span></div><canvas tabindex="0" role="img"></canvas>';
    const canvas = root.querySelector('canvas');
    this.container.append(root);
    const chart = { spec, root, canvas, isLast, keys: root.querySelector('.keys') };
    canvas.dataset.chart = spec.id;
    canvas.addEventListener('pointerdown', (event) => this.#press(event, chart));
    canvas.addEventListener('pointermove', (event) => this.#hover(event));
    canvas.addEventListener('pointerleave', () => { if (!this.selection) { this.cursor = null; this.draw(); } });
    canvas.addEventListener('pointerup', (event) => this.#release(event));
    canvas.addEventListener('pointercancel', () => { this.selection = null; this.draw(); });
    canvas.addEventListener('dblclick', () => this.onRange(null));
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('keydown', (event) => this.#key(event));
    return chart;
  }

  /// `from`, `to`: seconds since 1970. `columns`: name → array of numbers, null where nothing was measured.
  show(data, from, to) {
    Object.assign(this, { data, from, to });
    this.draw();
  }

  #time(event) {
    const box = event.target.getBoundingClientRect();
    const part = (event.clientX - box.left - LEFT) / Math.max(1, box.width - LEFT - RIGHT);
    return this.from + Math.min(1, Math.max(0, part)) * (this.to - this.from);
  }

  #press(event) {
    if (event.button) return;
    event.target.setPointerCapture(event.pointerId);
    this.selection = { start: this.#time(event), x: event.clientX };
  }

  #hover(event) {
    this.cursor = this.#time(event);
    if (this.selection) this.selection.end = this.cursor;
    this.draw();
  }

  #release(event) {
    const selection = this.selection;
    this.selection = null;
    if (!selection || Math.abs(event.clientX - selection.x) < 6) return this.draw();
    const end = this.#time(event);
    this.onRange([Math.min(selection.start, end), Math.max(selection.start, end)]);
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the plain wheel scrolls the page
    event.preventDefault();
    this.#zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, this.#time(event));
  }

  #zoom(factor, center) {
    this.onRange([center - (center - this.from) * factor, center + (this.to - center) * factor]);
  }

  #key(event) {
    const span = this.to - this.from, middle = (this.from + this.to) / 2;
    switch (event.key) {
      case '+': case '=': this.#zoom(0.5, middle); break;
      case '-': this.#zoom(2, middle); break;
      case 'ArrowLeft': this.onRange([this.from - span / 4, this.to - span / 4]); break;
      case 'ArrowRight': this.onRange([this.from + span / 4, this.to + span / 4]); break;
      case '0': case 'Escape': this.onRange(null); break;
      default: return;
    }
    event.preventDefault();
  }

  draw() {
    if (this.from === undefined) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const index = this.cursor === null ? -1 : nearest(this.data.time, this.cursor, this.data.step * 2);
    for (const chart of this.charts) this.#drawOne(chart, color, index);
  }

  #drawOne(chart, color, index) {
    const { canvas, spec } = chart;
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const ink = canvas.getContext('2d');
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.clearRect(0, 0, width, height);
    ink.font = '11.5px ' + getComputedStyle(canvas).fontFamily;

    const { time, columns, step } = this.data;
    const [low, high] = this.#extent(spec);
    const area = { left: LEFT, right: width - RIGHT, top: TOP, bottom: height - BOTTOM };
    const x = (t) => area.left + (t - this.from) / (this.to - this.from) * (area.right - area.left);
    const y = (v) => area.bottom - (v - low) / (high - low) * (area.bottom - area.top);

    ink.textBaseline = 'middle';
    ink.lineWidth = 1;
    for (const tick of ticks(low, high, 4)) {
      ink.strokeStyle = color(tick === 0 && low < 0 ? '--line-strong' : '--line');
      line(ink, area.left, Math.round(y(tick)) + .5, area.right, Math.round(y(tick)) + .5);
      ink.fillStyle = color('--soft');
      ink.textAlign = 'right';
      ink.fillText(number(tick, tickDigits(low, high)), area.left - 8, y(tick));
    }
    this.#timeAxis(ink, x, area, color);

    ink.save();
    ink.beginPath();
    ink.rect(area.left, area.top - 2, area.right - area.left, area.bottom - area.top + 4);
    ink.clip();
    if (spec.band) this.#band(ink, time, columns[spec.band.low], columns[spec.band.high], x, y, step, color, area);
    for (const trace of spec.lines) {
      if (trace.low) region(ink, time, columns[trace.low], columns[trace.high], x, y, step, color(trace.color), .22);
      if (trace.fill) this.#fill(ink, trace, x, y, color);
      ink.strokeStyle = color(trace.color);
      ink.lineWidth = 1.8;
      ink.lineJoin = 'round';
      trail(ink, time, columns[trace.key], x, y, step, false);
    }
    if (index >= 0) {
      ink.strokeStyle = color('--line-strong');
      ink.lineWidth = 1;
      line(ink, x(time[index]), area.top, x(time[index]), area.bottom);
      for (const trace of spec.lines) {
        const value = columns[trace.key]?.[index];
        if (value === null || value === undefined) continue;
        ink.fillStyle = color(trace.color);
        ink.beginPath();
        ink.arc(x(time[index]), y(value), 3.5, 0, 7);
        ink.fill();
      }
    }
    if (this.selection?.end) {
      const [a, b] = [x(this.selection.start), x(this.selection.end)];
      ink.fillStyle = color('--accent');
      ink.globalAlpha = .16;
      ink.fillRect(Math.min(a, b), area.top, Math.abs(a - b), area.bottom - area.top);
      ink.globalAlpha = 1;
    }
    ink.restore();
    this.#head(chart, color, index);
  }

  /// From zero to the value: teal above (into the battery), blue below (out of it).
  #fill(ink, trace, x, y, color) {
    const { time, columns, step } = this.data, column = columns[trace.key];
    const zero = column?.map(() => 0), part = (bound) => column?.map((v) => v === null ? null : bound(v, 0));
    region(ink, time, zero, part(Math.max), x, y, step, color('--in'), .2);
    region(ink, time, part(Math.min), zero, x, y, step, color('--out'), .25);
  }

  /// Limits behind the values: what is outside of them is shaded, their edges are drawn as steps.
  #band(ink, time, low, high, x, y, step, color, area) {
    region(ink, time, low, high, x, y, step, color('--line-strong'), .1);
    ink.setLineDash([4, 3]);
    ink.lineWidth = 1.1;
    ink.strokeStyle = color('--warn-mark');
    for (const column of [low, high]) trail(ink, time, column, x, y, step, true);
    ink.setLineDash([]);
  }

  #head(chart, color, index) {
    const { spec } = chart, { time, columns } = this.data;
    chart.root.querySelector('strong').textContent = `${spec.title}, ${spec.unit}` + (index >= 0 ? `, ${dayAndClock(time[index])}` : '');
    const entries = [...spec.lines, ...(spec.band ? [{ key: spec.band.low, label: spec.band.lowLabel, color: '--warn-mark' }, { key: spec.band.high, label: spec.band.highLabel, color: '--warn-mark' }] : [])];
    chart.keys.replaceChildren(...entries.filter((entry) => columns[entry.key]).map((entry) => {
      const item = document.createElement('span'), mark = document.createElement('i'), value = document.createElement('b');
      mark.style.background = color(entry.color);
      const at = index >= 0 ? columns[entry.key][index] : lastNumber(columns[entry.key]);
      value.textContent = at === null || at === undefined ? '–' : number(at, spec.digits);
      item.append(mark, entry.label + ' ', value);
      return item;
    }));
    const summary = spec.lines.map((trace) => {
      const seen = (columns[trace.key] ?? []).filter((v) => v !== null);
      if (!seen.length) return `${trace.label}: –`;
      return `${trace.label}: ${number(seen.reduce((a, b) => Math.min(a, b)), spec.digits)} … ${number(seen.reduce((a, b) => Math.max(a, b)), spec.digits)} ${spec.unit}`;
    });
    const label = `${spec.title}. ${dayAndClock(this.from)} – ${dayAndClock(this.to)}. ${summary.join('; ')}`;
    if (chart.canvas.getAttribute('aria-label') !== label) chart.canvas.setAttribute('aria-label', label);
  }

  /// The range of the values; the limits too, unless they would flatten the values.
  #extent(spec) {
    if (spec.fixed) return spec.fixed;
    const inside = (key) => (this.data.columns[key] ?? []).filter((v, i) => v !== null && this.data.time[i] >= this.from && this.data.time[i] <= this.to);
    const span = (keys, start) => keys.flatMap(inside).reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], start);
    const values = span(spec.lines.flatMap((trace) => [trace.key, trace.low, trace.high]).filter(Boolean), [Infinity, -Infinity]);
    let [low, high] = Number.isFinite(values[0]) ? values : [0, 1];
    if (spec.band) {
      const [bottom, top] = span([spec.band.low, spec.band.high], [low, high]);
      const room = Math.max(high - low, spec.least ?? 0) * 1.2;
      low = Math.max(bottom, low - room);
      high = Math.min(top, high + room);
    }
    const least = spec.least ?? 1e-3;
    if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
    const margin = (high - low) * .07;
    return [low - margin, high + margin];
  }

  #timeAxis(ink, x, area, color) {
    const wanted = Math.max(2, (area.right - area.left) / 95);
    const step = TIME_STEPS.find((s) => (this.to - this.from) / s <= wanted) ?? TIME_STEPS.at(-1);
    const offset = new Date(this.from * 1000).getTimezoneOffset() * 60;
    ink.textAlign = 'center';
    for (let t = Math.ceil((this.from - offset) / step) * step + offset; t <= this.to; t += step) {
      ink.strokeStyle = color('--line');
      ink.globalAlpha = .6;
      line(ink, Math.round(x(t)) + .5, area.top, Math.round(x(t)) + .5, area.bottom);
      ink.globalAlpha = 1;
      ink.fillStyle = color('--soft');
      const text = clock(t, step);
      const half = ink.measureText(text).width / 2;
      ink.fillText(text, Math.min(area.right - half + 8, Math.max(area.left + half, x(t))), area.bottom + 12);
    }
  }
}

function line(ink, x1, y1, x2, y2) {
  ink.beginPath();
  ink.moveTo(x1, y1);
  ink.lineTo(x2, y2);
  ink.stroke();
}

/// Strokes a column; lifts the pen at nulls and where the time jumps. `steps`: horizontal until the next value.
function trail(ink, time, column, x, y, step, steps) {
  if (!column) return;
  ink.beginPath();
  let before = null;
  for (let i = 0; i < time.length; i++) {
    const value = column[i];
    if (value === null || value === undefined) { before = null; continue; }
    if (before === null || time[i] - time[before] > step * 2.5) ink.moveTo(x(time[i]), y(value));
    else {
      if (steps) ink.lineTo(x(time[i]), y(column[before]));
      ink.lineTo(x(time[i]), y(value));
    }
    before = i;
  }
  ink.stroke();
}

/// Fills between two columns, one polygon for each stretch without a gap.
function region(ink, time, low, high, x, y, step, color, alpha) {
  if (!low || !high) return;
  ink.fillStyle = color;
  ink.globalAlpha = alpha;
  let start = 0;
  const missing = (i) => low[i] === null || high[i] === null || low[i] === undefined || high[i] === undefined;
  const close = (end) => {
    if (end - start < 2) return;
    ink.beginPath();
    for (let i = start; i < end; i++) ink.lineTo(x(time[i]), y(high[i]));
    for (let i = end - 1; i >= start; i--) ink.lineTo(x(time[i]), y(low[i]));
    ink.fill();
  };
  for (let i = 0; i < time.length; i++) {
    if (missing(i)) { close(i); start = i + 1; }
    else if (i > start && time[i] - time[i - 1] > step * 2.5) { close(i); start = i; }
  }
  close(time.length);
  ink.globalAlpha = 1;
}

export function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw) * power;
  const list = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) list.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return list;
}

const tickDigits = (low, high) => Math.max(0, Math.min(3, Math.ceil(-Math.log10((high - low) / 4))));
const lastNumber = (column) => column.findLast((v) => v !== null);

function nearest(time, wanted, reach) {
  let a = 0, b = time.length - 1;
  if (b < 0) return -1;
  while (b - a > 1) {
    const middle = (a + b) >> 1;
    if (time[middle] < wanted) a = middle; else b = middle;
  }
  const best = wanted - time[a] < time[b] - wanted ? a : b;
  return Math.abs(time[best] - wanted) <= reach ? best : -1;
}
