// Signs an owner in on `/phone` and `/account`: the password, then any second step that the account has.

import { byId, countdown, fillKinds, focusOn, onSubmit, showError } from './dom.js';
import { factorForm } from './factor_form.js';
import { hush, say } from './i18n.js';
import { login, passwordStep } from './readylogin.js';

// The last is on `/phone` alone.
const STEPS = ['signin', 'factor', 'other-phone', 'confirm'];

/** Shows one step of signing in, or none. */
export function showStep(visible) {
  for (const section of STEPS.map(byId)) if (section) section.hidden = section.id !== visible;
}

const fail = (error) => showError(byId('error'), error);

/**
 * @param {object} options
 * @param {() => string} options.deviceName how this device is called in the account's list
 * @param {(token: string, who: {kind: string, email: string, deviceName: string}) => void|Promise<void>} options.onToken
 *   may still fail: its error is told beside the form
 */
export function signInSteps({ deviceName, onToken }) {
  let methods = [];
  let asking = null; // The login that waits for a phone: an AbortController.
  let askDeadline = 0;
  const timeLeft = countdown(byId('left'), () => askDeadline, 'waiting.left');

  const who = () => ({
    kind: byId('kind').value,
    email: byId('email').value.trim(),
    password: byId('password').value,
    deviceName: deviceName(),
  });

  const factor = factorForm({ who, onToken: done, onBack: back });

  async function submit() {
    fail(null);
    try {
      const first = await passwordStep(who());
      if (first.token) await done(first.token);
      else offer(first.Methods ?? []);
    } catch (error) {
      failed(error);
    }
  }

  function offer(accountMethods) {
    methods = accountMethods;
    showStep('factor');
    byId('ask-phone').hidden = !methods.includes('MOBILE');
    factor.open(methods);
  }

  async function done(token) {
    const { password: _, ...owner } = who();
    try {
      await onToken(token, owner);
      showStep(null);
      hush(byId('other-text')); // It names the address, which may have to be forgotten here.
      factor.close();
      byId('password').value = '';
    } catch (error) {
      failed(error);
    }
  }

  function failed(error) {
    factor.close();
    showStep('signin');
    fail(error.code === 'cancelled' ? null : error);
    if (error.code === 'bad_credentials') byId('password').select();
  }

  function back() {
    asking?.abort();
    fail(null);
    showStep('signin');
    focusOn(byId('signin-title'));
  }

  async function askPhone() {
    fail(null);
    const attempt = new AbortController();
    asking = attempt;
    try {
      const token = await login({ ...who(), signal: attempt.signal, onWaiting, onMatch });
      await done(token);
    } catch (error) {
      if (attempt.signal.aborted) return;
      offer(methods);
      fail(error);
    }
  }

  function onWaiting(wait) {
    askDeadline = wait.askDeadline;
    timeLeft.tick();
    say(byId('other-text'), 'phone.approve.text', { email: who().email });
    showStep('other-phone');
    focusOn(byId('other-title'));
  }

  function onMatch(digits) {
    byId('match').textContent = `${digits.slice(0, 3)} ${digits.slice(3)}`;
    byId('match-box').hidden = false;
  }

  onSubmit(byId('signin-form'), byId('submit'), submit);
  byId('ask-phone').addEventListener('click', askPhone);
  byId('other-cancel').addEventListener('click', () => {
    asking?.abort();
    offer(methods);
  });

  return {
    /** @param {{kinds: {id: string, name: string}[]}} known */
    kinds: (known, chosen) => fillKinds(byId('kind'), known.kinds, chosen),

    open: () => showStep('signin'),
  };
}
