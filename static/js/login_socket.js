// The browser's side of a pairing (docs/protocol.md, "Browser frames"): readyLogin, the ask, the answer, and resuming all of it
// after a lost connection or a reload.

import { describeBrowser } from './device.js';
import { LoginError } from './http.js';
import { CLOSE, Line, socketUrl } from './line.js';

const STORED = 'readylogin.pairing';

const afterSeconds = (seconds) => (Number.isFinite(seconds) ? Date.now() + seconds * 1000 : null);

/** The tab's own storage: it survives a reload, and no other tab reads it. */
function tabStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // Blocked by the browser's settings: the pairing then lives as long as the page.
  }
}

/**
 * `change` is dispatched whenever one of the properties below has changed; `failure` (with `error`) when the server
 * refuses something nobody is waiting for.
 *
 * state: `idle` | `connecting` | `ready` | `asked` | `reconnecting` | `approved` | `refused` | `expired` | `taken`
 */
export class LoginSocket extends EventTarget {
  #line;
  #context;
  #storage;
  #resume = null;
  #hello = null; // Which hello is unanswered: 'readyLogin', 'resumeLogin' or null.
  #asking = null; // The ask that the server has not answered yet: {frame, resolve, reject}.

  state = 'idle';
  /** The pairing's address, once ready. @type {string|null} */
  uuid = null;
  /** When the pairing ends, in milliseconds since 1970. @type {number|null} */
  deadline = null;
  /** When the ask ends. @type {number|null} */
  askDeadline = null;
  /** The six digits the owner compares, where the server sends them. @type {string|null} */
  match = null;
  /** Whom this browser asked for; null when a phone scanned the code and asked by itself. */
  askedFor = null;
  /** The one-time code of an approval. @type {string|null} */
  code = null;

  /**
   * @param {object} [options]
   * @param {string} [options.server] origin of the broker, '' for the page's own
   * @param {{os: string, browser: string, location: string}} [options.context] what to claim about this browser
   * @param {Storage|null} [options.storage] keeps the resume secret over a reload; null keeps it in memory only
   */
  constructor({ server = '', context = describeBrowser(), storage = tabStorage() } = {}) {
    super();
    this.#context = context;
    this.#storage = storage;
    const handlers = {
      onOpen: () => this.#sayHello(),
      onFrame: (frame) => this.#receive(frame),
      onDown: () => this.#to('reconnecting'),
      onEnd: (code) => this.#ended(code),
    };
    this.#line = new Line(socketUrl(server), handlers, [CLOSE.DONE, CLOSE.TAKEN]);
  }

  /** Connects; takes up the stored pairing if there is one. */
  start() {
    this.#load();
    this.#to('connecting');
    this.#line.open();
  }

  /** Ends this pairing and begins a new one. On an open socket the server ends the old ask at once. */
  renew() {
    this.#reset(new LoginError('cancelled'));
    this.#to('connecting');
    if (this.#line.isOpen) this.#sayHello();
    else this.#line.reopen();
  }

  /** Closes for good and forgets the pairing: after the exchange, or when the login is given up. */
  finish() {
    // A new hello ends the old ask at once; the phone would otherwise show it until its time is over.
    if (this.state === 'asked') this.#line.send({ action: 'readyLogin', ...this.#context });
    this.#reset(new LoginError('cancelled'));
    this.#line.close();
    this.#to('idle');
  }

  /** Resolves when the server has given a uuid, starting or renewing as needed. */
  async ready({ signal } = {}) {
    if (this.state === 'idle') this.start();
    else if (['expired', 'refused', 'taken'].includes(this.state)) this.renew();
    const state = await this.until((now) => now !== 'connecting' && now !== 'reconnecting', { signal });
    if (!['ready', 'asked', 'approved'].includes(state)) throw new LoginError(state);
    return this.uuid;
  }

  /**
   * Asks the account's phones. Resolves once the password was right, whether or not there is a phone.
   * A connection lost in between asks again by itself.
   * @param {{kind: string, email: string, password: string}} who
   */
  ask({ kind, email, password }) {
    const frame = { action: 'askMobileConnection', uuid: this.uuid, type: kind, email, password };
    return new Promise((resolve, reject) => {
      this.#asking?.reject(new LoginError('cancelled'));
      this.#asking = { frame, resolve, reject };
      this.#line.send(frame);
    });
  }

  /** Resolves with the state as soon as `test(state)` holds. Rejects with the signal's reason. */
  until(test, { signal } = {}) {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.removeEventListener('change', check);
        signal?.removeEventListener('abort', abort);
      };
      const abort = () => {
        stop();
        reject(signal.reason);
      };
      const check = () => {
        if (!test(this.state)) return;
        stop();
        resolve(this.state);
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort);
      this.addEventListener('change', check);
      check();
    });
  }

  #sayHello() {
    this.#hello = this.#resume ? 'resumeLogin' : 'readyLogin';
    const proof = this.#resume ? { uuid: this.uuid, resume: this.#resume } : {};
    this.#line.send({ action: this.#hello, ...proof, ...this.#context });
  }

  #receive(frame) {
    if (frame.error) this.#failed(frame);
    else if (frame.message === 'Connection ready') this.#welcomed(frame);
    else if (this.#hello) return; // Still about the pairing that this hello replaces.
    else if (frame.action === 'response_mobile_connection') this.#answered(frame);
    else if (frame.message === 'Message sent') this.#asked(frame);
  }

  #welcomed(frame) {
    const resumed = this.#hello === 'resumeLogin';
    this.#hello = null;
    this.#line.settled();
    this.uuid = frame.uuid;
    this.#resume = frame.resume ?? null;
    this.deadline = afterSeconds(frame.expiresIn) ?? this.deadline;
    this.match = frame.match ?? this.match;
    // The ask outlives the connection; its end is the one told when it began.
    this.#to(resumed && this.askDeadline !== null ? 'asked' : 'ready');
    // Sent, never acknowledged: a second ask replaces the first, so asking again is safe.
    if (this.#asking) this.#line.send({ ...this.#asking.frame, uuid: this.uuid });
  }

  /** The reply to our own ask, or the news that a phone scanned the code: the frame is the same. */
  #asked(frame) {
    this.askDeadline = afterSeconds(frame.expiresIn) ?? this.deadline ?? Date.now();
    this.match = frame.match ?? null;
    const own = this.#asking?.frame;
    this.askedFor = own ? { kind: own.type, email: own.email } : null;
    this.#to('asked');
    this.#settleAsk((asking) => asking.resolve());
  }

  #answered(frame) {
    const yes = frame.response === true;
    this.#line.close();
    this.code = yes ? frame.code : null;
    this.#settleAsk((asking) => asking.resolve());
    // After a yes the secret stays until the exchange is done: a reload in between gets the same code again.
    if (!yes) this.#forgetSecret();
    this.#to(yes ? 'approved' : 'refused');
  }

  #failed(frame) {
    const error = LoginError.fromFrame(frame);
    if (this.#hello) return this.#helloRefused(error);
    if (error.code === 'expired') return this.#expire();
    // Answered just before we asked again: the answer itself is on its way.
    if (error.code === 'already_answered' && this.#asking) return this.#settleAsk((asking) => asking.resolve());
    if (this.#asking) return this.#settleAsk((asking) => asking.reject(error));
    this.dispatchEvent(Object.assign(new Event('failure'), { error }));
  }

  #helloRefused(error) {
    if (error.code !== 'expired') {
      // Too many, busy, or a fault over there: come back when told to.
      this.#hello = null;
      this.#line.pause(error.retryAfter ?? 5);
    } else if (this.askDeadline === null && !this.#asking) {
      // An old secret of a page that only showed its code: nobody is waiting for it, so simply begin anew.
      this.#reset();
      this.#sayHello();
    } else {
      this.#expire();
    }
  }

  #expire() {
    const error = new LoginError('expired', { message: 'The connection has expired' });
    this.#line.close();
    this.#reset(error);
    this.#to('expired');
  }

  #ended(code) {
    if (code === CLOSE.TAKEN) {
      this.#reset(new LoginError('taken'));
      this.#to('taken');
    } else if (this.#hello) {
      this.#line.reopen(); // That was the end of the pairing that this hello replaces.
    } else {
      this.#expire();
    }
  }

  #settleAsk(settle) {
    const asking = this.#asking;
    this.#asking = null;
    if (asking) settle(asking);
  }

  #reset(reason) {
    this.uuid = null;
    this.deadline = null;
    this.askDeadline = null;
    this.match = null;
    this.askedFor = null;
    this.code = null;
    this.#hello = null;
    this.#forgetSecret();
    this.#settleAsk((asking) => asking.reject(reason));
  }

  #forgetSecret() {
    this.#resume = null;
    this.#storage?.removeItem(STORED);
  }

  #to(state) {
    this.state = state;
    this.#save();
    this.dispatchEvent(new Event('change'));
  }

  /** The newest secret must be on record before the page can be reloaded: the one before it is dead. */
  #save() {
    if (!this.#resume) return;
    const { uuid, deadline, askDeadline, askedFor } = this;
    const record = { uuid, resume: this.#resume, deadline, askDeadline, askedFor };
    this.#storage?.setItem(STORED, JSON.stringify(record));
  }

  #load() {
    let record = null;
    try {
      record = JSON.parse(this.#storage?.getItem(STORED) ?? 'null');
    } catch {
      // Not ours, or damaged: as good as none.
    }
    if (!record?.uuid || !record.resume) return;
    this.#resume = record.resume;
    this.uuid = record.uuid;
    this.deadline = record.deadline ?? null;
    this.askDeadline = record.askDeadline ?? null;
    this.askedFor = record.askedFor ?? null;
  }
}
