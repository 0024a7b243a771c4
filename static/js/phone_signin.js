// Signs a phone in and makes it an approving device: password, second step where there is one, trust.

import { byId, countdown, fillKinds, focusOn, onSubmit, showError, showOnly } from './dom.js';
import { factorForm } from './factor_form.js';
import { say } from './i18n.js';
import { LoginError, currentDevice, guessDeviceName, login, passwordStep, trustDevice } from './readylogin.js';

const STEPS = ['signin', 'factor', 'other-phone', 'confirm'];

/** Shows one step of signing in, or none. */
function step(visible) {
  showOnly(Object.fromEntries(STEPS.map((id) => [id, id === visible])));
}

const fail = (error) => showError(byId('error'), error);

/**
 * Runs `attempt(password)`; while the server wants a password typed just now, asks for it and tries again.
 * @param {(password?: string) => Promise<any>} attempt
 */
export async function withFreshPassword(attempt) {
  let password;
  for (;;) {
    try {
      return await attempt(password);
    } catch (error) {
      const again = password !== undefined;
      if (error.code !== 'password_needed' && !(again && error.code === 'bad_credentials')) throw error;
      fail(again ? { code: 'wrong_password' } : null);
      password = await askPassword();
    }
  }
}

/** Resolves with what is typed; rejects when the owner cancels. */
function askPassword() {
  const [form, input, cancel] = ['confirm-form', 'confirm-password', 'confirm-cancel'].map(byId);
  step('confirm');
  input.value = '';
  focusOn(input);
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const close = (settle, value) => {
      listening.abort();
      fail(null);
      input.value = '';
      step(null);
      settle(value);
    };
    const submit = (event) => {
      event.preventDefault();
      close(resolve, input.value);
    };
    form.addEventListener('submit', submit, { signal: listening.signal });
    cancel.addEventListener('click', () => close(reject, new LoginError('cancelled')), { signal: listening.signal });
  });
}

/** From any token of this device to that of an approving device. @returns {Promise<{token: string, backup_codes?: string[]}>} */
export async function enrol(token) {
  const { id } = await currentDevice({ token });
  const trusted = await withFreshPassword((password) => trustDevice({ token, deviceId: id, password }));
  return { ...trusted, token: trusted.token ?? token };
}

/**
 * @param {(phone: {token: string, kind: string, email: string, deviceName: string}, codes?: string[]) => void} onSignedIn
 */
export function signInForm(onSignedIn) {
  let methods = [];
  let asking = null; // The login that waits for another phone: an AbortController.
  let askDeadline = 0;
  const timeLeft = countdown(byId('left'), () => askDeadline, 'waiting.left');

  const who = () => ({
    kind: byId('kind').value,
    email: byId('email').value.trim(),
    password: byId('password').value,
    deviceName: byId('device-name').value.trim(),
  });

  const factor = factorForm({ who, onToken, onBack: back });

  async function submit() {
    fail(null);
    try {
      const first = await passwordStep(who());
      if (first.token) await onToken(first.token);
      else offer(first.Methods ?? []);
    } catch (error) {
      failed(error);
    }
  }

  function offer(accountMethods) {
    methods = accountMethods;
    step('factor');
    byId('ask-phone').hidden = !methods.includes('MOBILE');
    factor.open(methods);
  }

  async function onToken(token) {
    const { kind, email, deviceName } = who();
    try {
      const trusted = await enrol(token);
      step(null);
      byId('password').value = '';
      onSignedIn({ token: trusted.token, kind, email, deviceName }, trusted.backup_codes);
    } catch (error) {
      failed(error);
    }
  }

  function failed(error) {
    factor.close();
    step('signin');
    fail(error.code === 'cancelled' ? null : error);
    if (error.code === 'bad_credentials') byId('password').select();
  }

  function back() {
    asking?.abort();
    fail(null);
    step('signin');
    focusOn(byId('signin-title'));
  }

  async function askOtherPhone() {
    fail(null);
    const attempt = new AbortController();
    asking = attempt;
    try {
      const token = await login({ ...who(), signal: attempt.signal, onWaiting, onMatch });
      await onToken(token);
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
    step('other-phone');
    focusOn(byId('other-title'));
  }

  function onMatch(digits) {
    byId('match').textContent = `${digits.slice(0, 3)} ${digits.slice(3)}`;
    byId('match-box').hidden = false;
  }

  onSubmit(byId('signin-form'), byId('submit'), submit);
  byId('ask-phone').addEventListener('click', askOtherPhone);
  byId('other-cancel').addEventListener('click', () => {
    asking?.abort();
    offer(methods);
  });
  byId('device-name').value = guessDeviceName();

  return {
    /** @param {{kinds: {id: string, name: string}[]}} known */
    kinds: (known, chosen) => fillKinds(byId('kind'), known.kinds, chosen),

    /** @param {boolean} scanned a login waits to be shown after signing in */
    open(scanned) {
      say(byId('signin-lead'), scanned ? 'phone.signin.scan' : 'phone.signin.lead');
      step('signin');
    },
  };
}
