// Makes a phone an approving device: signed in by any way the account has, then trusted.

import { byId, focusOn, showError } from './dom.js';
import { withFreshPassword } from './fresh_password.js';
import { say } from './i18n.js';
import { LoginError, currentDevice, guessDeviceName, trustDevice } from './readylogin.js';
import { showStep, signInSteps } from './sign_in.js';

const fail = (error) => showError(byId('error'), error);

/** Runs `attempt(password)`, asking for the password on the page when the server wants it. */
export const withPassword = (attempt) => withFreshPassword(attempt, askPassword);

/** Resolves with what is typed; rejects when the owner cancels. */
function askPassword(wrong) {
  const [form, input, cancel] = ['confirm-form', 'confirm-password', 'confirm-cancel'].map(byId);
  fail(wrong ? { code: 'wrong_password' } : null);
  showStep('confirm');
  input.value = '';
  focusOn(input);
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const close = (settle, value) => {
      listening.abort();
      fail(null);
      input.value = '';
      showStep(null);
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
  const trusted = await withPassword((password) => trustDevice({ token, deviceId: id, password }));
  return { ...trusted, token: trusted.token ?? token };
}

/**
 * @param {(phone: {token: string, kind: string, email: string, deviceName: string}, codes?: string[]) => void} onSignedIn
 */
export function signInForm(onSignedIn) {
  const steps = signInSteps({
    deviceName: () => byId('device-name').value.trim(),
    async onToken(token, owner) {
      const trusted = await enrol(token);
      onSignedIn({ ...owner, token: trusted.token }, trusted.backup_codes);
    },
  });
  byId('device-name').value = guessDeviceName();

  return {
    kinds: steps.kinds,

    /** @param {boolean} scanned a login waits to be shown after signing in */
    open(scanned) {
      say(byId('signin-lead'), scanned ? 'phone.signin.scan' : 'phone.signin.lead');
      steps.open();
    },
  };
}
