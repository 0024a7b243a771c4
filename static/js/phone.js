// The page of an approving phone: signed in once, then it waits for logins and answers them.

import { codesCard } from './codes.js';
import { byId, focusOn, showError, showOnly } from './dom.js';
import { hush, say, startLanguages } from './i18n.js';
import { AskCards } from './phone_asks.js';
import { enrol, signInForm, withPassword } from './phone_signin.js';
import { PhoneSocket, currentDevice, decodeClaims, revokeDevice, settings } from './readylogin.js';

const STORED = 'readylogin.phone';
const MINUTE = 60_000;

let phone = null; // {token, kind, email, deviceName}: what this phone is, once signed in.
let socket = null;
let scanned = null; // {uuid, proof}: a code scanned and not yet shown.

const asks = new AskCards({
  account: () => phone.email,
  respond: (uuid, yes, options) => socket.respond(uuid, yes, options),
});
const signIn = signInForm(signedIn);
const codes = codesCard({ onKept: () => focusOn(byId('asks-title')) });
const fail = (error) => showError(byId('error'), error);

function inform(key) {
  const notice = byId('notice');
  notice.hidden = !key;
  if (key) say(notice, key);
  else hush(notice);
}

function load() {
  try {
    return JSON.parse(localStorage.getItem(STORED));
  } catch {
    return null;
  }
}

function save() {
  try {
    localStorage.setItem(STORED, JSON.stringify(phone));
  } catch {
    // Without storage the phone approves until the page is closed.
  }
}

function setStatus(state, key = `phone.state.${state}`) {
  byId('status').dataset.state = state;
  say(byId('status'), key);
}

function signedIn(who, newCodes) {
  phone = who;
  save();
  fail(null);
  inform(null);
  connect();
  if (newCodes?.length) codes.show(newCodes, phone.email);
  else focusOn(byId('asks-title'));
}

/** Back to the sign-in form, with a sentence that says why. */
function signOut(reason) {
  socket?.close();
  socket = null;
  phone = null;
  localStorage.removeItem(STORED);
  asks.clear();
  codes.hide();
  showOnly({ approver: false, leave: false });
  setStatus('signed-out');
  signIn.open(Boolean(scanned));
  inform(reason);
}

function connect() {
  say(byId('account'), 'phone.account', { email: phone.email, device: phone.deviceName });
  byId('approver').hidden = false;
  socket?.close();
  const line = new PhoneSocket({ token: phone.token });
  socket = line;
  // A socket that was replaced or closed has nothing more to say.
  const on = (type, handle) => line.addEventListener(type, (event) => line === socket && handle(event));
  on('change', stateChanged);
  on('token', ({ token }) => {
    phone.token = token;
    save();
  });
  on('ask', ({ ask }) => asks.add(ask));
  on('resolved', ({ uuid, reason, response }) => asks.resolve(uuid, reason, response));
  line.start();
}

function stateChanged() {
  const { state } = socket;
  if (state === 'signed-out') return signOut('phone.revoked');
  if (state === 'idle') return;
  const offline = state === 'reconnecting' && navigator.onLine === false;
  setStatus(state, `phone.state.${offline ? 'offline' : state}`);
  const approves = state !== 'not-approving';
  showOnly({ untrusted: !approves, account: approves, queue: approves });
  if (state === 'ready') showScanned();
}

/** The hash is read once and taken out of the address bar, where others could see or share it. */
function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  if (!values.has('u')) return;
  scanned = { uuid: values.get('u'), proof: values.get('p') ?? undefined };
  history.replaceState(null, '', location.pathname + location.search);
  if (socket?.state === 'ready') showScanned();
}

async function showScanned() {
  if (!scanned) return;
  const { uuid, proof } = scanned;
  scanned = null;
  fail(null);
  inform('phone.fetching');
  try {
    await socket.ask(uuid, phone.kind, phone.email, { proof });
    asks.reveal(uuid);
  } catch (error) {
    if (error.code !== 'cancelled') fail(error.code === 'expired' ? { code: 'expired.code' } : error);
  } finally {
    inform(null);
  }
}

/** Over HTTP a token counts until it expires; the socket gives a fresh one. */
async function usableToken() {
  const left = (decodeClaims(phone.token)?.exp ?? 0) * 1000 - Date.now();
  return left > MINUTE ? phone.token : socket.freshToken();
}

async function retrust() {
  fail(null);
  try {
    const trusted = await enrol(await usableToken());
    signedIn({ ...phone, token: trusted.token }, trusted.backup_codes);
  } catch (error) {
    if (error.code === 'not_authenticated' || error.code === 'unknown_device') signOut('phone.revoked');
    else if (error.code !== 'cancelled') fail(error);
  }
}

/** One press too many would cost the owner the next login, so it takes two. */
function askToLeave(asked) {
  fail(null);
  byId('leave').hidden = !asked;
  if (asked) focusOn(byId('leave-title'));
  else byId('forget').focus();
}

async function forget() {
  askToLeave(false);
  try {
    await revoke(await usableToken());
    byId('email').value = '';
    signOut('phone.forgotten');
  } catch (error) {
    if (error.code === 'cancelled') connect();
    else signOut('phone.forgotten.here');
  }
}

async function revoke(token) {
  const { id } = await currentDevice({ token });
  await withPassword((password) => {
    // Its own revocation would otherwise come back over the socket as news.
    socket?.close();
    return revokeDevice({ token, deviceId: id, password });
  });
}

async function start() {
  startLanguages();
  byId('retrust').addEventListener('click', retrust);
  byId('forget').addEventListener('click', () => askToLeave(true));
  byId('leave-yes').addEventListener('click', forget);
  byId('leave-no').addEventListener('click', () => askToLeave(false));
  addEventListener('hashchange', readHash);
  addEventListener('offline', () => socket && stateChanged());
  phone = load();
  readHash();
  if (phone?.token) connect();
  else signOut(null);
  signIn.kinds(await settings());
}

start();
