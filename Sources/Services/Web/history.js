// The history: day, week, month, year, and whatever is zoomed into. The limits that the inverter was told lie behind the values.

import { ChartStack } from './chart.js';
import { ask, session } from './server.js';
import { make, text } from './text.js';

const $ = (id) => document.getElementById(id);
const SPANS = { hour: 3600, day: 86400, week: 7 * 86400, month: 31 * 86400, year: 366 * 86400 };
/// A shorter piece of time than this holds less than three samples.
const SHORTEST = 30;
/// A history shorter than this is shown by the hour at first, seconds.
const YOUNG = 3 * 3600;
/// While the end of the view is "now", it is read again this often, in ms.
const REFRESH = { hour: 10_000, day: 30_000, week: 120_000, month: 600_000, year: 600_000 };

/// Factor from the stored integer to the unit that is shown.
const SCALE = { mV: 1e-3, mA: 1e-3, dC: 0.1, cpct: 0.01, W: 1e-3, Wh: 1e-3, count: 1 };

/// Columns of the charts: name → [series, which of minimum, mean, maximum, sign].
const COLUMNS = {
  soc: ['bank.soc', 2], power: ['bank.power', 2], powerLow: ['bank.power', 1], powerHigh: ['bank.power', 3],
  current: ['bank.current', 2], currentLow: ['bank.current', 1], currentHigh: ['bank.current', 3], ccl: ['limit.charge_current', 2], dcl: ['limit.discharge_current', 2, -1],
  voltage: ['bank.voltage', 2], voltageLow: ['bank.voltage', 1], voltageHigh: ['bank.voltage', 3], cvl: ['limit.charge_voltage', 2], dvl: ['limit.discharge_voltage', 2],
  cellHigh: ['bank.highest_cell', 3], cellLow: ['bank.lowest_cell', 1],
  warmest: ['bank.highest_temperature', 3], coldest: ['bank.lowest_temperature', 1],
};
export const SERIES = [...new Set(Object.values(COLUMNS).map(([series]) => series))];

const specs = () => [
  { id: 'soc', title: text('history.soc'), unit: '%', digits: 1, fixed: [0, 102], lines: [{ key: 'soc', label: text('history.bank'), color: '--in', fill: true }] },
  { id: 'current', title: text('history.current'), unit: 'A', digits: 1, least: 10, lines: [{ key: 'current', low: 'currentLow', high: 'currentHigh', label: text('history.bank'), color: '--ink', fill: true }], band: { low: 'dcl', high: 'ccl', lowLabel: 'DCL', highLabel: 'CCL' } },
  { id: 'power', title: text('history.power'), unit: 'kW', digits: 2, least: 0.5, lines: [{ key: 'power', low: 'powerLow', high: 'powerHigh', label: text('history.bank'), color: '--ink', fill: true }] },
  { id: 'voltage', title: text('history.voltage'), unit: 'V', digits: 2, least: 1, lines: [{ key: 'voltage', low: 'voltageLow', high: 'voltageHigh', label: text('history.bank'), color: '--ink' }], band: { low: 'dvl', high: 'cvl', lowLabel: 'DVL', highLabel: 'CVL' } },
  { id: 'cells', title: text('history.cells'), unit: 'V', digits: 3, least: 0.05, lines: [{ key: 'cellHigh', low: 'cellLow', high: 'cellHigh', label: text('history.highestCell'), color: '--warn-mark' }, { key: 'cellLow', label: text('history.lowestCell'), color: '--out' }] },
  { id: 'temperature', title: text('history.temperature'), unit: '°C', digits: 1, least: 5, lines: [{ key: 'warmest', label: text('history.warmest'), color: '--warn-mark' }, { key: 'coldest', label: text('history.coldest'), color: '--out' }] },
];

const view = { range: 'day', end: null, zoom: null };
let stack, timer, asked = 0;

export function startHistory() {
  $('earlier').addEventListener('click', () => move(-1));
  $('later').addEventListener('click', () => move(1));
  $('now').addEventListener('click', () => { Object.assign(view, { end: null, zoom: null }); loadHistory(); });
}

/// Also when the language changes: titles are part of the charts.
export function buildHistory() {
  $('charts').replaceChildren(make('p', { class: 'empty', hidden: true }));
  stack = new ChartStack($('charts'), specs(), zoom);
  $('charts').querySelector('.chart').classList.add('first');
  loadHistory();
}

/// A young history begins with the hour: two minutes of data on the axis of a day are no picture.
export function historyBegan(oldest) {
  if (stack || !oldest || Date.now() / 1000 - oldest / 1000 > YOUNG) return;
  view.range = 'hour';
}

export const isHistoryBuilt = () => stack !== undefined;

function span() {
  if (view.zoom) return view.zoom;
  const end = view.end ?? Date.now() / 1000;
  return [end - SPANS[view.range], end];
}

function move(direction) {
  const [from, to] = span(), shift = (to - from) * direction * (view.zoom ? 0.5 : 1);
  zoomTo([from + shift, to + shift]);
}

function zoom(range) {
  if (!range) { view.zoom = null; view.end = null; return loadHistory(); }
  zoomTo(range);
}

function zoomTo([from, to]) {
  const now = Date.now() / 1000;
  if (to - from < SHORTEST) [from, to] = [(from + to - SHORTEST) / 2, (from + to + SHORTEST) / 2];
  if (to - from > SPANS.year * 3) from = to - SPANS.year * 3;
  if (to > now) [from, to] = [from - (to - now), now];
  view.zoom = [from, to];
  loadHistory();
}

function showRanges() {
  $('ranges').replaceChildren(...Object.keys(SPANS).map((name) => make('button', {
    type: 'button', 'aria-pressed': String(!view.zoom && view.range === name), onclick: () => { Object.assign(view, { range: name, zoom: null, end: null }); loadHistory(); },
  }, text(`history.${name}`))));
}

export async function loadHistory() {
  if (!stack) return;
  clearTimeout(timer);
  showRanges();
  const [from, to] = span(), number = ++asked;
  const query = `series=${SERIES.join(',')}&from=${Math.floor(from * 1000)}&to=${Math.ceil(to * 1000)}`;
  $('csv').href = `api/v1/export.csv?${query}`;
  $('download-csv')?.setAttribute('href', `api/v1/export.csv?${query}`);
  const note = $('charts').querySelector('.empty');
  $('csv').hidden = !session.keepsHistory;
  if (!session.keepsHistory) {
    note.hidden = false;
    note.textContent = text('history.none');
    return;
  }
  try {
    const points = Math.min(1500, Math.max(200, Math.round($('charts').clientWidth)));
    const answer = await ask(`history?${query}&points=${points}`);
    if (number !== asked) return; // a newer question is on its way
    const data = columns(answer);
    stack.show(data, from, to);
    note.hidden = data.time.length > 0;
    note.textContent = text('history.empty');
  } catch (error) {
    note.hidden = false;
    note.textContent = text('history.failed', { why: error.message });
  }
  if (!view.zoom && view.end === null) timer = setTimeout(loadHistory, REFRESH[view.range]);
}

/// The points of all series on one common axis of time.
function columns({ series, step_ms: step }) {
  const byName = new Map(series.map((one) => [one.name, one]));
  const moments = new Map();
  for (const { points } of series) for (const [time] of points) moments.set(time, 0);
  const time = [...moments.keys()].sort((a, b) => a - b);
  time.forEach((moment, i) => moments.set(moment, i));
  const result = {};
  for (const [column, [name, which, sign = 1]] of Object.entries(COLUMNS)) {
    const one = byName.get(name);
    if (!one) continue;
    const factor = (SCALE[one.unit] ?? 1) * sign;
    const values = result[column] = new Array(time.length).fill(null);
    for (const point of one.points) values[moments.get(point[0])] = point[which] * factor;
  }
  return { time: time.map((moment) => moment / 1000), columns: result, step: step / 1000 };
}
