// Three words by mail on the page that logs in: they log in, make an account, or set a new password.
// What they prove lives in this closure until it is used; leaving the card forgets it.

import { describeBrowser, guessDeviceName } from './device.js';
import { byId, el, fillKinds, onSubmit, showError } from './dom.js';
import { currentLanguage, hush, say } from './i18n.js';
import { createByMail, mailWords, recoverByMail, showWords, signInByMail } from './mail_http.js';

const STEPS = ['mail-ask', 'mail-words', 'mail-second', 'mail-create', 'mail-renew'];
const FIELDS = ['mail-address', 'mail-typed', 'mail-proof', 'mail-name', 'mail-create-new', 'mail-create-again',
  'mail-renew-new', 'mail-renew-again', 'mail-second-user', 'mail-create-user', 'mail-renew-user'];
const OVER = new Set(['mail_over', 'mail_no_account', 'mail_taken', 'disabled']); // Nothing to try again with.
const TRIES = 3; // Of the words: after the third wrong one they are void.

/**
 * @param {object} options
 * @param {(token: string) => void} options.onToken
 * @param {(email: string) => void} options.onRecovered
 * @param {() => void} options.onBack
 * @param {() => {kinds: {id: string, name: string}[], registrationKinds?: string[]}} options.known
 */
export function mailLogin({ onToken, onRecovered, onBack, known }) {
  const nothing = { purpose: 'login', mail: '', kind: '', waiting: null, proof: null, wrong: 0 };
  let state = nothing;
  const fail = (error) => showError(byId('error'), error);

  /** Shows one step with its title and lead, and leads the keyboard to its first field. */
  function step(id, texts, field) {
    for (const form of STEPS) byId(form).hidden = form !== id;
    say(byId('mail-title'), `${texts}.title`);
    say(byId('mail-lead'), `${texts}.lead`, { email: state.mail });
    for (const user of ['mail-second-user', 'mail-create-user', 'mail-renew-user']) byId(user).value = state.mail;
    byId(field).focus();
  }

  const askStep = () => step('mail-ask', `mail.${state.purpose}`, 'mail-address');

  function clear() {
    state = nothing;
    for (const id of FIELDS) byId(id).value = '';
  }

  /** What was proven is over: from the beginning, with the address still there. */
  function beginAgain() {
    const { purpose, mail, kind } = state;
    clear();
    state = { ...nothing, purpose, mail, kind };
    byId('mail-address').value = mail;
    askStep();
  }

  function failed(error, field) {
    if (OVER.has(error.code)) beginAgain();
    else byId(field).select();
    fail(error);
  }

  /** Runs one step; what it rejects with is told, and `field` is where the next try begins. */
  const steps = (field, attempt) => async () => {
    fail(null);
    try {
      await attempt();
    } catch (error) {
      failed(error, field);
    }
  };

  async function ask() {
    const [mail, kind] = ['mail-address', 'mail-kind'].map((id) => byId(id).value.trim());
    const waiting = await mailWords({ mail, locale: currentLanguage() });
    state = { ...state, mail, kind, waiting, wrong: 0 };
    byId('mail-typed').value = '';
    step('mail-words', 'mail.words', 'mail-typed');
  }

  async function show() {
    // They count once: after a lost connection, what they proved is used.
    state.proof ??= await showWords({ words: byId('mail-typed').value, mailLoginToken: state.waiting }).catch((error) => {
      if (error.code === 'words_wrong') error.code = leftAfter((state.wrong += 1));
      throw error;
    });
    if (state.purpose === 'recover') step('mail-renew', 'mail.renew', 'mail-renew-new');
    else await signIn({});
  }

  const leftAfter = (wrong) => (TRIES - wrong > 1 ? 'words_wrong_2' : 'words_wrong_1');
  const proven = () => ({ mailAuthToken: state.proof, type: state.kind });
  const device = () => ({ ...describeBrowser(), name_device: guessDeviceName() });

  async function signIn(second) {
    try {
      const answer = await signInByMail({ ...proven(), ...second, ...device() });
      if (answer.token) return onToken(answer.token);
      state.proof = answer.mailAuthToken;
      offer(answer.methods ?? []);
    } catch (error) {
      // Only the owner of the address gets here: who has no account may make one.
      if (error.code !== 'mail_no_account' || !known().registrationKinds?.includes(state.kind)) throw error;
      step('mail-create', 'mail.create', 'mail-name');
    }
  }

  /** Where nothing but mail is on, the password comes beside it: mail is one channel, and asked for already. */
  function offer(methods) {
    const ways = [
      methods.includes('AUTHENTIFICATOR') && 'AUTHENTIFICATOR',
      !methods.includes('AUTHENTIFICATOR') && !methods.includes('MOBILE') && 'PASSWORD',
      'BACKUPCODE',
    ].filter(Boolean);
    const option = (way) => say(el('option', { value: way }), way === 'PASSWORD' ? 'field.password' : `factor.${way}`);
    byId('mail-method').replaceChildren(...ways.map(option));
    byId('mail-method').closest('.field').hidden = ways.length === 1;
    adapt();
    step('mail-second', 'mail.second', 'mail-proof');
  }

  function adapt() {
    const [way, input] = [byId('mail-method').value, byId('mail-proof')];
    const isPassword = way === 'PASSWORD';
    say(byId('mail-proof-label'), isPassword ? 'field.password' : `factor.code.${way}`);
    input.type = isPassword ? 'password' : 'text';
    input.autocomplete = isPassword ? 'current-password' : 'one-time-code';
    input.inputMode = way === 'AUTHENTIFICATOR' ? 'numeric' : 'text';
    input.classList.toggle('code-input', !isPassword);
    input.value = '';
  }

  async function second() {
    const typed = byId('mail-proof').value;
    const isPassword = byId('mail-method').value === 'PASSWORD';
    await signIn(isPassword ? { password: typed } : { otp: typed.replace(/\s/g, '') }).catch((error) => {
      if (error.code === 'bad_credentials') error.code = 'wrong_password';
      throw error;
    });
  }

  /** @returns {string|null} the password that was typed twice, or null after saying that it was not */
  function typedTwice(form) {
    const [fresh, again] = [`${form}-new`, `${form}-again`].map(byId);
    if (fresh.value === again.value) return fresh.value;
    fail({ code: 'password_differs' });
    again.select();
    return null;
  }

  async function create() {
    const password = typedTwice('mail-create');
    if (password === null) return;
    const name = byId('mail-name').value.trim();
    const { token } = await createByMail({ ...proven(), password, ...(name && { name }), ...device() });
    onToken(token);
  }

  async function renew() {
    const password = typedTwice('mail-renew');
    if (password === null) return;
    await recoverByMail({ ...proven(), password });
    onRecovered(state.mail);
  }

  onSubmit(byId('mail-ask'), byId('mail-ask-submit'), steps('mail-address', ask));
  onSubmit(byId('mail-words'), byId('mail-words-submit'), steps('mail-typed', show));
  onSubmit(byId('mail-second'), byId('mail-second-submit'), steps('mail-proof', second));
  onSubmit(byId('mail-create'), byId('mail-create-submit'), steps('mail-create-new', create));
  onSubmit(byId('mail-renew'), byId('mail-renew-submit'), steps('mail-renew-new', renew));
  byId('mail-method').addEventListener('change', adapt);
  byId('mail-again').addEventListener('click', () => {
    fail(null);
    beginAgain();
  });
  for (const button of document.querySelectorAll('[data-mail-back]')) button.addEventListener('click', onBack);

  return {
    get isOpen() {
      return !byId('mail').hidden;
    },

    /** @param {'login'|'recover'} purpose @param {{kind: string, email: string}} who as far as it was typed */
    open(purpose, { kind, email }) {
      clear();
      state = { ...nothing, purpose };
      fillKinds(byId('mail-kind'), known().kinds, kind);
      byId('mail-address').value = email;
      byId('mail').hidden = false;
      askStep();
    },

    close() {
      byId('mail').hidden = true;
      hush(byId('mail-lead')); // It names the address.
      clear();
    },
  };
}
