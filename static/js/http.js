// The HTTP half of the client: one request function, one typed error, and a helper for each route the pages use.

/**
 * Everything that can go wrong on the way to a token.
 * `code` is stable and meant for programs, `message` is the server's own text.
 */
export class LoginError extends Error {
  /**
   * @param {string} code stable code, e.g. `bad_credentials`, `expired`, `refused`, `network`
   * @param {object} [details]
   * @param {string} [details.message] the server's words
   * @param {number} [details.status] HTTP status, 0 when there was none
   * @param {number} [details.retryAfter] seconds until it makes sense to try again
   * @param {string[]} [details.methods] second factors the account has, where that is the news
   */
  constructor(code, { message = code, status = 0, retryAfter, methods } = {}) {
    super(message);
    this.name = 'LoginError';
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
    this.methods = methods;
  }

  /** A socket's `{"message","error","retryAfter"?}` frame as an error. */
  static fromFrame(frame) {
    return new LoginError(frame.error ?? 'internal', { message: frame.message, retryAfter: frame.retryAfter });
  }
}

// The sentences that servers of this kind share. They come before a server's own code, so that one text fits all.
const CODE_OF_MESSAGE = {
  'Email and password mismatch': 'bad_credentials',
  'invalid 2FA token': 'invalid_code',
  'invalid backup code': 'invalid_code',
  'token 2fa is invalid': 'invalid_code',
  'email is not a valid 2FA method': 'no_method',
  'no 2FA method associated with': 'no_method',
  'the new password is too short: at least 8 characters': 'password_short',
  'the new password is too long: at most 256 characters': 'password_long',
  'the new password is too easy to guess': 'password_guessable',
  'Invalid JSON input': 'bad_message',
  'Invalid or missing field': 'bad_message',
};

const CODE_OF_STATUS = {
  400: 'bad_message',
  401: 'not_authenticated',
  403: 'forbidden',
  404: 'not_found',
  423: 'locked',
  429: 'too_many_requests',
  503: 'busy',
};

/** Seconds from a Retry-After header, which may also be a date. */
function retryAfterOf(response) {
  const value = response.headers.get('Retry-After');
  if (!value) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

function codeOf(response, body) {
  const challenge = response.headers.get('WWW-Authenticate') ?? '';
  if (response.status === 401 && challenge.includes('insufficient_user_authentication')) return 'password_needed';
  return CODE_OF_MESSAGE[body?.message] ?? body?.error ?? CODE_OF_STATUS[response.status] ?? 'internal';
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null; // No body (204) or not JSON (a proxy's page): the status alone must tell.
  }
}

/**
 * One request. Resolves with the parsed body, rejects with a LoginError (or the signal's reason).
 * @param {string} path
 * @param {object} [options]
 * @param {string} [options.server] origin of the broker, '' for the page's own
 * @param {string} [options.method]
 * @param {object} [options.body] sent as JSON
 * @param {string} [options.token] sent as Bearer
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<any>}
 */
export async function request(path, { server = '', method = 'GET', body, token, signal } = {}) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(server + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: 'omit',
      cache: 'no-store',
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new LoginError('network', { message: error.message });
  }
  const answer = await readJson(response);
  if (response.ok) return answer;
  throw new LoginError(codeOf(response, answer), {
    message: answer?.message ?? response.statusText,
    status: response.status,
    retryAfter: retryAfterOf(response),
  });
}

const authPath = (kind, route) => `/auth/${encodeURIComponent(kind)}/${route}`;

/** Adds the device's name where the caller has one; the server shows it in the list of devices. */
const withDevice = (body, deviceName) => (deviceName ? { ...body, name_device: deviceName } : body);

/**
 * The password step. @returns {Promise<{token?: string, Methods?: string[]}>}
 * @param {{kind: string, email: string, password: string, deviceName?: string, server?: string, signal?: AbortSignal}} options
 */
export function passwordStep({ kind, email, password, deviceName, server, signal }) {
  const body = withDevice({ email, password }, deviceName);
  return request(authPath(kind, 'login'), { method: 'POST', body, server, signal });
}

// Which route, and which field of its body, redeems a code of which method.
const REDEEM = {
  MOBILE: ['mobile_2fa', 'token_2fa'],
  EMAIL: ['email_2fa', 'token_2fa'],
  AUTHENTIFICATOR: ['third_party_2fa', 'token_2fa'],
  BACKUPCODE: ['backup_code_2fa', 'backup_code'],
};

/**
 * The second step: a code of the given method becomes the token.
 * @param {'MOBILE'|'EMAIL'|'AUTHENTIFICATOR'|'BACKUPCODE'} method
 * @param {{kind: string, email: string, password: string, code: string, deviceName?: string, server?: string, signal?: AbortSignal}} options
 * @returns {Promise<string>} the token
 */
export async function redeem(method, { kind, email, password, code, deviceName, server, signal }) {
  const [route, field] = REDEEM[method];
  const body = withDevice({ email, password, [field]: code }, deviceName);
  const { token } = await request(authPath(kind, route), { method: 'POST', body, server, signal });
  return token;
}

/** Asks for a login code by mail. @param {{email: string, server?: string, signal?: AbortSignal}} options */
export function mailCode({ email, server, signal }) {
  return request('/auth/sending_email', { method: 'POST', body: { email }, server, signal });
}

const DEFAULT_KINDS = [
  { id: 'p', name: 'patient' },
  { id: 'd', name: 'doctor' },
  { id: 'a', name: 'admin' },
];

/**
 * What the pages need to know of the server. Never rejects: a page with defaults beats no page.
 * @param {{server?: string}} [options]
 * @returns {Promise<{kinds: {id: string, name: string}[], registration: string, registrationKinds: string[], publicUrl: string}>}
 */
export async function settings({ server = '' } = {}) {
  const known = await request('/settings.json', { server }).catch(() => null);
  return {
    kinds: known?.kinds?.length ? known.kinds : DEFAULT_KINDS,
    registration: known?.registration ?? 'closed',
    registrationKinds: known?.registrationKinds ?? [],
    publicUrl: (known?.publicUrl || server || location.origin).replace(/\/+$/, ''),
  };
}

/** The row of this very session in the account's list of devices. */
export async function currentDevice({ token, server, signal }) {
  const { devices } = await request('/dashboard/devices', { token, server, signal });
  const device = devices?.find(({ current }) => current);
  if (!device) throw new LoginError('unknown_device');
  return device;
}

/**
 * Makes a device of the account an approving one. `password` only where the server asks for it (`password_needed`).
 * @returns {Promise<{methods: string[], backup_codes?: string[], token: string}>}
 */
export function trustDevice({ token, deviceId, password, server, signal }) {
  const body = { method_2fa: 'MOBILE', trusted_device_id: deviceId };
  if (password) body.password = password;
  return request('/2fa/method/mobile', { method: 'POST', token, body, server, signal });
}

/** Revokes a device: its session ends, its socket drops. */
export function revokeDevice({ token, deviceId, password, server, signal }) {
  const body = password ? { password } : undefined;
  const path = `/dashboard/device/${encodeURIComponent(deviceId)}`;
  return request(path, { method: 'DELETE', token, body, server, signal });
}

/** Ends the session behind a token. */
export function logout({ token, server, signal }) {
  return request('/api/v1/auth/logout', { method: 'POST', token, body: {}, server, signal });
}

/**
 * The claims inside a token, for display only: nothing here checks the signature.
 * @param {string} token
 * @returns {Record<string, any>|null} null when it is no JWT
 */
export function decodeClaims(token) {
  try {
    const base64 = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
