// The second step by a code that is typed: backup code, authenticator app or mail. Both pages have this form.

import { byId, el, focusOn, onSubmit, showError } from './dom.js';
import { hush, say } from './i18n.js';
import { mailCode, redeem } from './readylogin.js';

const TYPED = ['AUTHENTIFICATOR', 'EMAIL', 'BACKUPCODE'];

/**
 * @param {object} options
 * @param {() => {kind: string, email: string, password: string, deviceName?: string}} options.who
 * @param {(token: string) => void|Promise<void>} options.onToken
 * @param {() => void} options.onBack
 */
export function factorForm({ who, onToken, onBack }) {
  const [section, form, select, input] = ['factor', 'factor-form', 'factor-method', 'backup-code'].map(byId);
  const fail = (error) => showError(byId('error'), error);

  function adapt() {
    const method = select.value;
    say(byId('factor-label'), `factor.code.${method}`);
    byId('factor-hint').hidden = method !== 'BACKUPCODE';
    byId('factor-mail').hidden = method !== 'EMAIL';
    input.inputMode = method === 'BACKUPCODE' ? 'text' : 'numeric';
    input.value = '';
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
    fail(null);
    const { email } = who();
    try {
      await mailCode({ email });
      say(byId('factor-sent'), 'factor.sent', { email });
      input.focus();
    } catch (error) {
      fail(error);
    }
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
      hush(byId('factor-sent'));
      section.hidden = false;
      adapt();
      focusOn(input);
    },

    close() {
      section.hidden = true;
      input.value = '';
    },
  };
}
