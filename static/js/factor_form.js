// The second step by a code that is typed: backup code, authenticator app or mail. Both pages have this form.

import { byId, el, focusOn, onSubmit, showError } from './dom.js';
import { duration, hush, say } from './i18n.js';
import { mailCode, redeem } from './readylogin.js';

/** The ways that are typed, the likeliest at hand first. */
export const TYPED = ['AUTHENTIFICATOR', 'EMAIL', 'BACKUPCODE'];
const SEND_AGAIN = 60_000; // Sooner than that the server sends nothing new.

/**
 * @param {object} options
 * @param {() => {kind: string, email: string, password: string, deviceName?: string}} options.who
 * @param {(token: string) => void|Promise<void>} options.onToken
 * @param {() => void} options.onBack
 */
export function factorForm({ who, onToken, onBack }) {
  const [section, form, select, input] = ['factor', 'factor-form', 'factor-method', 'backup-code'].map(byId);
  const fail = (error) => showError(byId('error'), error);
  const sent = { email: '', at: -Infinity }; // The latest code that was asked for.
  let ticking;

  function adapt() {
    const method = select.value;
    say(byId('factor-label'), `factor.code.${method}`);
    byId('factor-hint').hidden = method !== 'BACKUPCODE';
    byId('factor-mail').hidden = method !== 'EMAIL';
    input.inputMode = method === 'BACKUPCODE' ? 'text' : 'numeric';
    input.value = '';
    renderSend();
  }

  /** Until a new code can be had the button says how long that takes; it keeps the keyboard, being no less a button. */
  function renderSend() {
    const [button, told] = ['factor-send', 'factor-sent'].map(byId);
    const { email } = who();
    const asked = sent.email === email;
    const wait = asked ? sent.at + SEND_AGAIN - performance.now() : 0;
    clearTimeout(ticking);
    if (asked) say(told, 'factor.sent', { email });
    else hush(told);
    if (wait > 0) {
      button.setAttribute('aria-disabled', 'true');
      say(button, 'factor.wait', { time: () => duration(wait / 1000) });
      ticking = setTimeout(renderSend, 1000);
    } else {
      button.removeAttribute('aria-disabled');
      say(button, asked ? 'factor.again' : 'factor.send');
    }
  }

  async function submit() {
    fail(null);
    try {
      const code = input.value.replace(/\s/g, '');
      await onToken(await redeem(select.value, { ...who(), code }));
    } catch (error) {
      fail(error);
      input.select();
    }
  }

  async function send() {
    if (byId('factor-send').getAttribute('aria-disabled') === 'true') return;
    fail(null);
    const { email } = who();
    byId('factor-send').setAttribute('aria-disabled', 'true');
    try {
      await mailCode({ email });
      Object.assign(sent, { email, at: performance.now() });
      input.focus();
    } catch (error) {
      fail(error);
    }
    renderSend();
  }

  select.addEventListener('change', adapt);
  byId('factor-send').addEventListener('click', send);
  byId('factor-back').addEventListener('click', onBack);
  onSubmit(form, byId('backup-submit'), submit);

  return {
    get isOpen() {
      return !section.hidden;
    },

    /**
     * @param {string[]} methods what the account has; a backup code may always be tried
     * @param {string} [first] the one to begin with
     */
    open(methods, first) {
      const usable = TYPED.filter((method) => method === 'BACKUPCODE' || methods.includes(method));
      select.replaceChildren(...usable.map((method) => say(el('option', { value: method }), `factor.${method}`)));
      select.value = first ?? usable[0];
      select.closest('.field').hidden = usable.length === 1;
      section.hidden = false;
      adapt();
      focusOn(input);
    },

    close() {
      clearTimeout(ticking);
      section.hidden = true;
      input.value = '';
      hush(byId('factor-sent')); // It names the address.
    },
  };
}
