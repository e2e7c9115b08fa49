// One card for each pack: its cells as bars, its temperatures, its switches, its share of the limits and why.

import { named, reason, UNLIMITED } from './sentences.js';
import { refresh } from './overview.js';
import { age, amps, degrees, make, number, put, signed, text, volts } from './text.js';

const LOOKS = { active: 'in', joining: '', charge_off: 'warn', discharge_off: 'warn', isolated: 'warn', suspect: 'warn', lost: 'alarm', fault: 'alarm', absent: '', excluded: '' };

/// States in which current can flow in at least one direction. Not what the inverter is told to be online: it counts lost packs, too.
const CONDUCTING = new Set(['active', 'charge_off', 'discharge_off']);

export function showPacks({ packs, bank }) {
  put(document.getElementById('packs-note'), text('packs.note', { online: packs.filter((pack) => CONDUCTING.has(pack.state)).length, expected: bank.packs_expected }));
  const box = document.getElementById('pack-cards');
  refresh(box, packs.map((pack) => [pack.number, pack.name]), () => packs.length ? packs.map(card) : [make('p', { class: 'note' }, text('packs.none'))]);
  packs.forEach((pack, i) => fill(box.children[i], pack));
}

function card(pack) {
  const title = `pack-${pack.number}`;
  return make('article', { class: 'card pack-card', 'aria-labelledby': title },
    make('header', { class: 'pack-top' }, make('h3', { id: title }, pack.name), make('span', { class: 'tags flags' }), make('span', { class: 'pack-soc' })),
    make('dl', { class: 'pack-facts' }),
    svg('svg', { class: 'cells', role: 'img' }),
    make('p', { class: 'cell-legend' }),
    make('dl', { class: 'pack-rows' }));
}

function fill(element, pack) {
  const tags = [[LOOKS[pack.state], text(`packState.${pack.state}`)]];
  if (pack.balancing) tags.push(['in', text('pack.balancing')]);
  for (const alarm of pack.alarms) tags.push(['alarm', named(alarm, 'alarm')]);
  for (const warning of pack.warnings) tags.push(['warn', named(warning, 'warning')]);
  refresh(element.querySelector('.tags'), tags, () => tags.map(([look, words]) => make('span', { class: `tag ${look}` }, words)));
  // A pack that was never heard has no numbers, whatever zeros stand for it.
  const measured = (words) => pack.age_ms === undefined ? '–' : words;
  put(element.querySelector('.pack-soc'), measured(`${number(pack.soc_cpct / 100, 1)}\u00a0%`));

  const cells = pack.cells_mV.filter((mV) => mV > 0);
  const facts = [
    ['voltage', measured(volts(pack.voltage_mV, 2))], ['current', measured(`${signed(pack.current_mA / 1000, 1)}\u00a0A`)],
    ['spread', pack.cell_delta_mV === undefined ? '–' : `${number(pack.cell_delta_mV)}\u00a0mV`],
    ['mean', cells.length ? volts(cells.reduce((a, b) => a + b) / cells.length, 3) : '–'], ['age', age(pack.age_ms)],
  ];
  const list = element.querySelector('.pack-facts');
  refresh(list, 'facts', () => facts.map(([name]) => make('div', {}, make('dt', {}, text(`pack.${name}`)), make('dd'))));
  facts.forEach(([, value], i) => put(list.children[i].lastElementChild, value));

  drawCells(element.querySelector('svg'), pack);
  const { highest_cell: high, lowest_cell: low } = pack;
  const legend = high && low ? [
    ['key-high', `${text('pack.high', { value: volts(high.mV, 3) })} (${high.cell})`], ['key-low', `${text('pack.low', { value: volts(low.mV, 3) })} (${low.cell})`],
  ] : [];
  refresh(element.querySelector('.cell-legend'), legend, () => legend.map(([key, words]) => make('span', {}, make('i', { class: key }), words)));
  refresh(element.querySelector('.pack-rows'), rowsOf(pack), () => rows(pack));
}

/// What the rows below the cells depend on.
const rowsOf = (pack) => [pack.charge_limit, pack.discharge_limit, pack.temperatures, pack.charge_switch, pack.discharge_switch, pack.remaining_mAh, pack.cycles, pack.soh_cpct];

function rows(pack) {
  const row = (title, ...content) => make('div', {}, make('dt', {}, title), make('dd', {}, ...content));
  const limit = (bound, isOn) => [make('b', {}, amps(bound.mA)), ' ', ...(isOn === false ? [make('span', { class: 'off' }, text('pack.offState')), ' '] : []), UNLIMITED.has(bound.reason.rule) ? '' : `· ${reason(bound.reason)}`];
  const temperatures = pack.temperatures.map((sensor) => make('span', {}, sensor.place === 'mosfet' ? text('pack.mosfet') : text('pack.sensor', { number: sensor.sensor }), ' ',
    make('b', { class: sensor.dC === undefined ? 'off' : null }, sensor.dC === undefined ? text('pack.broken') : degrees(sensor.dC))));
  return [
    row(text('pack.charge'), ...limit(pack.charge_limit, pack.charge_switch)),
    row(text('pack.discharge'), ...limit(pack.discharge_limit, pack.discharge_switch)),
    row(text('pack.temperatures'), make('span', { class: 'temps' }, ...temperatures)),
    row(text('pack.capacity'), text('pack.capacityText', { remaining: number(ah(pack.remaining_mAh)), full: number(ah(pack.full_mAh)), cycles: number(pack.cycles) }),
      pack.soh_cpct === undefined ? '' : `, ${text('pack.health', { soh: number(pack.soh_cpct / 100) })}`),
  ];
}

const ah = (mAh) => mAh === undefined ? undefined : mAh / 1000;

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/// Room of the drawing around the bars, in pixels.
const ROOM = { left: 40, right: 4, top: 20, bottom: 20 };
/// Cells this near to a limit of the BMS let the limit be drawn.
const NEAR_LIMIT = 150;

function drawCells(drawing, pack) {
  const cells = pack.cells_mV, width = drawing.clientWidth || 520, height = 168;
  const key = JSON.stringify([cells, width, document.documentElement.lang]);
  if (drawing.dataset.key === key) return;
  drawing.dataset.key = key;
  const present = cells.filter((mV) => mV > 0);
  if (!present.length) { drawing.replaceChildren(); return; }
  const highest = Math.max(...present), lowest = Math.min(...present);
  const bounds = [pack.settings?.cell_over_voltage_mV, pack.settings?.cell_under_voltage_mV].filter((mV) => mV && (Math.abs(mV - highest) < NEAR_LIMIT || Math.abs(mV - lowest) < NEAR_LIMIT));
  const low = Math.floor((Math.min(lowest, ...bounds) - 15) / 20) * 20, high = Math.max(low + 80, Math.ceil((Math.max(highest, ...bounds) + 8) / 20) * 20);
  const slot = (width - ROOM.left - ROOM.right) / cells.length, thick = Math.min(30, slot * .68);
  const y = (mV) => ROOM.top + (high - mV) / (high - low) * (height - ROOM.top - ROOM.bottom);
  const parts = [];
  const step = [20, 50, 100, 200, 500, 1000].find((s) => (high - low) / s <= 4.2);
  for (let mV = Math.ceil(low / step) * step; mV <= high; mV += step) {
    parts.push(svg('line', { x1: ROOM.left, x2: width, y1: y(mV), y2: y(mV) }), label(ROOM.left - 7, y(mV) + 4, number(mV / 1000, 2), 'end'));
  }
  cells.forEach((mV, i) => {
    const x = ROOM.left + slot * (i + .5), number_ = i + 1;
    const look = mV === 0 ? ' bad' : number_ === pack.highest_cell?.cell ? ' high' : number_ === pack.lowest_cell?.cell ? ' low' : '';
    const top = mV === 0 ? ROOM.top : y(mV);
    parts.push(svg('rect', { class: `bar${look}`, x: x - thick / 2, y: top, width: thick, height: Math.max(1, height - ROOM.bottom - top), rx: 2.5 }, svg('title', {}, `${number_}: ${volts(mV, 3)}`)));
    if (slot >= 31) parts.push(label(x, top - 6, number(mV / 1000, 3), 'middle', `value${look}`));
    if (slot >= 15 || number_ % 4 === 1) parts.push(label(x, height - 5, String(number_), 'middle'));
  });
  for (const mV of bounds) parts.push(svg('line', { class: 'bound', x1: ROOM.left, x2: width, y1: y(mV), y2: y(mV) }));
  drawing.setAttribute('viewBox', `0 0 ${width} ${height}`);
  drawing.setAttribute('aria-label', text('packs.chart', { pack: pack.number, high: volts(highest, 3), low: volts(lowest, 3), highCell: pack.highest_cell?.cell, lowCell: pack.lowest_cell?.cell }));
  drawing.replaceChildren(...parts);
}

function label(x, y, words, anchor, look = '') {
  return svg('text', { x, y, 'text-anchor': anchor, class: look }, words);
}
