// The frames as the inverter sees them.

import { refresh } from './overview.js';
import { make, number, put, text } from './text.js';

export function showBus({ inverters }) {
  put(document.getElementById('bus-note'), text('bus.note'));
  const box = document.getElementById('ports');
  refresh(box, inverters.map((port) => [port.number, port.dialect]), () => inverters.map(card));
  inverters.forEach((port, i) => fill(box.children[i], port));
}

const COUNTERS = ['sent', 'dropped', 'received', 'heartbeats', 'bus_offs'];

function card(port) {
  const title = `port-${port.number}`;
  return make('article', { class: 'card port', 'aria-labelledby': title },
    make('header', { class: 'port-top' }, make('h3', { id: title }, `${text('health.inverter', { number: port.number })}: ${port.dialect}`), make('span', { class: 'tag' }),
      make('p', { class: 'port-counts' }, ...COUNTERS.map((name) => make('span', {}, make('b'), ` ${text(`bus.${name}`)}`)))),
    make('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-labelledby': title }, make('table', { class: 'frames' },
      make('thead', {}, make('tr', {}, ...['frame', 'bytes', 'meaning'].map((name) => make('th', { scope: 'col' }, text(`bus.${name}`))))), make('tbody'))));
}

const before = new Map();

function fill(element, port) {
  const tag = element.querySelector('.tag');
  tag.className = `tag ${{ active: 'in', warning: 'warn' }[port.state] ?? 'alarm'}`;
  put(tag, text(`bus_state.${port.state}`));
  COUNTERS.forEach((name, i) => put(element.querySelectorAll('.port-counts b')[i], number(port[name])));
  const body = element.querySelector('tbody');
  refresh(body, port.frames, () => port.frames.length ? port.frames.map((frame) => frameRow(port.number, frame)) : [make('tr', {}, make('td', { colspan: 3 }, text('bus.none')))]);
}

function frameRow(port, frame) {
  const key = `${port}.${frame.id}`, bytes = frame.data.match(/../g) ?? [], old = before.get(key) ?? bytes;
  before.set(key, bytes);
  return make('tr', {},
    make('td', { class: 'mono' }, `0x${frame.id}`),
    make('td', { class: 'mono' }, ...bytes.flatMap((byte, i) => [make('span', { class: byte === old[i] ? null : 'changed' }, byte), ' '])),
    make('td', {}, frame.signals.length ? make('p', { class: 'signals' }, ...signals(frame)) : make('span', { class: 'note' }, ascii(bytes))));
}

/// Bits that complain. Those that are clear are only counted: what matters is what the inverter is warned of.
const FLAG = /^(Prot|Alarm|Warn|Fault|Err)/;

function signals(frame) {
  const clear = frame.signals.filter(({ name, value }) => FLAG.test(name) && value === '0').length;
  const shown = frame.signals.filter(({ name, value }) => !FLAG.test(name) || value !== '0').map(signal);
  return clear ? [...shown, make('span', {}, text('bus.clear', { count: clear }))] : shown;
}

function signal({ name, value }) {
  return make('span', { class: FLAG.test(name) ? 'set' : null }, words(name), make('b', {}, value));
}

/// "ChargeVoltageLimit" → "Charge voltage limit".
function words(name) {
  const spaced = name.replaceAll('_', ' ').replace(/([a-z])([A-Z])/g, '$1 $2').replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2');
  return spaced[0] + spaced.slice(1).replace(/\b[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase());
}

function ascii(bytes) {
  const letters = bytes.map((byte) => parseInt(byte, 16)).filter((code) => code >= 32 && code < 127);
  return letters.length ? `“${String.fromCharCode(...letters).trim()}”` : '';
}
