// What happened, newest first, and how long each reason has limited the bank.

import { named, place, reason, UNLIMITED } from './sentences.js';
import { ask, session } from './server.js';
import { dayAndClock, duration, has, make, text } from './text.js';

const $ = (id) => document.getElementById(id);
const PAGE = 40;
const LIMIT_WORDS = { charge_voltage: 'cvl', charge_current: 'ccl', discharge_current: 'dcl' };

let events = [];
let severity = 'info';
let isAtEnd = false;
/// The next page begins below this number.
let lowest;

/// That nothing but the owner's own setting binds is the normal state, not an event.
const isWorthwhile = (event) => event.kind !== 'limit' || !UNLIMITED.has(event.name);

export function startEvents() {
  $('event-more').addEventListener('click', () => load(lowest));
  buildFilter();
}

function buildFilter() {
  $('event-filter').replaceChildren(...[['info', 'events.all'], ['warning', 'events.important']].map(([value, key]) =>
    make('button', { type: 'button', 'aria-pressed': String(value === severity), onclick: () => { severity = value; loadEvents(); } }, text(key))));
}

export async function loadEvents() {
  buildFilter();
  await Promise.all([load(), showLimited()]);
}

async function load(before) {
  const query = new URLSearchParams({ limit: PAGE, severity, ...(before && { before }) });
  try {
    const answer = await ask(`events?${query}`);
    const worthwhile = answer.events.filter(isWorthwhile);
    events = before ? [...events, ...worthwhile] : worthwhile;
    isAtEnd = answer.events.length < PAGE;
    lowest = answer.events.at(-1)?.id;
    show();
  } catch (error) {
    $('event-list').replaceChildren(make('li', { class: 'empty' }, error.message));
  }
}

/// An event from the stream: a new one, or one that has ended.
export function takeEvent(event) {
  const known = events.findIndex((candidate) => candidate.id === event.id);
  if (known >= 0) events[known] = event;
  else if (isWorthwhile(event) && (severity === 'info' || event.severity !== 'info')) events.unshift(event);
  show();
}

function show() {
  $('event-list').replaceChildren(...events.length ? events.map(row) : [make('li', { class: 'empty' }, text('events.none'))]);
  $('event-more').hidden = isAtEnd || !events.length;
}

function row(event) {
  const end = event.ongoing ? text('events.open', { time: duration((Date.now() - event.at_ms) / 1000) })
    : event.until_ms ? text('events.lasted', { time: duration((event.until_ms - event.at_ms) / 1000) }) : '';
  const look = { info: '', warning: 'warn', alarm: 'alarm' }[event.severity];
  const moment = new Date(event.at_ms);
  return make('li', { class: `event ${look}` }, make('span', { class: 'mark' }),
    make('time', { datetime: moment.toISOString(), title: moment.toLocaleString() }, dayAndClock(event.at_ms / 1000)),
    make('span', { class: 'text' }, sentence(event)), make('span', { class: `lasted${event.ongoing ? ' open' : ''}` }, end));
}

/// In the reader's language where the event carries a stable name, otherwise as the server says it.
function sentence(event) {
  if (event.kind === 'limit') return text('event.limited', { limit: text(`limited.${LIMIT_WORDS[event.limit]}`), reason: limitedBy(event) });
  if ((event.kind === 'alarm' || event.kind === 'warning') && event.name && has(`${event.kind}.${event.name}`)) {
    const words = named(event, event.kind), where = place(event);
    return where ? text('alarm.at', { alarm: words, place: where }) : words;
  }
  return event.text.charAt(0).toUpperCase() + event.text.slice(1);
}

/// An event keeps no input value, so the short form: which rule, where.
function limitedBy({ name, rule = name, pack, cell, text: words }) {
  const short = has(`short.${rule}`) ? text(`short.${rule}`) : words ?? reason({ rule, pack, cell });
  const where = place({ pack, cell });
  return where ? `${short} (${where})` : short;
}

async function showLimited() {
  const box = $('limited');
  try {
    if (!session.keepsHistory) return box.replaceChildren(make('p', { class: 'note' }, text('history.none')));
    const { limited: all } = await ask('statistics?days=1');
    const limited = all.filter((entry) => !UNLIMITED.has(entry.rule));
    const longest = limited[0]?.seconds ?? 1;
    box.replaceChildren(...limited.length ? limited.slice(0, 9).map((entry) => {
      const bar = make('i');
      bar.style.width = `${entry.seconds / longest * 100}%`;
      return make('div', { class: 'limited-row' },
        make('p', {}, make('span', {}, `${text(`limited.${LIMIT_WORDS[entry.limit]}`)}: ${limitedBy(entry)}`), make('b', {}, duration(entry.seconds))),
        make('div', { class: 'share', 'aria-hidden': 'true' }, bar));
    }) : [make('p', { class: 'note' }, text('limited.none'))]);
  } catch (error) {
    box.replaceChildren(make('p', { class: 'note' }, error.message));
  }
}
