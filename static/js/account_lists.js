// The lists on `/account`: phones that approve, devices that are not asked for a second step, and all logins.

import { endAllSessions, endSession, removeTrust, stopApproving } from './account_http.js';
import { sure } from './dialogs.js';
import { byId, el, focusOn } from './dom.js';
import { moment, say, t } from './i18n.js';

const at = (seconds) => () => moment(seconds * 1000);

/** What a device is called: its own name, else what it runs. */
function nameOf({ name, browser, os }) {
  if (name) return name;
  if (browser && os) return () => t('ask.what', { browser, os });
  return browser || os || (() => t('devices.nameless'));
}

function usedOf({ last_used: used, date, last_ip: lastIp, ip_address: firstIp }) {
  const address = lastIp || firstIp;
  return ['span', address ? 'devices.used' : 'devices.used.nowhere', { time: at(used || date), address }];
}

const programs = ({ name, browser, os }) => {
  const what = browser && os ? { browser, os } : null;
  return what && name ? [['span', 'devices.what', { what: () => t('ask.what', what) }]] : [];
};

/**
 * One entry: a name, what is known of it, and the button that ends it.
 * @param {object} thing
 * @param {{list: string, badges?: string[], facts: Array, action?: string, onAction?: () => void}} options
 */
function entry(thing, { list, badges = [], facts, action, onAction }) {
  const nameId = `${list}-${thing.id}`;
  const title = el('p', { className: 'thing-name' }, say(el('strong', { id: nameId }), 'value', { value: nameOf(thing) }));
  for (const badge of badges) title.append(' ', say(el('span', { className: 'badge' }), badge));
  const lines = facts.map(([tag, key, values]) => say(el(tag), key, values));
  const item = el('li', { className: 'thing' }, el('div', {}, title, el('p', { className: 'hint' }, ...lines)));
  item.dataset.id = thing.id;
  if (action) {
    const button = say(el('button', { type: 'button', id: `${nameId}-end`, onclick: onAction }), action);
    // "Stop Pixel": each button says of what, without new words.
    button.setAttribute('aria-labelledby', `${button.id} ${nameId}`);
    item.append(button);
  }
  return item;
}

/** @param {{change: Function, inform: Function, leave: Function}} account */
export function deviceLists(account) {
  let sessions = [];

  /** Asks, ends one thing, and tells. */
  async function end(thing, what, attempt, { focus, more }) {
    const values = { name: nameOf(thing) };
    if (!(await sure(what, { values, more }))) return;
    if (!(await account.change((token, password) => attempt(token, thing.id, password)))) return;
    focusOn(byId(focus));
    account.inform(`ended.${what}`, values);
  }

  /** What follows when a phone approves no more. */
  function lastPhone(devices, methods) {
    if (devices.filter((device) => device.trust_device).length > 1) return undefined;
    const others = methods.some((method) => method !== 'MOBILE' && method !== 'BACKUPCODE');
    return others ? 'sure.last-phone' : 'sure.last-phone.alone';
  }

  function renderPhones(devices, methods) {
    const phones = devices.filter((device) => device.trust_device);
    const more = lastPhone(devices, methods);
    const items = phones.map((phone) =>
      entry(phone, {
        list: 'phone',
        badges: phone.current ? ['devices.this'] : [],
        facts: [...programs(phone), usedOf(phone)],
        action: 'devices.stop',
        onAction: () => end(phone, 'stop', stopApproving, { focus: 'name-MOBILE', more }),
      }),
    );
    byId('phones').replaceChildren(...items);
    byId('phones').hidden = items.length === 0;
  }

  function renderTrusted(trusted) {
    const items = trusted.map((device) =>
      entry(device, {
        list: 'trusted',
        facts: [usedOf(device), ['span', 'trusted.until', { time: at(device.expires) }]],
        action: 'trusted.end',
        onAction: () => end(device, 'untrust', removeTrust, { focus: 'trusted-title' }),
      }),
    );
    byId('trusted').replaceChildren(...items);
    byId('trusted').hidden = items.length === 0;
    byId('trusted-none').hidden = items.length > 0;
  }

  function renderSessions(devices, methods) {
    const latest = (session) => session.last_used || session.date;
    const sorted = [...sessions].sort((a, b) => b.current - a.current || latest(b) - latest(a));
    const items = sorted.map((session) => {
      const badges = [session.current && 'devices.this', session.trust_device && 'devices.approves'].filter(Boolean);
      const facts = [...programs(session), usedOf(session), ['span', 'devices.since', { time: at(session.date) }]];
      const more = session.trust_device ? lastPhone(devices, methods) ?? 'sure.revoke.phone' : undefined;
      const onAction = () => end(session, 'revoke', endSession, { focus: 'devices-title', more });
      const action = session.current ? null : 'devices.revoke';
      return entry(session, { list: 'device', badges, facts, onAction, action });
    });
    byId('devices').replaceChildren(...items);
    byId('end-others').hidden = others().length === 0;
  }

  /** Phones that approve are the second step, and are ended as such. */
  const others = () => sessions.filter((session) => !session.current && !session.trust_device);

  async function endOthers() {
    if (!(await sure('end-others'))) return;
    const attempt = async (token) => {
      for (const { id } of others()) {
        await endSession(token, id).catch((error) => {
          if (error.code !== 'not_found') throw error; // It has ended by itself.
        });
      }
    };
    if (!(await account.change(attempt))) return;
    focusOn(byId('devices-title'));
    account.inform('ended.end-others');
  }

  async function endAll() {
    const approves = sessions.some((session) => session.current && session.trust_device);
    if (!(await sure('end-all', { more: approves ? 'sure.end-all.phone' : undefined }))) return;
    await account.change(async (token) => {
      await endAllSessions(token);
      account.leave('ended.end-all');
    });
  }

  byId('end-others').addEventListener('click', endOthers);
  byId('end-all').addEventListener('click', endAll);

  return {
    render({ devices, trusted, methods, sessions: read }) {
      sessions = read;
      renderPhones(devices, methods);
      renderTrusted(trusted);
      renderSessions(devices, methods);
    },

    clear() {
      sessions = [];
      for (const id of ['phones', 'trusted', 'devices']) byId(id).replaceChildren();
    },
  };
}
