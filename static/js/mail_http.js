// Login by mailed words, as requests: the words are asked for, shown, and what they prove is used.

import { LoginError, request } from './http.js';

const post = (path, body) => request(path, { method: 'POST', body });

/** What went wrong, in a code of this page: the same status means another thing on each of these routes. */
const told = (error, codes) => {
  const code = codes[error.status];
  return code ? new LoginError(code, { status: error.status, retryAfter: error.retryAfter }) : error;
};

async function answered(path, body, codes) {
  try {
    return await post(path, body);
  } catch (error) {
    throw told(error, codes);
  }
}

const OVER = { 410: 'mail_over' };

/**
 * Mails three words. @returns {Promise<string>} the token that waits for them
 * @param {{mail: string, locale: string}} options
 */
export async function mailWords({ mail, locale }) {
  const answer = await answered('/auth/send-mail-login-code-v2', { mail, locale }, { 400: 'not_an_address' });
  if (answer.mailAddressNotWhitelisted) throw new LoginError('mail_not_allowed');
  if (answer.mailServerBlacklisted) throw new LoginError('mail_blocked');
  return answer.mailLoginToken;
}

/** Shows the words. @returns {Promise<string>} the proof of the address */
export async function showWords({ words, mailLoginToken }) {
  const body = { receivedCode: words, mailLoginToken };
  const codes = { ...OVER, 403: 'words_wrong' };
  return (await answered('/auth/sign-in-by-mail-code', body, codes)).mailAuthToken;
}

/** @returns {Promise<{token?: string, methods?: string[], mailAuthToken?: string}>} a token, or what else is needed */
export const signInByMail = (body) =>
  answered('/auth/mail-auth/sign-in', body, { ...OVER, 404: 'mail_no_account' });

/** @returns {Promise<{token: string}>} */
export const createByMail = (body) =>
  answered('/auth/mail-auth/create-account', body, { ...OVER, 403: 'mail_no_account', 409: 'mail_taken' });

export const recoverByMail = (body) =>
  answered('/auth/mail-auth/recover-password', body, { ...OVER, 404: 'mail_no_account' });
