// The page that logs in: a form, a code to scan, the wait for the phone, and the token at the end.

import { showClaims } from './claims.js';
import { byId, copyFrom, countdown, fillKinds, focusOn, onSubmit, showError, showOnly } from './dom.js';
import { TYPED, factorForm } from './factor_form.js';
import { handOver, takeHandOver } from './hand_over.js';
import { hush, say, startLanguages } from './i18n.js';
import { mailLogin } from './mail_login.js';
import { drawQr } from './qr.js';
import { LoginSocket, guessDeviceName, login, logout, pairingLink, settings } from './readylogin.js';

const ENDED = new Set(['refused', 'expired', 'taken']);
const REMEMBERED = 'readylogin.who';

const socket = new LoginSocket();
const page = {
  known: { kinds: [], publicUrl: location.origin },
  attempt: null, // The login under way: an AbortController.
  waiting: false, // The phone was asked for this attempt.
  methods: [],
  token: null,
  link: null, // What the drawn QR code says.
};

const timeLeft = countdown(byId('left'), () => socket.askDeadline ?? Date.now(), 'waiting.left');
const factor = factorForm({ who, onToken: finish, onBack: cancel });
const mail = mailLogin({ onToken: finish, onRecovered: recovered, onBack: backToForm, known: () => page.known });

/** Kind and email survive a reload in this tab, the password never does. */
function who() {
  const [kind, email, password] = ['kind', 'email', 'password'].map((id) => byId(id).value);
  return { kind, email: email.trim(), password, deviceName: guessDeviceName() };
}

function remember({ kind, email }) {
  try {
    sessionStorage.setItem(REMEMBERED, JSON.stringify({ kind, email }));
  } catch {
    // Without storage the owner types the address again.
  }
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(REMEMBERED)) ?? {};
  } catch {
    return {}; // Nothing usable stored.
  }
}

const fail = (error) => showError(byId('error'), error);

function inform(key) {
  const notice = byId('notice');
  notice.hidden = !key;
  if (key) say(notice, key);
  else hush(notice);
}

async function submit() {
  fail(null);
  inform(null);
  const attempt = new AbortController();
  page.attempt = attempt;
  say(byId('submit'), 'login.busy');
  const person = who();
  remember(person);
  try {
    const onWaiting = ({ methods }) => showWaiting(methods);
    finish(await login({ ...person, socket, signal: attempt.signal, onWaiting }));
  } catch (error) {
    // Cancelled, or a typed code was quicker: nothing went wrong.
    if (!attempt.signal.aborted) loginFailed(error);
  } finally {
    say(byId('submit'), 'login.submit');
    if (page.attempt === attempt) page.attempt = null;
    render();
  }
}

function showWaiting(methods) {
  page.methods = methods;
  page.waiting = true;
  render();
  focusOn(byId('waiting-title'));
}

function loginFailed(error) {
  page.waiting = false;
  // The form for codes may be open beside the wait; a lost phone is no reason to take it away.
  const stays = factor.isOpen && ENDED.has(error.code);
  if (!stays) factor.close();
  if (error.code === 'no_mobile') {
    page.methods = error.methods;
    factor.open(error.methods);
    return;
  }
  if (error.code === 'invalid_code') socket.renew(); // That approval is worth nothing with these credentials.
  if (error.code === 'refused' && !stays) byId('password').value = '';
  fail(error.code === 'invalid_code' ? { code: 'foreign_approval' } : error);
  if (stays) return;
  render();
  // Where the next try begins; after a wait the keyboard would otherwise be left on a hidden heading.
  byId('password').select();
}

/** Back to the form, and the phone's question withdrawn. */
function cancel() {
  page.attempt?.abort();
  page.waiting = false;
  factor.close();
  fail(null);
  byId('password').value = '';
  socket.renew();
  render();
  focusOn(byId('login-title'));
}

/** Another way in, by mail; what was typed so far goes along, but the password. */
function byMail(purpose) {
  fail(null);
  inform(null);
  byId('password').value = '';
  mail.open(purpose, who());
  render();
}

function backToForm() {
  mail.close();
  fail(null);
  render();
  focusOn(byId('login-title'));
}

/** The new password is set: now it is typed, and what has changed with it is told. */
function recovered(email) {
  mail.close();
  byId('email').value = email;
  render();
  inform('mail.recovered');
  byId('password').focus();
}

function finish(token) {
  page.token = token;
  page.waiting = false;
  page.attempt?.abort();
  byId('password').value = '';
  factor.close();
  mail.close();
  fail(null);
  socket.finish();
  byId('token').value = token;
  showClaims(byId('claims'), token, page.known.kinds);
  render();
  focusOn(byId('result-title'));
}

/** On a borrowed computer nothing may be left of the login, the address included. */
function wipe() {
  page.token = null;
  remember({});
  byId('email').value = '';
  byId('token').value = '';
  byId('claims').replaceChildren();
}

/** Takes the login along to the page of the account, so that nobody has to prove everything twice. */
function manage() {
  handOver(page.token);
  wipe();
  location.assign('/account');
}

async function forget() {
  const { token } = page;
  wipe();
  socket.start();
  render();
  focusOn(byId('login-title'));
  const told = await logout({ token }).then(() => true, () => false);
  inform(told ? 'result.forgotten' : 'result.forgotten.here');
}

function renew() {
  fail(null);
  socket.renew();
}

function render() {
  const state = page.token ? 'done' : socket.state;
  const status = byId('status');
  status.dataset.state = state === 'idle' ? 'connecting' : state;
  say(status, `state.${status.dataset.state}`);
  showOnly({
    start: !page.token && !page.waiting && !factor.isOpen && !mail.isOpen,
    waiting: !page.token && page.waiting,
    result: Boolean(page.token),
  });
  renderQr();
  renderWaiting();
}

function renderQr() {
  const ended = ENDED.has(socket.state);
  // Once asked, by this page or by a scan, the code has done its work.
  const underway = !ended && socket.askDeadline !== null;
  const usable = Boolean(socket.uuid) && !ended && !underway;
  showOnly({ qr: usable, 'qr-link': usable, renew: ended, 'qr-panel': !underway });
  say(byId('qr-text'), ended ? 'qr.ended' : usable ? 'qr.hint' : 'qr.waiting');
  say(byId('lead'), underway && !page.attempt ? 'login.again' : 'login.lead');
  const link = usable ? pairingLink(page.known.publicUrl, socket.uuid) : null;
  if (link === page.link) return;
  page.link = link;
  byId('qr').replaceChildren(...(link ? [drawQr(link)] : []));
  if (link) byId('qr-link').href = link;
  else byId('qr-link').removeAttribute('href');
}

function renderWaiting() {
  const approved = socket.state === 'approved';
  say(byId('waiting-text'), approved ? 'waiting.finishing' : 'waiting.text', { email: who().email });
  showOnly({ left: !approved, 'match-box': Boolean(socket.match) && !approved, 'waiting-actions': !factor.isOpen });
  const typed = page.methods.some((method) => TYPED.includes(method) && method !== 'BACKUPCODE');
  say(byId('use-another'), typed ? 'waiting.another' : 'waiting.other');
  timeLeft.tick();
  byId('match').textContent = socket.match ? `${socket.match.slice(0, 3)} ${socket.match.slice(3)}` : '';
}

/** The phone keeps its question meanwhile: whichever is quicker counts. */
function useAnotherWay() {
  factor.open(page.methods);
  render();
}

async function start() {
  const remembered = recall();
  takeHandOver(); // One that nobody took is not left lying about.
  startLanguages();
  byId('email').value ||= remembered.email ?? '';
  onSubmit(byId('login-form'), byId('submit'), submit);
  byId('cancel').addEventListener('click', cancel);
  byId('use-another').addEventListener('click', useAnotherWay);
  for (const purpose of ['login', 'recover']) byId(`mail-${purpose}`).addEventListener('click', () => byMail(purpose));
  byId('manage').addEventListener('click', manage);
  byId('renew').addEventListener('click', renew);
  byId('forget').addEventListener('click', forget);
  byId('copy').addEventListener('click', () => copyFrom(byId('copy'), page.token, 'result.copy'));
  // The browser may keep a page that was left, to show it again: that one begins anew.
  addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  socket.addEventListener('change', render);
  socket.addEventListener('failure', ({ error }) => fail(error));
  socket.start();
  page.known = await settings();
  fillKinds(byId('kind'), page.known.kinds, remembered.kind);
  render();
}

start();
