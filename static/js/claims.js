// Shows a token's claims as a table people can read.

import { el } from './dom.js';
import { hasText, moment, say, t } from './i18n.js';
import { decodeClaims } from './readylogin.js';

const when = (seconds) => (seconds ? () => moment(seconds * 1000) : undefined);

/** `urn:readylogin:acr:tap` in words, with the value itself beside them. */
function level(acr) {
  if (!acr) return undefined;
  const key = `acr.${acr.split(':').pop()}`;
  return hasText(key) ? () => `${t(key)} (${acr})` : acr;
}

/** Whose login it is: under the kind's own name, where upstream's clients look for it. */
export const emailOf = (claims, kinds) => claims.email ?? kinds.map(({ name }) => claims[name]).find(Boolean);

/** The readable rows: `[name, value]`, values as text or as a function that gives it in the present language. */
function rowsOf(claims, kinds) {
  return [
    ['sub', claims.sub],
    ['email', emailOf(claims, kinds)],
    ['amr', claims.amr?.join(', ')],
    ['acr', level(claims.acr)],
    ['device', claims.name_device ?? claims.device_id],
    ['auth_time', when(claims.auth_time)],
    ['exp', when(claims.exp)],
  ].filter(([, value]) => value !== undefined && value !== null);
}

/** @param {HTMLElement} body the table's body @param {string} token @param {{name: string}[]} kinds */
export function showClaims(body, token, kinds) {
  const rows = rowsOf(decodeClaims(token) ?? {}, kinds).map(([name, value]) => {
    const head = say(el('th', { scope: 'row' }), `claim.${name}`);
    const cell = say(el('td'), 'value', { value });
    const row = el('tr', {}, head, cell);
    row.dataset.claim = name;
    return row;
  });
  body.replaceChildren(...rows);
}
