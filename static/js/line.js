// A WebSocket that comes back: connecting, jittered back-off, dead-connection detection and the meaning of close codes.

const CONNECT_TIMEOUT = 10_000;
const REPLY_TIMEOUT = 20_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
// A page asleep for longer than this can no longer trust that its connection is alive.
const SLEEP_LIMIT = 30_000;

/** Close codes with a meaning of their own (docs/protocol.md, "Close codes"). */
export const CLOSE = { DONE: 1000, DRAIN: 1001, TAKEN: 4001 };

/** The address of the socket that belongs to an HTTP origin ('' for the page's own). */
export function socketUrl(server = '') {
  const url = new URL('/ws', server || location.origin);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Exponential back-off, half of it chance, so that a thousand pages do not return in the same instant. */
export function backOff(attempt, random = Math.random) {
  const full = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
  return full / 2 + (random() * full) / 2;
}

/**
 * One lasting line to the server. The owner says hello in `onOpen` and calls `settled()` when the server took it;
 * only then does the back-off start again from the beginning.
 */
export class Line {
  #url;
  #handlers;
  #finals;
  #socket = null;
  #attempt = 0;
  #wanted = false;
  #retryTimer;
  #connectTimer;
  #replyTimer;
  #hiddenSince = 0;
  #forget = null;

  /**
   * @param {string} url
   * @param {object} handlers
   * @param {() => void} handlers.onOpen the socket is open: say hello
   * @param {(frame: object) => void} handlers.onFrame one parsed message
   * @param {() => void} handlers.onDown lost, and coming back by itself
   * @param {(code: number) => void} handlers.onEnd closed for good by the server
   * @param {number[]} finals the close codes that mean "for good"; after all others the line comes back
   */
  constructor(url, handlers, finals) {
    this.#url = url;
    this.#handlers = handlers;
    this.#finals = finals;
  }

  get isOpen() {
    return this.#socket?.readyState === 1; // OPEN
  }

  /** Connects and stays connected until `close` or a final close code. */
  open() {
    this.#wanted = true;
    this.#watchPage();
    if (!this.#socket) this.#connect();
  }

  close() {
    this.#wanted = false;
    this.#forget?.();
    this.#forget = null;
    this.#drop();
  }

  /** Drops what there is and connects anew, now: for when the connection may be dead without saying so. */
  reopen() {
    this.#drop();
    this.open();
  }

  /** Sends a frame that the server must answer; silence means that the line is dead. */
  send(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    this.#replyTimer ??= setTimeout(() => this.#lost(backOff(this.#attempt++)), REPLY_TIMEOUT);
    return true;
  }

  /** The hello was taken: the next loss starts with a short delay again. */
  settled() {
    this.#attempt = 0;
  }

  /** The server wants no hello before so many seconds have passed. */
  pause(seconds) {
    this.#lost(seconds * 1000 + backOff(1));
  }

  #connect() {
    this.#drop();
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#connectTimer = setTimeout(() => this.#lost(backOff(this.#attempt++)), CONNECT_TIMEOUT);
    // A socket that was dropped still speaks for a while; only the present one is listened to.
    const current = (handle) => (event) => socket === this.#socket && handle(event);
    socket.addEventListener('open', current(() => this.#opened()));
    socket.addEventListener('message', current((event) => this.#received(event.data)));
    socket.addEventListener('close', current((event) => this.#closed(event.code)));
  }

  #opened() {
    clearTimeout(this.#connectTimer);
    this.#handlers.onOpen();
  }

  #received(data) {
    clearTimeout(this.#replyTimer);
    this.#replyTimer = undefined;
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return; // The server sends JSON only; what is not JSON is not for us.
    }
    if (frame && typeof frame === 'object') this.#handlers.onFrame(frame);
  }

  #closed(code) {
    if (this.#finals.includes(code)) {
      this.close();
      this.#handlers.onEnd(code);
    } else {
      // A draining server has neighbours that are up: come back soon, but not all at once.
      this.#lost(code === CLOSE.DRAIN ? 200 + Math.random() * 2800 : backOff(this.#attempt++));
    }
  }

  #lost(delay) {
    this.#drop();
    if (!this.#wanted) return;
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
    this.#handlers.onDown();
  }

  #drop() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#replyTimer);
    this.#replyTimer = undefined;
    const socket = this.#socket;
    this.#socket = null;
    // `close()` of a connecting socket logs an error in some browsers, but leaving it open would leak it.
    if (socket && socket.readyState < 2) socket.close();
  }

  /** Comes back at once when the network or the page does, rather than at the end of a long delay. */
  #watchPage() {
    if (this.#forget || typeof document === 'undefined') return;
    const online = () => this.#comeBack();
    const offline = () => this.#lost(LONGEST_DELAY);
    const visibility = () => {
      if (document.visibilityState === 'hidden') {
        this.#hiddenSince = Date.now();
      } else if (!this.isOpen || Date.now() - this.#hiddenSince > SLEEP_LIMIT) {
        this.#comeBack();
      }
    };
    addEventListener('online', online);
    addEventListener('offline', offline);
    document.addEventListener('visibilitychange', visibility);
    this.#forget = () => {
      removeEventListener('online', online);
      removeEventListener('offline', offline);
      document.removeEventListener('visibilitychange', visibility);
    };
  }

  #comeBack() {
    if (!this.#wanted) return;
    this.#drop();
    this.#handlers.onDown();
    this.#connect();
  }
}
