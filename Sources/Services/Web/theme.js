// Runs before the first paint, so that a chosen theme never flashes the other one. A file of its own: the page's
// Content-Security-Policy allows no inline script.
const chosen = localStorage.getItem('theme');
if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
document.documentElement.lang = localStorage.getItem('language') ?? (navigator.language.startsWith('de') ? 'de' : 'en');
