// The importable client: `login()` for a whole login, and the pieces it is made of.

import { LoginError, passwordStep, redeem } from './http.js';
import { LoginSocket } from './login_socket.js';

export {
  LoginError, currentDevice, decodeClaims, logout, mailCode, passwordStep, redeem, request, revokeDevice, settings,
  trustDevice,
} from './http.js';
export { LoginSocket } from './login_socket.js';
export { PhoneSocket } from './phone_socket.js';
export { backOff, socketUrl } from './line.js';
export { describeBrowser, guessDeviceName } from './device.js';

const EXCHANGE_TRIES = 3;

/** The address a phone opens to approve a pairing; what the QR code says. */
export function pairingLink(publicUrl, uuid) {
  return `${publicUrl.replace(/\/+$/, '')}/phone#u=${encodeURIComponent(uuid)}`;
}

/**
 * Logs in and resolves with the access token. Without a second factor that is one request; with an approving phone
 * it waits for the phone, over lost connections, until the phone answers or the ask expires.
 *
 * @example
 * const token = await login({ kind: 'p', email, password, onMatch: (digits) => show(digits) });
 *
 * @param {object} options
 * @param {string} options.kind the account's kind, e.g. `p`
 * @param {string} options.email
 * @param {string} options.password
 * @param {string} [options.deviceName] how to call this device in the account's list
 * @param {string} [options.server] origin of the broker, '' for the page's own
 * @param {string} [options.publicUrl] where phones reach the broker, for `onQr`
 * @param {AbortSignal} [options.signal] gives up
 * @param {LoginSocket} [options.socket] one that is open already; by default one is made and closed
 * @param {(digits: string) => void} [options.onMatch] six digits for the owner to compare with the phone's question
 * @param {(wait: {methods: string[], askDeadline: number}) => void} [options.onWaiting] the phone was asked
 * @param {(link: string) => void} [options.onQr] the pairing's link, to be shown as a QR code
 * @returns {Promise<string>}
 * @throws {LoginError} `bad_credentials`, `no_mobile` (see `methods`), `refused`, `expired`, `taken`, `locked`, …
 */
export async function login(options) {
  const first = await passwordStep(options);
  if (first.token) return first.token;
  const methods = first.Methods ?? [];
  if (!methods.includes('MOBILE')) throw new LoginError('no_mobile', { methods });

  const own = !options.socket;
  const socket = options.socket ?? new LoginSocket({ server: options.server, storage: null });
  try {
    const code = await approval(socket, methods, options);
    return await exchange({ ...options, code });
  } finally {
    if (own) socket.finish();
  }
}

/** From a socket in any state to the one-time code of an approval. */
async function approval(socket, methods, { kind, email, password, signal, server, publicUrl, onQr, onMatch, onWaiting }) {
  await socket.ready({ signal });
  onQr?.(pairingLink(publicUrl ?? (server || location.origin), socket.uuid));
  if (!alreadyAsked(socket, { kind, email })) {
    if (socket.state === 'approved') {
      // That approval was for somebody else; it dies unused.
      socket.renew();
      await socket.ready({ signal });
    }
    await abortable(socket.ask({ kind, email, password }), signal);
  }
  if (socket.match) onMatch?.(socket.match);
  if (socket.state === 'asked') onWaiting?.({ methods, askDeadline: socket.askDeadline });
  const end = await socket.until((state) => ['approved', 'refused', 'expired', 'taken', 'idle'].includes(state), { signal });
  if (end !== 'approved') throw new LoginError(end === 'idle' ? 'cancelled' : end);
  return socket.code;
}

/** True when a phone scanned the code, or this browser asked for the same account before it was reloaded. */
function alreadyAsked({ state, askedFor }, { kind, email }) {
  if (state !== 'asked' && state !== 'approved') return false;
  return !askedFor || (askedFor.kind === kind && askedFor.email.toLowerCase() === email.toLowerCase());
}

/** A code is worth a few tries: a busy server or a lost request does not spend it. */
async function exchange(options) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await redeem('MOBILE', options);
    } catch (error) {
      const passing = error.code === 'busy' || error.code === 'network';
      if (!passing || tried === EXCHANGE_TRIES) throw error;
      await sleep((error.retryAfter ?? tried) * 1000, options.signal);
    }
  }
}

function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

const sleep = (milliseconds, signal) => abortable(new Promise((resolve) => setTimeout(resolve, milliseconds)), signal);
