// Words, numbers and times in the reader's language. A sentence lives in en.json / de.json under a dotted key; {name} is a
// place for a value.

let words = {};
let locale = 'en-GB';

export async function speak(language) {
  const answer = await fetch(`${language}.json`);
  if (!answer.ok) throw new Error(`${language}.json: ${answer.status}`);
  words = await answer.json();
  locale = language === 'de' ? 'de-DE' : 'en-GB';
  formats.clear();
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', text(element.dataset.label));
}

export const has = (key) => find(key) !== undefined;
const find = (key) => key.split('.').reduce((place, part) => place?.[part], words);

/// The sentence `key`; the key itself when nobody has translated it, so that a missing sentence is seen.
export function text(key, values = {}) {
  const sentence = find(key);
  if (typeof sentence !== 'string') return key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '–');
}

const formats = new Map();

/// A number with exactly `digits` decimals; "–" when there is none.
export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const rounded = formats.get(digits).format(value);
  return rounded === formats.get(digits).format(-0) ? formats.get(digits).format(0) : rounded.replace('-', '−');
}

export const signed = (value, digits) => (value > 0 ? '+' : '') + number(value, digits);
export const volts = (mV, digits = 1) => `${number(mV === null || mV === undefined ? null : mV / 1000, digits)}\u00a0V`;
export const amps = (mA, digits = 1) => `${number(mA === null || mA === undefined ? null : mA / 1000, digits)}\u00a0A`;
export const degrees = (tenths) => `${number(tenths === null || tenths === undefined ? null : tenths / 10, 1)}\u00a0°C`;

/// Power in W below 1 kW, else in kW.
export function power(watts) {
  return Math.abs(watts) < 1000 ? [number(watts), 'W'] : [number(watts / 1000, 2), 'kW'];
}

/// A duration for people: two units at most.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)}\u00a0min ${s % 60}\u00a0s` : `${Math.round(s / 60)}\u00a0min`;
  if (s < 86400) return `${Math.floor(s / 3600)}\u00a0h ${String(Math.floor(s % 3600 / 60)).padStart(2, '0')}\u00a0min`;
  return `${Math.floor(s / 86400)}\u00a0d ${Math.floor(s % 86400 / 3600)}\u00a0h`;
}

/// The age of something, from milliseconds; below a second "now" is enough.
export function age(milliseconds) {
  if (milliseconds === null || milliseconds === undefined || milliseconds < 0) return text('age.never');
  return milliseconds < 9950 ? `${number(milliseconds / 1000, 1)}\u00a0s` : duration(milliseconds / 1000);
}

export function clock(seconds, step = 60) {
  const date = new Date(seconds * 1000);
  if (step >= 2592000) return date.toLocaleDateString(locale, { month: 'short', year: '2-digit' });
  if (step >= 86400) return date.toLocaleDateString(locale, { day: 'numeric', month: 'short' });
  if (date.getHours() === 0 && date.getMinutes() === 0 && step >= 3600) return date.toLocaleDateString(locale, { weekday: 'short', day: 'numeric' });
  return date.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', ...(step < 60 && { second: '2-digit' }) });
}

export const dayAndClock = (seconds) => new Date(seconds * 1000).toLocaleString(locale, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
export const exactClock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(locale);

/// Makes an element: `make('p', { class: 'note' }, 'text', child)`. Text is always text, never markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/// Changes a text only when it is another one, so that a selection and a screen reader stay calm.
export function put(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
