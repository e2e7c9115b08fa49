// Starts the page: language, login, stream; shows every snapshot; says loudly when snapshots stop.

import { showBus } from './bus.js';
import { buildControl, showControl, startControl } from './control.js';
import { loadEvents, startEvents, takeEvent } from './events.js';
import { buildHistory, historyBegan, isHistoryBuilt, startHistory } from './history.js';
import { showOverview } from './overview.js';
import { showPacks } from './packs.js';
import { namePacks } from './sentences.js';
import { ask, session, Stream, whoAmI } from './server.js';
import { duration, exactClock, make, put, speak, text, volts } from './text.js';

const $ = (id) => document.getElementById(id);
const root = document.documentElement;

/// Snapshots come once a second; after this long without one the page calls itself not current, in ms.
const STALE_AFTER = 4000;

let latest = null, arrived = null, linkIsLost = false, beat = 0, reading;

const stream = new Stream({
  snapshot(state) {
    latest = state;
    arrived = performance.now();
    linkIsLost = state.health.link === 'lost';
    root.dataset.ready = 'yes';
    beat ^= 1;
    document.body.dataset.beat = beat; // restarts the animation that would show the veil
    show();
  },
  event: takeEvent,
  health(health) {
    linkIsLost = health.link === 'lost';
    showPulse();
  },
  refused: askForLogin,
});

function show() {
  showPulse();
  if (!latest) return;
  namePacks(latest.packs);
  showOverview(latest);
  showPacks(latest);
  showBus(latest);
  showControl(latest);
  put(document.querySelector('.brand span'), latest.name);
}

/// The state of the connection in the header, the banner, and the title of the browser tab.
function showPulse() {
  const since = arrived === null ? null : performance.now() - arrived;
  const isStale = since === null ? performance.now() > STALE_AFTER : since > STALE_AFTER || linkIsLost;
  const state = isStale ? 'stale' : since === null ? 'waiting' : 'live';
  const pulse = $('pulse');
  pulse.dataset.state = state;
  pulse.dataset.tick = beat;
  put($('pulse-text'), text(`pulse.${state}`) + (isStale && since !== null ? ` ${duration(since / 1000)}` : ''));
  document.body.classList.toggle('stale', isStale);
  const banner = $('stale'), age = latest ? (Date.now() - latest.time_ms) / 1000 : 0;
  const words = !isStale ? '' : !latest ? text('stale.never')
    : text(stream.isOpen ? 'stale.control' : 'stale.page', { clock: exactClock(latest.time_ms / 1000) });
  if (banner.hidden !== !isStale) banner.hidden = !isStale;
  put(banner, words);
  const title = isStale ? `⚠ ${text('stale.title')}` : latest ? `${Math.floor(latest.bank.soc_cpct / 100)} % · ${volts(latest.bank.voltage_mV)}` : '';
  const wanted = [title, latest?.name ?? 'PackBridge'].filter(Boolean).join(' · ');
  if (document.title !== wanted) document.title = wanted;
}

async function language(name) {
  localStorage.setItem('language', name);
  await speak(name);
  $('language').value = name;
  buildControl(preferences);
  if (isHistoryBuilt()) buildHistory();
  loadEvents();
  showFoot();
  show();
}

function theme(name) {
  if (name === 'system') {
    localStorage.removeItem('theme');
    delete root.dataset.theme;
  } else {
    localStorage.setItem('theme', name);
    root.dataset.theme = name;
  }
  buildControl(preferences);
  window.dispatchEvent(new Event('themechange'));
}

const preferences = { onLanguage: language, onTheme: theme };

async function showFoot() {
  try {
    const status = await ask('status'), { history } = status;
    historyBegan(history.oldest_ms);
    session.keepsHistory = history.enabled;
    put($('foot'), text('foot', { version: status.version, database: history.enabled ? text('footHistory', { size: Math.ceil(history.size_bytes / 1e6), most: Math.round(history.maximum_bytes / 1e6) }) : text('footNoHistory') }));
  } catch { /* the banner says that the server is away */ }
}

function askForLogin() {
  const dialog = $('login');
  if (!dialog.open) dialog.showModal();
}

$('login').addEventListener('cancel', (event) => event.preventDefault());
$('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = $('login-password');
  try {
    Object.assign(session, await ask('session', { method: 'POST', body: { password: field.value } }));
    put($('login-error'), '');
    field.value = '';
    $('login').close();
    begin();
  } catch (error) {
    put($('login-error'), error.status === 401 ? text('login.wrong') : error.status === 429 && error.after ? text('login.slow', { time: duration(error.after) }) : error.message);
    field.select();
  }
});
$('logout').addEventListener('click', async () => {
  await ask('session', { method: 'DELETE' }).catch(() => {});
  location.reload();
});

function begin() {
  $('logout').hidden = !session.csrf_token; // only somebody who logged in has one
  stream.open();
  clearInterval(reading);
  reading = setInterval(loadEvents, 60_000);
  showFoot().then(() => { loadEvents(); buildHistory(); });
}

/// Marks the section that is being read in the navigation.
function followSections() {
  const links = [...document.querySelectorAll('.sections a')];
  const mark = (id) => { for (const link of links) if (link.hash === `#${id}`) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current'); };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) mark(entry.target.id);
  }, { rootMargin: '-20% 0px -70% 0px' });
  for (const link of links) observer.observe($(link.hash.slice(1)));
  mark('overview');
}

$('language').addEventListener('change', (event) => language(event.target.value));
$('theme').addEventListener('click', () => theme(getComputedStyle(root).colorScheme === 'dark' ? 'light' : 'dark'));
setInterval(showPulse, 500);
document.addEventListener('visibilitychange', showPulse);

await speak(root.lang === 'de' ? 'de' : 'en');
$('language').value = root.lang;
startControl(preferences);
startEvents();
startHistory();
followSections();
try {
  await whoAmI();
  if (session.login_needed && session.role === 'none') askForLogin(); else begin();
} catch {
  begin();
}
