// Commands with a confirmation, orders in force, settings of this page, downloads.

import { order, orderValue } from './sentences.js';
import { refresh } from './overview.js';
import { ask, session } from './server.js';
import { duration, make, text } from './text.js';

const $ = (id) => document.getElementById(id);

/// `value`: [factor to the server's unit, least, most, step, first suggestion, unit]. `lasts`: needs a time to live.
const ORDERS = {
  pause_charge: { lasts: true }, charge_cap: { lasts: true, value: [1000, 0, 2000, 1, 20, 'A'] }, soc_ceiling: { lasts: true, value: [100, 40, 100, 1, 80, '%'] },
  pause_discharge: { lasts: true, isDangerous: true }, discharge_cap: { lasts: true, value: [1000, 0, 2000, 1, 20, 'A'], isDangerous: true },
  full_now: {}, resume: {}, acknowledge: { onlyFor: 'fault' },
};
/// Times to live to choose from, seconds.
const TIMES = [600, 1800, 3600, 4 * 3600, 12 * 3600, 86400];

export function startControl({ onLanguage, onTheme }) {
  $('confirm-no').addEventListener('click', () => $('confirm').close('no'));
  buildControl({ onLanguage, onTheme });
}

export function buildControl({ onLanguage, onTheme }) {
  const select = (id, value, choices, onchange) => make('select', { id, onchange: (event) => onchange(event.target.value) },
    ...choices.map(([key, words]) => make('option', { value: key, selected: key === value }, words)));
  $('settings').replaceChildren(
    make('div', { class: 'setting' }, make('label', { for: 'setting-language' }, text('language')), select('setting-language', document.documentElement.lang, [['en', 'English'], ['de', 'Deutsch']], onLanguage)),
    make('div', { class: 'setting' }, make('label', { for: 'setting-theme' }, text('settings.theme')), select('setting-theme', localStorage.getItem('theme') ?? 'system',
      ['system', 'light', 'dark'].map((name) => [name, text(`settings.${name}`)]), onTheme)),
    make('p', { class: 'note' }, text('settings.rest')));
  $('downloads').replaceChildren(...[
    ['snapshot', 'api/v1/explain.json', 'packbridge-snapshot.json'], ['csv', 'api/v1/export.csv', 'packbridge-history.csv'], ['support', 'api/v1/support.tar', 'packbridge-support.tar'],
  ].map(([name, href, file]) => make('li', {}, make('a', { href, download: file, id: `download-${name}` }, text(`download.${name}`)), make('p', {}, text(`download.${name}Text`)))));
}

export function showControl({ commands, packs, inverters }) {
  const mayCommand = session.role === 'owner';
  const faulty = packs.filter((pack) => pack.state === 'fault').map((pack) => pack.number);
  refresh($('commands'), [mayCommand, faulty], () => [
    ...(mayCommand ? [] : [make('p', { class: 'command note' }, text('control.readOnly'))]),
    ...Object.entries(ORDERS).flatMap(([name, entry]) => entry.onlyFor ? faulty.map((number) => commandRow(name, entry, mayCommand, number)) : [commandRow(name, entry, mayCommand)]),
  ]);
  const left = commands.map((command) => [command, duration(Math.ceil((command.until_ms - Date.now()) / 1000))]);
  refresh($('orders-in-force'), [left, mayCommand], () => left.map(([command, time]) => make('p', { class: 'in-force' },
    [order(command), orderValue(command)].filter(Boolean).join(': '), ' · ', text('command.left', { time }))));
}

function commandRow(name, entry, mayCommand, pack) {
  const title = text(`command.${name}`, { pack }), hint = text(`command.${name}Text`);
  return make('div', { class: 'command' }, make('strong', {}, title), make('p', {}, hint),
    make('button', { type: 'button', class: 'button', disabled: !mayCommand, 'data-order': name, 'aria-label': title, onclick: () => confirm(name, entry, pack) }, text(entry.lasts ? 'command.go' : 'command.do')));
}

function confirm(name, entry, pack) {
  const title = text(`command.${name}`, { pack }), fields = [];
  if (entry.value) {
    const [, min, max, step, first, unit] = entry.value;
    fields.push(make('label', {}, `${text('command.value')} (${unit})`, make('input', { type: 'number', id: 'order-value', min, max, step, value: first, required: true })));
  }
  if (entry.lasts) {
    fields.push(make('label', {}, text('command.time'), make('select', { id: 'order-time' }, ...TIMES.map((seconds) => make('option', { value: seconds, selected: seconds === 3600 }, long(seconds))))));
  }
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text(`command.${name}Text`);
  $('confirm-fields').replaceChildren(...fields);
  const yes = $('confirm-yes');
  yes.textContent = title;
  yes.className = `button ${entry.isDangerous ? 'danger' : 'primary'}`;
  const dialog = $('confirm');
  dialog.returnValue = '';
  dialog.onclose = () => {
    if (dialog.returnValue !== 'yes') return;
    const body = { order: name };
    if (entry.value) body.value = Math.round(Number(fields[0].querySelector('input').value) * entry.value[0]);
    if (pack) body.value = pack;
    if (entry.lasts) body.time_to_live_s = Number($('order-time').value);
    give(title, body);
  };
  dialog.showModal();
}

function long(seconds) {
  if (seconds < 3600) return `${seconds / 60} min`;
  return seconds < 86400 ? `${seconds / 3600} h` : `${seconds / 86400} d`;
}

async function give(title, body) {
  try {
    await ask('commands', { method: 'POST', body });
    toast(text('command.sent', { name: title }));
  } catch (error) {
    toast(text('command.failed', { name: title, why: error.message }), true);
  }
}

/// A message that goes away by itself; errors stay longer.
export function toast(words, isBad = false) {
  const element = make('p', { class: `toast${isBad ? ' bad' : ''}` }, words);
  $('toasts').append(element);
  setTimeout(() => element.remove(), isBad ? 12_000 : 5000);
}
