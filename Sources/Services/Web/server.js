// The way to the server: requests with the CSRF token, the live stream, and who the reader is (docs/openapi.yaml).

/// `keepsHistory`: false when the server has nothing to ask for.
export const session = { role: 'none', login_needed: false, csrf_token: '', keepsHistory: true };

export class Refused extends Error {
  constructor(status, problem) {
    super(problem);
    this.status = status;
  }
}

/// Asks for JSON. Throws `Refused` with the server's sentence, status 0 when the server cannot be reached.
export async function ask(path, { method = 'GET', body } = {}) {
  const headers = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-CSRF-Token'] = session.csrf_token || 'page';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store' });
  } catch (error) {
    throw new Refused(0, error.message);
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Refused(answer.status, content.problem ?? answer.statusText), { after: Number(answer.headers.get('Retry-After')) || undefined });
  return content;
}

export async function whoAmI() {
  return Object.assign(session, { csrf_token: '' }, await ask('session'));
}

/// First and longest pause before the stream is opened again, in ms.
const PAUSES = [500, 8000];

/// Opens the stream and keeps it open. `handlers`: { snapshot, event, health, refused }.
export class Stream {
  constructor(handlers) {
    this.handlers = handlers;
    this.pause = PAUSES[0];
    this.isOpen = false;
  }

  open() {
    this.close();
    const source = this.source = new EventSource('api/v1/stream');
    source.addEventListener('open', () => { this.isOpen = true; });
    for (const kind of ['snapshot', 'event', 'health']) {
      source.addEventListener(kind, (message) => {
        this.pause = PAUSES[0];
        this.handlers[kind](JSON.parse(message.data));
      });
    }
    // EventSource comes back by itself after a cut, but not after a refusal; so the page does it, and asks why.
    source.addEventListener('error', () => {
      if (this.source !== source) return;
      this.close();
      this.timer = setTimeout(() => this.#again(), this.pause);
      this.pause = Math.min(this.pause * 2, PAUSES[1]);
    });
  }

  async #again() {
    try {
      const { login_needed: needed, role } = await whoAmI();
      if (needed && role === 'none') return this.handlers.refused();
    } catch { /* not reachable yet: the stream tries, fails and comes back here */ }
    this.open();
  }

  close() {
    this.isOpen = false;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}
