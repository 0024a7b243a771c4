// The cards of logins that wait for an answer: what is shown, what was decided, how they go away.

import { byId, countdown, el, focusOn, showError } from './dom.js';
import { moment, say, t } from './i18n.js';

// After these errors there is nothing left to answer.
const OVER = new Set(['expired', 'not_asked', 'already_answered', 'wrong_account']);
const GRACE = 2000; // The server's own word on an expiry usually comes first.
const LOG_LENGTH = 5;

/** A time from the server: seconds since 1970, or ISO 8601. */
const toMilliseconds = (value) => (typeof value === 'number' ? value * 1000 : Date.parse(value));

const spoken = (ask) => () =>
  ask.browser && ask.os ? t('ask.what', ask) : ask.browser || ask.os || t('ask.what.unknown');

/** Beginning a sentence. */
const capital = (text) => () => text().charAt(0).toUpperCase() + text().slice(1);

/** A row of facts. Claimed and observed ones look different, because only one kind can be lied about. */
function fact(name, value, className = '') {
  const term = say(el('dt'), `ask.${name}`);
  const known = value || (() => t('ask.unknown'));
  return el('div', { className: `fact ${className}` }, term, say(el('dd'), 'value', { value: known }));
}

function factsOf(ask) {
  const place = [ask.city, ask.country, ask.network].filter(Boolean).join(', ');
  const seenAt = ask.seenAt === undefined ? Date.now() : toMilliseconds(ask.seenAt);
  const facts = [
    fact('browser', ask.browser),
    fact('system', ask.os),
    fact('claims', ask.location && `“${ask.location}”`, 'claimed'),
    fact('seen', ask.ip, 'seen'),
  ];
  if (place) facts.push(fact('place', place, 'seen'));
  facts.push(fact('when', () => moment(seenAt)));
  return facts;
}

export class AskCards {
  #cards = new Map(); // uuid -> {ask, card, stop, error, match}
  #account;
  #respond;

  /**
   * @param {object} options
   * @param {() => string} options.account whose logins these are
   * @param {(uuid: string, yes: boolean, options: {match?: string}) => Promise<any>} options.respond
   */
  constructor({ account, respond }) {
    this.#account = account;
    this.#respond = respond;
    document.addEventListener('languagechange', () => this.#retitle());
  }

  /** Shows an ask; the same one again (after a reconnect) changes nothing. */
  add(ask) {
    const uuid = ask.uuid.toLowerCase();
    if (this.#cards.has(uuid)) return;
    const deadline = Date.now() + (ask.expiresIn ?? 120) * 1000;
    const shown = this.#build(ask, uuid, deadline);
    this.#cards.set(uuid, shown);
    byId('asks').prepend(shown.card);
    this.#retitle();
    say(byId('announce'), 'ask.new', { what: spoken(ask) });
  }

  /** Somebody else ended it: another phone, the clock, the browser itself. */
  resolve(uuid, reason, response) {
    const shown = this.#cards.get(uuid.toLowerCase());
    if (!shown) return;
    const how = reason === 'answered' ? `answered.${response ? 'yes' : 'no'}` : reason;
    this.#remove(uuid, `resolved.${how}`, 'past');
  }

  /** Brings an ask that its owner has just scanned into view. */
  reveal(uuid) {
    const card = this.#cards.get(uuid.toLowerCase())?.card;
    if (!card) return;
    card.scrollIntoView({ block: 'nearest' });
    focusOn(card.querySelector('h2'));
  }

  clear() {
    for (const { card, stop } of this.#cards.values()) {
      stop();
      card.remove();
    }
    this.#cards.clear();
    byId('log').replaceChildren();
    this.#retitle();
  }

  #build(ask, uuid, deadline) {
    const titleId = `ask-${uuid}`;
    const left = el('span', { className: 'timer' });
    left.setAttribute('role', 'timer');
    const time = el('div', { className: 'fact' }, say(el('dt'), 'ask.left'), el('dd', {}, left));
    const error = el('p', { className: 'alert', hidden: true });
    error.setAttribute('role', 'alert');
    const match = this.#matchField(uuid);
    const answer = (yes) => this.#answer(uuid, yes);
    const card = el(
      'article',
      { className: 'ask card' },
      say(el('h2', { id: titleId }), 'ask.title', { account: this.#account() }),
      el('dl', { className: 'facts' }, ...factsOf(ask), time),
      say(el('p', { className: 'consequence' }), 'ask.consequence'),
      match,
      error,
      el(
        'div',
        { className: 'answers' },
        say(el('button', { type: 'button', className: 'refuse', onclick: () => answer(false) }), 'ask.refuse'),
        say(el('button', { type: 'button', className: 'approve', onclick: () => answer(true) }), 'ask.approve'),
      ),
    );
    card.dataset.uuid = ask.uuid;
    card.setAttribute('aria-labelledby', titleId);
    const clock = countdown(left, () => deadline);
    const timer = setTimeout(() => this.resolve(uuid, 'expired'), deadline - Date.now() + GRACE);
    const stop = () => {
      clock.stop();
      clearTimeout(timer);
    };
    return { ask, card, stop, error, match };
  }

  /** Hidden until the server demands the number that the browser shows. */
  #matchField(uuid) {
    const id = `match-${uuid}`;
    const input = el('input', { id, className: 'code-input', inputMode: 'numeric', autocomplete: 'off', maxLength: 7 });
    const label = say(el('label', { htmlFor: id }), 'ask.match');
    return el('div', { className: 'field', hidden: true }, label, input);
  }

  async #answer(uuid, yes) {
    const shown = this.#cards.get(uuid);
    if (shown.card.getAttribute('aria-busy') === 'true') return;
    shown.card.setAttribute('aria-busy', 'true');
    showError(shown.error, null);
    try {
      const match = shown.match.querySelector('input').value.replace(/\D/g, '');
      await this.#respond(uuid, yes, yes && match ? { match } : {});
      this.#remove(uuid, yes ? 'ask.approved' : 'ask.refused', yes ? 'yes' : 'no');
    } catch (error) {
      shown.card.removeAttribute('aria-busy');
      this.#answerFailed(uuid, shown, error);
    }
  }

  #answerFailed(uuid, shown, error) {
    if (OVER.has(error.code)) {
      this.#remove(uuid, error.code === 'expired' ? 'resolved.expired' : `error.${error.code}`, 'past');
      return;
    }
    showError(shown.error, error);
    if (error.code === 'match_required' || error.code === 'match_wrong') {
      shown.match.hidden = false;
      shown.match.querySelector('input').select();
    }
  }

  #remove(uuid, key, how) {
    const shown = this.#cards.get(uuid.toLowerCase());
    if (!shown) return;
    const hadFocus = shown.card.contains(document.activeElement);
    shown.stop();
    shown.card.remove();
    this.#cards.delete(uuid.toLowerCase());
    this.#log(key, shown.ask, how);
    this.#retitle();
    if (hadFocus) focusOn(document.querySelector('.ask h2') ?? byId('asks-title'));
  }

  #log(key, ask, how) {
    const now = Date.now();
    const what = spoken(ask);
    const time = say(el('time', { dateTime: new Date(now).toISOString() }), 'value', { value: () => moment(now) });
    const sentence = say(el('span'), key, { what: key.startsWith('resolved.') ? capital(what) : what });
    const entry = el('li', { className: how }, sentence, time);
    const log = byId('log');
    log.prepend(entry);
    while (log.children.length > LOG_LENGTH) log.lastElementChild.remove();
  }

  /** The tab itself says that somebody waits. */
  #retitle() {
    const count = this.#cards.size;
    byId('none').hidden = count > 0;
    document.title = count ? t('ask.page', { count }) : t('phone.page');
  }
}
