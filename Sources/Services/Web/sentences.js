// Turns the stable names of the control logic (docs/openapi.yaml) into sentences: why a limit binds, what a phase waits for.
// A name that has no translation yet falls back to the English text that the server sends with it.

import { amps, degrees, duration, has, number, text, volts } from './text.js';

/// What `input` of a limiter is. Rules that are not listed show none.
const INPUT = {
  runner_cell: cellVolts, cell_high: cellVolts, cell_low: cellVolts, top_latch: cellVolts, empty_latch: cellVolts,
  cold: degrees, cold_latch: degrees, hot: degrees, mosfet_hot: degrees,
  bms_margin: amps, bms_dynamic: amps, measured_share: amps, pack_user_current: amps,
  stale: age, extended_hold: age, hold_after_cut: age, joining: age, enable_delay: age,
};

/// What `amount` of a waiting phase is.
const AMOUNT = {
  cell_voltage: millivolts, rebulk_voltage: millivolts, balancing: millivolts, float_ramp: millivolts, tail_current: amps,
  calm: age, absorb_time: age, full_charge_day: age, rebulk_so_c: percent, temperature: degrees,
};

/// Rules that count sensors, not cells.
const SENSOR_RULES = new Set(['cold', 'cold_latch', 'hot', 'mosfet_hot', 'mosfet_lost', 'no_temperature']);

/// Rules that say "nothing lowers this": the owner's own setting or the ordinary course of a charge.
export const UNLIMITED = new Set(['none', 'user_voltage', 'user_current', 'phase_voltage']);

function cellVolts(mV) { return volts(mV, 3); }
function millivolts(mV) { return `${number(mV)}\u00a0mV`; }
function percent(hundredths) { return `${number(hundredths / 100, 1)}\u00a0%`; }
function age(ms) { return duration(ms / 1000); }

/// What the owner calls the packs, by number.
const packNames = new Map();

/// Takes the names from a snapshot, so that a sentence calls a pack what its card calls it.
export function namePacks(packs) {
  for (const pack of packs) packNames.set(pack.number, pack.name);
}

/// "Cellar left, cell 7"; empty for the whole bank.
export function place(where, isSensor = false) {
  if (!where?.pack) return '';
  const cell = where.cell ?? where.sensor, pack = packNames.get(where.pack) ?? text('place.pack', { pack: where.pack });
  if (!cell) return pack;
  return text(isSensor || where.sensor ? 'place.sensor' : 'place.cell', { pack, cell });
}

export function reason(why) {
  if (!why) return '';
  const key = `reason.${why.rule}`;
  if (!has(key)) return why.text ?? why.rule;
  return text(key, { place: place(why, SENSOR_RULES.has(why.rule)) || text('place.bank'), input: INPUT[why.rule]?.(why.input) ?? '' });
}

export function waiting(state) {
  const key = `waiting.${state.waiting.for}`;
  if (!has(key)) return state.waiting.text;
  return text(key, { amount: AMOUNT[state.waiting.for]?.(state.waiting.amount) ?? '' });
}

/// A named alarm or warning.
export function named(thing, section) {
  return has(`${section}.${thing.name}`) ? text(`${section}.${thing.name}`) : thing.text;
}

export function order(command) {
  return text(`command.${command.order}`, { pack: command.value });
}

export function orderValue(command) {
  if (command.order.endsWith('_cap')) return amps(command.value, 0);
  if (command.order === 'soc_ceiling') return `${number(command.value / 100)} %`;
  return '';
}
