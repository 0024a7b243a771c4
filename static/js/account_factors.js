// The second factors on `/account`: which are on, turning them on and off, new backup codes.

import { addMail, newCodes, removeMethod } from './account_http.js';
import { totpSetup } from './account_totp.js';
import { sure } from './dialogs.js';
import { byId, focusOn, showOnly } from './dom.js';
import { hush, say } from './i18n.js';
import { drawQr } from './qr.js';

const METHODS = ['EMAIL', 'AUTHENTIFICATOR', 'MOBILE', 'BACKUPCODE'];
const FEW = 3; // So few backup codes left are worth a warning.

/** Backup codes help, but alone they ask nobody for anything. */
const counting = (methods) => methods.filter((method) => method !== 'BACKUPCODE');

/** @param {{change: Function, inform: Function, showCodes: Function}} account */
export function factorRows(account) {
  let methods = [];
  let codesLeft = 0;
  let phones = 0;
  const totp = totpSetup(account, { onDone: totpIsOn, onClose: renderRows });

  async function turnOnMail() {
    const done = await account.change(addMail);
    if (!done) return;
    if (done.answer.backup_codes?.length) account.showCodes(done.answer.backup_codes, 'name-EMAIL');
    else focusOn(byId('name-EMAIL'));
    account.inform('factors.now.EMAIL');
  }

  /** The server's answer has no place for backup codes, so they are offered. */
  async function totpIsOn() {
    focusOn(byId('name-AUTHENTIFICATOR'));
    account.inform('factors.now.AUTHENTIFICATOR');
    if (codesLeft === 0 && (await sure('first-codes', { no: 'sure.first-codes.no' }))) await makeCodes();
  }

  async function turnOff(method) {
    const last = method !== 'BACKUPCODE' && counting(methods).every((other) => other === method);
    const more = last ? 'sure.last' : method === 'BACKUPCODE' ? undefined : 'sure.others-end';
    if (!(await sure(`off.${method}`, { more }))) return;
    if (!(await account.change((token, password) => removeMethod(token, method, password)))) return;
    focusOn(byId(`name-${method}`));
    account.inform(`factors.gone.${method}`);
  }

  async function askForCodes() {
    if (codesLeft === 0 || (await sure('new-codes'))) await makeCodes();
  }

  async function makeCodes() {
    const done = await account.change(newCodes);
    if (done) account.showCodes(done.answer, 'name-BACKUPCODE');
  }

  function renderRows() {
    const on = counting(methods).length > 0;
    say(byId('protection'), on ? 'factors.some' : 'factors.none');
    for (const method of METHODS) {
      const has = methods.includes(method);
      byId(`state-${method}`).dataset.state = has ? 'on' : 'off';
      say(byId(`state-${method}`), has ? 'factors.is-on' : 'factors.is-off');
      byId(`off-${method}`).hidden = !has;
      const add = byId(`on-${method}`);
      if (add) add.hidden = has;
    }
    byId('on-AUTHENTIFICATOR').hidden ||= totp.isOpen;
    if (methods.includes('MOBILE') && phones === 0) warn('MOBILE', 'factors.no-phone');
    renderCodes(on);
  }

  function warn(method, key) {
    byId(`state-${method}`).dataset.state = 'few';
    say(byId(`state-${method}`), key);
  }

  function renderCodes(on) {
    const state = byId('state-BACKUPCODE');
    const few = on && codesLeft <= FEW;
    state.dataset.state = few ? 'few' : codesLeft > 0 ? 'on' : 'off';
    say(byId('hint-BACKUPCODE'), on ? 'factors.hint.BACKUPCODE' : 'factors.codes.later');
    if (!on) say(state, 'factors.is-off');
    else say(state, codesLeft > 0 ? 'factors.codes.left' : 'factors.codes.none', { count: codesLeft });
    byId('on-BACKUPCODE').hidden = !on;
    say(byId('on-BACKUPCODE'), codesLeft > 0 ? 'factors.codes.new' : 'factors.codes.make');
  }

  byId('on-EMAIL').addEventListener('click', turnOnMail);
  byId('on-AUTHENTIFICATOR').addEventListener('click', () => totp.open());
  byId('on-BACKUPCODE').addEventListener('click', askForCodes);
  for (const method of METHODS) byId(`off-${method}`).addEventListener('click', () => turnOff(method));

  return {
    render(read, { publicUrl }) {
      ({ methods, codesLeft } = read);
      phones = read.devices.filter((device) => device.trust_device).length;
      const link = `${publicUrl}/phone`;
      if (byId('phone-link').textContent !== link) {
        byId('phone-qr').replaceChildren(drawQr(link, 'factors.add-phone.qr'));
        Object.assign(byId('phone-link'), { href: link, textContent: link });
      }
      renderRows();
    },

    clear() {
      methods = [];
      codesLeft = 0;
      totp.close();
      showOnly(Object.fromEntries(METHODS.map((method) => [`off-${method}`, false])));
      for (const id of ['protection', ...METHODS.map((method) => `state-${method}`)]) hush(byId(id));
    },
  };
}
