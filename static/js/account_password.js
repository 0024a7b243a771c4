// Changing the password on `/account`.

import { changePassword } from './account_http.js';
import { byId, focusOn, onSubmit, showError } from './dom.js';
import { LoginError } from './readylogin.js';

const FIELDS = ['password-old', 'password-new', 'password-again'];

/** @param {{change: Function, inform: Function, email: () => string}} account */
export function passwordForm(account) {
  const [old, fresh, again] = FIELDS.map(byId);

  async function submit() {
    if (fresh.value !== again.value) {
      showError(byId('error'), { code: 'password_differs' });
      again.select();
      return;
    }
    let wrong = fresh; // The field to type over.
    const done = await account.change(async (token) => {
      try {
        return await changePassword(token, old.value, fresh.value);
      } catch (error) {
        if (error.code !== 'bad_credentials') throw error;
        wrong = old;
        throw new LoginError('wrong_password');
      }
    });
    if (!done) {
      wrong.select();
      return;
    }
    clear();
    focusOn(byId('password-title'));
    account.inform('password.changed');
  }

  function clear() {
    for (const id of [...FIELDS, 'password-user']) byId(id).value = '';
  }

  onSubmit(byId('password-form'), byId('password-submit'), submit);

  return {
    render: () => {
      byId('password-user').value = account.email();
    },
    clear,
  };
}
