// Setting up an authenticator app: the code to scan, the same secret to type, and the first digits as the proof.

import { newTotp, proveTotp } from './account_http.js';
import { byId, copyFrom, focusOn, onSubmit } from './dom.js';
import { drawQr } from './qr.js';

/** In groups of four a key is read and typed without losing one's place. */
const grouped = (secret) => secret.match(/.{1,4}/g)?.join(' ') ?? '';

/**
 * @param {{change: Function}} account
 * @param {{onDone: () => void, onClose: () => void}} options
 */
export function totpSetup(account, { onDone, onClose }) {
  const [panel, input] = ['totp', 'totp-code'].map(byId);
  let secret = '';

  async function open() {
    const done = await account.change(newTotp);
    if (!done) return;
    ({ secret } = done.answer);
    const { url } = done.answer;
    byId('totp-qr').replaceChildren(drawQr(url, 'totp.qr'));
    byId('totp-link').href = url;
    byId('totp-secret').textContent = grouped(secret);
    panel.hidden = false;
    onClose(); // The button that opened it goes.
    focusOn(byId('totp-title'));
  }

  /** The secret is shown while it is set up and never again. */
  function close() {
    secret = '';
    byId('totp-qr').replaceChildren();
    byId('totp-link').removeAttribute('href');
    byId('totp-secret').textContent = '';
    input.value = '';
    panel.hidden = true;
    onClose();
  }

  async function submit() {
    const code = input.value.replace(/\s/g, '');
    const done = await account.change((token, password) => proveTotp(token, code, password));
    if (!done) {
      input.select();
      return;
    }
    close();
    onDone();
  }

  onSubmit(byId('totp-form'), byId('totp-submit'), submit);
  byId('totp-copy').addEventListener('click', () => copyFrom(byId('totp-copy'), secret, 'result.copy'));
  byId('totp-cancel').addEventListener('click', () => {
    close();
    byId('on-AUTHENTIFICATOR').focus();
  });

  return {
    get isOpen() {
      return !panel.hidden;
    },
    open,
    close,
  };
}
