// The bank at a glance, what the inverter is told and why, alarms, and the health of every connection.

import { named, place, reason, UNLIMITED, waiting } from './sentences.js';
import { age, degrees, duration, make, number, power, put, signed, text, volts } from './text.js';

const $ = (id) => document.getElementById(id);

/// Below this share of the capacity the current is noise of the shunt: neither charging nor discharging.
const IDLE_RATE = 0.003;

export function showOverview(state) {
  showGlance(state);
  showTold(state);
  showAlarms(state);
  showHealth(state);
}

/// Rebuilds the content of `element` only when `signature` changed.
export function refresh(element, signature, build) {
  const key = JSON.stringify(signature) + document.documentElement.lang;
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...build());
}

function showGlance({ bank, packs, commands }) {
  // Before the first reading, and when no pack is heard any more, the numbers of the bank are zeros that nobody measured.
  const isKnown = packs.some((pack) => pack.age_ms !== undefined), isHeard = isKnown && packs.some((pack) => pack.stage !== 'lost');
  const measured = (words) => isKnown ? words : '–';
  const idle = Math.abs(bank.current_mA) < bank.full_mAh * IDLE_RATE;
  const flow = idle ? 'idle' : bank.current_mA > 0 ? 'in' : 'out';
  const tag = $('flow');
  tag.className = `tag ${flow}`;
  put(tag, !isHeard ? '–' : text({ idle: 'glance.idle', in: 'glance.charging', out: 'glance.discharging' }[flow]));
  const soc = bank.soc_cpct / 100;
  put($('soc'), measured(number(soc, soc < 99.95 && soc > 0 ? 1 : 0)));
  const bar = $('soc-bar');
  bar.className = `soc-bar ${flow}${soc < 10 ? ' low' : ''}`;
  bar.firstElementChild.style.width = `${soc}%`;
  const ceiling = commands.find((command) => command.order === 'soc_ceiling');
  refresh(bar, ['ceiling', ceiling?.value], () => {
    const mark = make('u');
    if (ceiling) mark.style.left = `${ceiling.value / 100}%`;
    const fill = make('i');
    fill.style.width = `${soc}%`;
    return ceiling ? [fill, mark] : [fill];
  });
  const [to, seconds] = idle ? ['still'] : bank.current_mA > 0 ? ['full', bank.time_to_full_s] : ['empty', bank.time_to_empty_s];
  put($('soc-note'), !isKnown ? text('glance.unknown') : !isHeard ? text('glance.lost')
    : to === 'still' ? text('glance.still') : seconds === undefined ? '' : text(`glance.${to}`, { time: duration(seconds) }));
  const [watts, unit] = power(bank.power_W);
  const figures = [
    ['voltage', number(bank.voltage_mV / 1000, 2), 'V'],
    ['current', isHeard ? signed(bank.current_mA / 1000, 1) : '–', 'A'],
    ['power', isHeard ? (bank.power_W > 0 ? '+' : '') + watts : '–', unit],
    ['capacity', number(bank.remaining_mAh / 1000), `/ ${number(bank.full_mAh / 1000)} Ah`],
    ['temperature', bank.temperature_dC === undefined ? '–' : number(bank.temperature_dC / 10, 1), '°C'],
    ['cells', bank.cell_delta_mV === undefined ? '–' : number(bank.cell_delta_mV), 'mV'],
    ['charged', number(bank.energy_charged_Wh / 1000, bank.energy_charged_Wh < 1e6 ? 1 : 0), 'kWh'],
    ['discharged', number(bank.energy_discharged_Wh / 1000, bank.energy_discharged_Wh < 1e6 ? 1 : 0), 'kWh'],
  ];
  const list = $('figures');
  refresh(list, 'figures', () => figures.map(([name, , unit]) => make('div', {}, make('dt', {}, text(`glance.${name}`)), make('dd', {}, make('span'), make('small', {}, unit)))));
  figures.forEach(([, value, unit], i) => {
    put(list.children[i].querySelector('span'), measured(value));
    put(list.children[i].querySelector('small'), unit);
  });
}

const PHASES = ['bulk', 'absorb', 'float', 'rest'];
const peaks = { cvl: 0, ccl: 0, dcl: 0 };

/// A round number at or above `value`, for the end of a gauge.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value) * power;
}

function showTold({ limits, phase, control, bank }) {
  const flags = [];
  if (!control.may_transmit) flags.push(['alarm', 'silent']);
  else {
    if (!limits.charge_current.enabled) flags.push(['warn', 'chargeOff']);
    if (!limits.discharge_current.enabled) flags.push(['warn', 'dischargeOff']);
  }
  for (const request of limits.requests) flags.push(['in', request]);
  refresh($('told-flags'), flags, () => flags.map(([look, key]) => make('span', { class: `tag ${look}` }, text(`told.${key}`))));

  const held = phase.name === 'hold', shown = held ? phase.remembered : phase.name;
  const names = shown === 'initial' ? ['initial', ...PHASES] : PHASES;
  refresh($('phases'), [shown, held, names], () => names.map((name, i) => {
    const here = name === shown;
    const label = here && held ? `${text(`phase.${name}`)}: ${text('phase.hold')}` : text(`phase.${name}`);
    return make('li', { 'aria-current': here ? 'step' : null, class: here && held ? 'held' : i < names.indexOf(shown) ? 'past' : null }, label);
  }));
  put($('waiting'), waiting(phase));

  const lowest = limits.discharge_voltage.mV, cells = bank.cells_in_series;
  peaks.cvl = Math.max(peaks.cvl, limits.charge_voltage.mV, bank.voltage_mV);
  const rows = [
    { key: 'cvl', unit: 'V', value: number(limits.charge_voltage.mV / 1000, 1), why: limits.charge_voltage.reason, isZero: false,
      from: lowest - cells * 50, to: peaks.cvl + cells * 25, limit: limits.charge_voltage.mV, actual: bank.voltage_mV,
      left: text('told.lowest', { value: volts(lowest) }), right: '', marker: true },
    current('ccl', limits.charge_current, Math.max(0, bank.current_mA)),
    current('dcl', limits.discharge_current, Math.max(0, -bank.current_mA)),
  ];
  const box = $('limits');
  refresh(box, 'limits', () => rows.map(limitRow));
  rows.forEach((row, i) => fillLimit(box.children[i], row));
}

function current(key, limit, actual) {
  peaks[key] = Math.max(peaks[key], limit.configured_mA ?? 0, limit.mA, actual);
  const most = limit.configured_mA ?? roundUp(peaks[key] / 1000) * 1000;
  return { key, unit: 'A', value: number(limit.mA / 1000, 1), why: limit.reason, isZero: limit.mA === 0, from: 0, to: Math.max(most, actual), limit: limit.mA, actual,
    left: text('told.now', { value: `${number(actual / 1000, 1)} A` }), right: `${number(most / 1000)} A` };
}

function limitRow(row) {
  return make('div', { class: 'limit', 'data-limit': row.key },
    make('div', {}, make('span', { class: 'limit-name' }, make('abbr', {}, row.key.toUpperCase()), text(`told.${row.key}`)), make('span', { class: 'limit-value' }, make('b'), make('small', {}, row.unit))),
    make('div', {}, make('p', { class: 'limit-why' }, make('span'), ' ', make('small')), make('div', { class: `gauge ${row.key === 'dcl' ? 'out' : ''}`, 'aria-hidden': 'true' }, make('i'), make(row.marker ? 'b' : 'u')),
      make('div', { class: 'gauge-scale' }, make('span'), make('span'))));
}

function fillLimit(element, row) {
  const bound = !UNLIMITED.has(row.why?.rule);
  element.className = `limit${row.isZero ? ' zero' : bound ? ' bound' : ''}`;
  put(element.querySelector('.limit-value b'), row.value);
  put(element.querySelector('.limit-why span'), reason(row.why));
  put(element.querySelector('.limit-why small'), bound && row.why.since_ms ? text('told.since', { time: duration((Date.now() - row.why.since_ms) / 1000) }) : '');
  const part = (value) => `${Math.min(100, Math.max(0, (value - row.from) / (row.to - row.from || 1) * 100))}%`;
  const gauge = element.querySelector('.gauge');
  gauge.children[0].style.width = part(row.limit);
  gauge.children[1].style[row.marker ? 'left' : 'width'] = part(row.actual);
  const [left, right] = element.querySelector('.gauge-scale').children;
  put(left, row.left);
  put(right, row.marker ? text('told.now', { value: volts(row.actual, 2) }) : row.right);
}

/// Alarms and warnings of the bank and of every pack, alarms first, each once.
function showAlarms({ bank, packs, warnings }) {
  const lines = new Map();
  const add = (thing, section, red, where) => {
    const words = named(thing, section), line = where ? text('alarm.at', { alarm: words, place: where }) : words;
    if (!lines.has(line)) lines.set(line, red);
  };
  for (const pack of packs) {
    for (const alarm of pack.alarms) add(alarm, 'alarm', true, place({ pack: pack.number }));
    for (const warning of pack.warnings) add(warning, 'warning', false, place({ pack: pack.number }));
  }
  const fromPacks = new Set(packs.flatMap((pack) => [...pack.alarms, ...pack.warnings].map((thing) => thing.name)));
  if (fromPacks.has('bms_lost')) fromPacks.add('communication'); // the same thing in the words of the inverter
  for (const alarm of bank.protections) if (!fromPacks.has(alarm.name)) add(alarm, 'alarm', true);
  for (const alarm of bank.alarms) if (!fromPacks.has(alarm.name)) add(alarm, 'alarm', false);
  if (fromPacks.has('communication')) fromPacks.add('bms_lost'); // the pack's own alarm says which
  for (const warning of warnings) if (!fromPacks.has(warning.name)) add(warning, 'warning', warning.name === 'bms_lost' || warning.name === 'pack_fault');
  const sorted = [...lines].sort((a, b) => b[1] - a[1]);
  refresh($('alarms'), sorted, () => sorted.map(([line, red]) => make('p', { class: `notice${red ? ' red' : ''}` }, line)));
}

/// Heartbeats older than this count as not heard, as in the control process.
const HEARTBEAT_TIMEOUT = 10_000;

function showHealth({ bms_ports: lines, inverters, control, packs }) {
  const many = (key, number, count) => text(`health.${key}`, { number: count > 1 || key === 'bms' ? number : '' }).trim();
  const links = lines.map((line) => {
    // Several packs may share a line: the oldest of their readings counts.
    const here = packs.filter((candidate) => (line.packs ?? [line.number]).includes(candidate.number));
    const pack = here.reduce((worst, other) => !worst || (other.age_ms ?? Infinity) > (worst.age_ms ?? Infinity) ? other : worst, undefined);
    const bad = line.rejections.reduce((sum, entry) => sum + entry.count, 0) + line.timeouts;
    const look = !line.open || pack?.stage === 'lost' ? 'alarm' : pack && pack.stage !== 'fresh' ? 'warn' : '';
    const state = !line.open ? 'closed' : look === 'alarm' ? 'lost' : look ? 'late' : '';
    return { look, name: many('bms', line.number, lines.length), age: age(pack?.age_ms), state: state && text(`health.${state}`), detail: text('health.snapshots', { count: number(line.snapshots), bad: number(bad) }) };
  });
  for (const port of inverters) {
    const look = { active: '', warning: 'warn', passive: 'alarm', bus_off: 'alarm', closed: 'alarm' }[port.state];
    links.push({ look, name: many('inverter', port.number, inverters.length), age: text(`bus_state.${port.state}`), state: '', detail: text('health.sent', { count: number(port.sent), dropped: number(port.dropped) }) });
    const beat = port.heartbeat_age_ms, heard = beat !== undefined && beat <= HEARTBEAT_TIMEOUT;
    links.push({ look: heard ? '' : 'warn', name: text('health.heartbeat') + (inverters.length > 1 ? ` ${port.number}` : ''), age: age(beat), state: heard ? '' : text('health.unheard'), detail: text(heard ? 'health.heard' : 'health.silence') });
  }
  links.push({ look: '', name: text('health.control'), age: text('health.running'), state: '', detail: text('health.uptime', { time: duration(control.uptime_s) }) });
  const box = $('health');
  refresh(box, links.map((link) => link.name), () => links.map((link) =>
    make('div', { class: 'link' }, make('span', { class: 'dot' }), make('strong', {}, link.name), make('span', { class: 'age' }), make('span', { class: 'detail' }))));
  links.forEach((link, i) => {
    const element = box.children[i];
    element.className = `link ${link.look}`;
    put(element.querySelector('.age'), link.age);
    refresh(element.querySelector('.detail'), [link.state, link.detail], () => [link.state && make('span', { class: 'state' }, link.state), link.state && link.detail ? ' · ' : '', link.detail].filter(Boolean));
  });
}
