// What `/account` asks the server for and tells it: one function for each route, the token first.

import { request } from './http.js';

const one = (path, id) => `${path}/${encodeURIComponent(id)}`;

/** A body that may carry the password, where the server has asked for one. */
const fresh = (password, body) => (password ? { ...body, password } : body);

const SESSIONS = '/api/v1/auth/sessions';
const READ = ['/dashboard/2fa', '/dashboard/devices', '/dashboard/2fa/trusted', SESSIONS];

/**
 * All that the page shows.
 * @returns {Promise<{methods: string[], codesLeft: number, devices: object[], trusted: object[], sessions: object[]}>}
 */
export async function readAccount(token) {
  const [factors, { devices }, { trusted }, { sessions }] = await Promise.all(
    READ.map((path) => request(path, { token })),
  );
  const { methods, backup_codes_left: codesLeft = 0 } = factors.double_auth;
  return { methods, codesLeft, devices, trusted, sessions: sessions.map(asDevice) };
}

const seconds = (text) => Date.parse(text) / 1000;

/** A session in the words that the other lists have for a device. */
const asDevice = (session) => ({
  ...session,
  id: session.session_uuid,
  name: session.device_name,
  os: session.device_os,
  date: seconds(session.created_at),
  last_used: seconds(session.last_used_at),
  trust_device: session.approving,
});

/** @returns {Promise<{methods: string[], backup_codes?: string[]}>} */
export const addMail = (token, password) =>
  request('/2fa/method/email', { method: 'POST', token, body: fresh(password, { method_2fa: 'EMAIL' }) });

/** A secret that counts only once `proveTotp` has seen a code of it. @returns {Promise<{secret: string, url: string}>} */
export const newTotp = (token, password) =>
  request('/2fa/method/third_party/generate', { method: 'POST', token, body: fresh(password, {}) });

/** @param {string} code the first one of the new secret */
export const proveTotp = (token, code, password) =>
  request('/2fa/method/third_party', { method: 'POST', token, body: fresh(password, { token: code }) });

/** @param {'EMAIL'|'AUTHENTIFICATOR'|'MOBILE'|'BACKUPCODE'} method */
export const removeMethod = (token, method, password) =>
  request(one('/dashboard/2fa', method), { method: 'DELETE', token, body: fresh(password) });

/** @returns {Promise<string[]>} ten; the ones before are dead */
export async function newCodes(token, password) {
  const answer = await request('/auth/creation_backup_code', { method: 'POST', token, body: fresh(password, {}) });
  return answer.double_auth.code;
}

export const stopApproving = (token, id, password) =>
  request(one('/dashboard/2fa/device', id), { method: 'DELETE', token, body: fresh(password) });

export const removeTrust = (token, id, password) =>
  request(one('/dashboard/2fa/trusted', id), { method: 'DELETE', token, body: fresh(password) });

export const changePassword = (token, password, newPassword) =>
  request('/dashboard/password', { method: 'POST', token, body: { password, new_password: newPassword } });

export const endSession = (token, id) => request(one(SESSIONS, id), { method: 'DELETE', token });

/** Ends all sessions, this one too, but those of other phones that approve. */
export const endAllSessions = (token) => request('/api/v1/auth/logout?all=true', { method: 'POST', token, body: {} });

/** Everything that is kept about the account. */
export const exportData = (token, password) =>
  request('/dashboard/export', { method: 'POST', token, body: fresh(password, {}) });

export const removeAccount = (token, password) =>
  request('/dashboard/account', { method: 'DELETE', token, body: { password } });
