// The page of an account: log in with all that it takes, then see and change what protects it.
// The token lives in this page's memory only; leaving the page forgets it.

import { dataCard } from './account_data.js';
import { readAccount } from './account_http.js';
import { factorRows } from './account_factors.js';
import { deviceLists } from './account_lists.js';
import { passwordForm } from './account_password.js';
import { emailOf } from './claims.js';
import { codesCard } from './codes.js';
import { askPassword, closeDialogs } from './dialogs.js';
import { byId, focusOn, showError, showOnly } from './dom.js';
import { withFreshPassword } from './fresh_password.js';
import { takeHandOver } from './hand_over.js';
import { hush, say, startLanguages } from './i18n.js';
import { decodeClaims, guessDeviceName, logout, settings } from './readylogin.js';
import { showStep, signInSteps } from './sign_in.js';

const page = {
  known: { kinds: [], publicUrl: location.origin },
  token: null,
  email: '',
  busy: false, // One change at a time.
};

let afterCodes = 'home-title'; // Where the keyboard goes once the new codes are kept.
const fail = (error) => showError(byId('error'), error);
const codes = codesCard({ onKept: () => show('home', afterCodes) });
const account = { change, inform, showCodes, leave: left, email: () => page.email };
const parts = [factorRows(account), deviceLists(account), passwordForm(account), dataCard(account)];
const steps = signInSteps({ deviceName: guessDeviceName, onToken: enter });

function inform(key, values = {}) {
  const notice = byId('notice');
  notice.hidden = !key;
  if (key) say(notice, key, values);
  else hush(notice);
}

/** Shows the account or nothing of it. */
function show(id, focus) {
  showOnly({ home: id === 'home', 'log-out': Boolean(page.token) });
  if (focus) focusOn(byId(focus));
}

function showCodes(list, focusAfterwards) {
  afterCodes = focusAfterwards;
  show('codes');
  codes.show(list, page.email);
}

/** With a token, from a login here or handed over by `/`. Rejects when the server does not take it. */
async function enter(token) {
  const read = await readAccount(token);
  page.token = token;
  page.email = emailOf(decodeClaims(token) ?? {}, page.known.kinds) ?? byId('email').value.trim();
  say(byId('owner'), 'value', { value: page.email });
  render(read);
  fail(null);
  inform(null);
  showStep(null);
  show('home', 'home-title');
}

function render(read) {
  for (const part of parts) part.render(read, page.known);
}

async function refresh() {
  render(await readAccount(page.token));
}

/**
 * Does something to the account, with the password typed again where the server wants that, then shows the account anew.
 * @template T
 * @param {(token: string, password?: string) => Promise<T>} attempt
 * @param {'proof'|'remove'} [dialog] where the password is typed
 * @returns {Promise<{answer: T}|null>} null when nothing came of it, and why has been told
 */
async function change(attempt, dialog = 'proof') {
  if (page.busy) return null;
  page.busy = true;
  byId('home').setAttribute('aria-busy', 'true');
  fail(null);
  inform(null);
  let done = null;
  try {
    const ask = (wrong) => askPassword(page.email, wrong, dialog);
    done = { answer: await withFreshPassword((password) => attempt(page.token, password), ask) };
  } catch (error) {
    failed(error);
  }
  // After a failure too: the account may not be what the page thought. It is told of the failure, not of this.
  if (page.token) await refresh().catch((error) => done && failed(error));
  page.busy = false;
  byId('home').removeAttribute('aria-busy');
  return done;
}

function failed(error) {
  if (error.code === 'not_authenticated') leave('account.ended');
  else if (error.code !== 'cancelled') fail(error);
}

/** Forgets the login, on this page; with a sentence that says why. */
function leave(reason) {
  page.token = null;
  page.email = '';
  closeDialogs();
  codes.hide();
  for (const part of parts) part.clear();
  hush(byId('owner'));
  for (const id of ['email', 'password', 'proof-user', 'remove-user']) byId(id).value = '';
  show(null);
  fail(null);
  inform(reason);
  steps.open();
}

/** The same where the owner has just ended it here. */
function left(reason) {
  leave(reason);
  focusOn(byId('signin-title'));
}

async function logOut() {
  const { token } = page;
  left(null);
  const told = await logout({ token }).then(() => true, (error) => error.code === 'not_authenticated');
  inform(told ? 'account.left' : 'account.left.here');
}

async function start() {
  const handedOver = takeHandOver();
  startLanguages();
  byId('log-out').addEventListener('click', logOut);
  // The browser may keep a page that was left, to show it again: nothing is left on it.
  addEventListener('pagehide', () => leave(null));
  if (!handedOver) steps.open();
  page.known = await settings();
  steps.kinds(page.known);
  if (handedOver) await enter(handedOver).catch(failedToEnter);
}

function failedToEnter(error) {
  steps.open();
  if (error.code === 'not_authenticated') inform('account.ended');
  else fail(error);
}

start();
