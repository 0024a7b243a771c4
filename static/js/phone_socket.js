// The phone's side (docs/protocol.md, "Phone frames"): ready with its token, kept connected, hears asks and answers them.

import { LoginError } from './http.js';
import { CLOSE, Line, socketUrl } from './line.js';

// Errors to `ready` that no retry can cure: the token or its device is dead.
const SIGNED_OUT = new Set(['not_authenticated', 'unknown_device', 'disabled', 'wrong_account', 'taken']);

/**
 * Events: `change` (state), `token` (a fresher `token`), `ask` (with `ask`: a login wants an answer),
 * `resolved` (with `uuid`, `response`, `reason`: somebody else ended it).
 *
 * state: `idle` | `connecting` | `ready` | `reconnecting` | `not-approving` | `signed-out`
 */
export class PhoneSocket extends EventTarget {
  #line;
  #supports;
  #ready = false;
  // Replies carry no id but come in order, so one request is on its way at a time: {frame, isReply, resolve, reject}.
  #queue = [];
  #underway = false;

  state = 'idle';
  /** Why the state is `signed-out`. @type {LoginError|null} */
  error = null;

  /**
   * @param {object} options
   * @param {string} options.token of an approving device
   * @param {string} [options.server] origin of the broker, '' for the page's own
   * @param {string[]} [options.supports] e.g. `['match']`: from then on this device must send the six digits with a yes
   */
  constructor({ token, server = '', supports }) {
    super();
    this.#supports = supports;
    this.token = token;
    const handlers = {
      onOpen: () => this.#sayReady(),
      onFrame: (frame) => this.#receive(frame),
      onDown: () => this.#down(),
      onEnd: () => this.#refused(new LoginError('taken')),
    };
    // A revoked device's socket just drops: coming back and saying `ready` tells which it was.
    this.#line = new Line(socketUrl(server), handlers, [CLOSE.TAKEN]);
  }

  start() {
    this.#to('connecting');
    this.#line.open();
  }

  close() {
    this.#line.close();
    this.#ready = false;
    for (const { reject } of this.#queue.splice(0)) reject(new LoginError('cancelled'));
    this.#underway = false;
    this.#to('idle');
  }

  /** Connects anew for the fresh token that comes with it: over HTTP a token lives for an hour only. */
  freshToken({ timeout = 15_000 } = {}) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(reject, new LoginError('network')), timeout);
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.removeEventListener('change', check);
        settle(value);
      };
      const check = () => {
        if (this.#ready) finish(resolve, this.token);
        else if (this.state === 'signed-out') finish(reject, this.error);
      };
      this.#ready = false;
      this.addEventListener('change', check);
      this.#line.reopen();
    });
  }

  /**
   * Answers an ask. Repeating an answer is harmless, so a lost connection repeats it by itself.
   * @param {string} uuid
   * @param {boolean} yes
   * @param {{match?: string}} [options] the six digits, where the server demands them
   */
  respond(uuid, yes, { match } = {}) {
    const frame = { action: 'responseMobileConnection', uuid, response: yes };
    if (match) frame.match = match;
    return this.#request(() => ({ ...frame, authToken: this.token }), (reply) => reply.message === 'Message sent');
  }

  /**
   * After scanning a browser's code: asks for that login to be shown here. Resolves with the ask.
   * @param {string} uuid
   * @param {string} kind
   * @param {string} email
   * @param {{proof?: string}} [options] what the code carried beside the uuid
   */
  ask(uuid, kind, email, { proof } = {}) {
    const frame = { action: 'askMobileConnection', uuid, type: kind, email };
    if (proof) frame.proof = proof;
    const same = (reply) => reply.action === 'ask_mobile_connection' && reply.uuid?.toLowerCase() === uuid.toLowerCase();
    return this.#request(() => frame, same);
  }

  /** `frame` is a function, so that a repeat after a reconnect carries the newest token. */
  #request(frame, isReply) {
    return new Promise((resolve, reject) => {
      this.#queue.push({ frame, isReply, resolve, reject });
      this.#next();
    });
  }

  #next() {
    if (this.#underway || !this.#ready || this.#queue.length === 0) return;
    this.#underway = this.#line.send(this.#queue[0].frame());
  }

  #settle(how, value) {
    this.#underway = false;
    this.#queue.shift()?.[how](value);
    this.#next();
  }

  #sayReady() {
    this.#line.send({ action: 'ready', authToken: this.token, supports: this.#supports });
  }

  #receive(frame) {
    if (frame.action === 'ask_mobile_connection') this.#emit('ask', { ask: frame });
    if (frame.action === 'resolved_mobile_connection') this.#emit('resolved', frame);
    if (frame.message === 'Connection ready') return this.#welcomed(frame);
    if (!this.#ready) return frame.error && this.#refused(LoginError.fromFrame(frame));
    if (!this.#underway) return;
    if (frame.error) this.#settle('reject', LoginError.fromFrame(frame));
    else if (this.#queue[0].isReply(frame)) this.#settle('resolve', frame);
  }

  #welcomed(frame) {
    this.#line.settled();
    this.#ready = true;
    if (frame.token) {
      this.token = frame.token;
      this.#emit('token', { token: frame.token });
    }
    this.#to(frame.approving === false ? 'not-approving' : 'ready');
    this.#next();
  }

  #refused(error) {
    if (!SIGNED_OUT.has(error.code)) return this.#line.pause(error.retryAfter ?? 5);
    this.error = error;
    this.#line.close();
    for (const { reject } of this.#queue.splice(0)) reject(error);
    this.#to('signed-out');
  }

  #down() {
    this.#ready = false;
    this.#underway = false;
    this.#to('reconnecting');
  }

  #emit(type, details) {
    const { uuid, response, reason, ask, token } = details;
    this.dispatchEvent(Object.assign(new Event(type), { uuid, response, reason, ask, token }));
  }

  #to(state) {
    this.state = state;
    this.dispatchEvent(new Event('change'));
  }
}
