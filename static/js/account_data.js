// The owner's data on `/account`: all of it as a file, and the account removed with all of it.

import { exportData, removeAccount } from './account_http.js';
import { byId, el, focusOn } from './dom.js';
import { LoginError } from './readylogin.js';

const FILE = 'readylogin-export.json';

/** Hands a text over as a file. */
function download(text) {
  const href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  el('a', { href, download: FILE }).click();
  // Not at once: the browser may not have begun to read it.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/** @param {{change: Function, inform: Function, leave: Function}} account */
export function dataCard(account) {
  async function exportAll() {
    const done = await account.change(exportData);
    if (!done) return;
    download(`${JSON.stringify(done.answer, null, 2)}\n`);
    focusOn(byId('export'));
    account.inform('data.exported', { file: FILE });
  }

  async function remove() {
    const attempt = async (token, password) => {
      // However fresh the login is: nobody removes an account by a click.
      if (password === undefined) throw new LoginError('password_needed');
      await removeAccount(token, password);
      account.leave('data.removed');
    };
    await account.change(attempt, 'remove');
  }

  byId('export').addEventListener('click', exportAll);
  byId('removal').addEventListener('click', remove);

  return { render: () => {}, clear: () => {} };
}
