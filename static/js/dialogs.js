// The questions that stop everything else: "are you sure?", "your password again", and the last one before an account
// is removed. All are modal dialogs.

import { byId, showError } from './dom.js';
import { hush, say } from './i18n.js';
import { LoginError } from './readylogin.js';

const unsettled = new Map(); // By dialog: how to settle what it asked last.

/** Opens a dialog and resolves with what `settle` is given; Escape settles with null. */
function ask(dialog, wire) {
  unsettled.get(dialog)?.(null);
  return new Promise((resolve) => {
    const listening = new AbortController();
    const on = (id, type, handle) => byId(id).addEventListener(type, handle, { signal: listening.signal });
    const settle = (value) => {
      listening.abort();
      unsettled.delete(dialog);
      dialog.close();
      resolve(value);
    };
    unsettled.set(dialog, settle);
    // The browser closes it by itself for Escape, and for `close()` from elsewhere. It tells so a moment later: by then
    // the dialog may be open again, with the next question.
    dialog.addEventListener('close', () => dialog.open || settle(null), { signal: listening.signal });
    wire(on, settle);
    dialog.showModal();
  });
}

/**
 * Says in plain words what is about to happen. The way back is first and has the keyboard.
 * @param {string} what the texts are `sure.WHAT` (the question), `sure.WHAT.text` and `sure.WHAT.yes`
 * @param {{values?: object, more?: string, no?: string}} [options] `more` is the key of a further sentence
 * @returns {Promise<boolean>}
 */
export async function sure(what, { values = {}, more, no = 'waiting.cancel' } = {}) {
  say(byId('sure-title'), `sure.${what}`, values);
  say(byId('sure-text'), `sure.${what}.text`, values);
  say(byId('sure-yes'), `sure.${what}.yes`, values);
  say(byId('sure-no'), no);
  byId('sure-more').hidden = !more;
  if (more) say(byId('sure-more'), more, values);
  else hush(byId('sure-more'));
  const answer = await ask(byId('sure'), (on, settle) => {
    on('sure-yes', 'click', () => settle(true));
    on('sure-no', 'click', () => settle(false));
  });
  return answer === true;
}

/**
 * @param {string} email whose password, for those that fill it in
 * @param {boolean} wrong the one before was not the account's
 * @param {'proof'|'remove'} [dialog] where it is typed
 * @returns {Promise<string>} rejects with `cancelled`
 */
export async function askPassword(email, wrong, dialog = 'proof') {
  const input = byId(`${dialog}-password`);
  byId(`${dialog}-user`).value = email;
  showError(byId(`${dialog}-error`), wrong ? { code: 'wrong_password' } : null);
  const password = await ask(byId(dialog), (on, settle) => {
    on(`${dialog}-form`, 'submit', (event) => {
      event.preventDefault();
      settle(input.value);
    });
    on(`${dialog}-cancel`, 'click', () => settle(null));
  });
  input.value = '';
  if (password === null) throw new LoginError('cancelled');
  return password;
}

/** For a page that is left: what was asked is answered with no. */
export function closeDialogs() {
  for (const id of ['sure', 'proof', 'remove']) byId(id).close();
}
