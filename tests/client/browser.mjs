// A person's browser: the official client with a cookie jar, and raw requests beside it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';

import { createAuthClient } from 'better-auth/client';
import { twoFactorClient } from 'better-auth/client/plugins';

import { Jar } from './jar.mjs';
import { Authenticator } from './totp.mjs';

export const server = process.env.SERVER;
const official = twoFactorClient().$ERROR_CODES;

export class Browser {
    jar = new Jar();
    // The last response, and what twoFactorClient() said about a sign-in that is not finished.
    response;
    redirected;

    constructor({ jar = new Jar(), bearer } = {}) {
        this.jar = jar;
        this.client = createAuthClient({
            baseURL: `${server}/api/auth`,
            plugins: [twoFactorClient({ onTwoFactorRedirect: (context) => { this.redirected = context; } })],
            fetchOptions: {
                customFetchImpl: (url, init) => this.#fetch(url, init),
                ...(bearer && { auth: { type: 'Bearer', token: () => bearer } }),
            },
        });
    }

    async #fetch(url, init) {
        const headers = new Headers(init.headers);
        const cookies = this.jar.header(url);
        if (cookies) {
            headers.set('cookie', cookies);
        }
        if (!['GET', 'HEAD'].includes(init.method.toUpperCase())) {
            headers.set('origin', server);
        }
        this.response = await fetch(url, { ...init, headers });
        this.jar.take(url, this.response.headers.getSetCookie());
        return this.response;
    }

    async session() {
        return done(await this.client.getSession());
    }
}

// Somebody with an account, signed up and signed in.
export class Person {
    constructor() {
        this.email = `p${randomBytes(6).toString('hex')}@client.example`;
        this.password = randomBytes(12).toString('base64url');
        this.browser = new Browser();
    }

    static async signedUp() {
        const person = new Person();
        const { email, password } = person;
        person.account = done(await person.client.signUp.email({ name: 'Ada', email, password }));
        return person;
    }

    // With an authenticator app set up; the browser at home keeps the session, `browser` is a new one.
    static async withTotp() {
        const person = await Person.signedUp();
        const { password } = person;
        const enabled = done(await person.client.twoFactor.enable({ password }));
        person.app = new Authenticator(enabled.totpURI);
        person.backupCodes = enabled.backupCodes;
        done(await person.client.twoFactor.verifyTotp({ code: await person.app.next() }));
        person.leaveHome();
        return person;
    }

    static async withMailedCodes() {
        const person = await Person.signedUp();
        done(await person.client.twoFactor.enable({ password: person.password, method: 'otp' }));
        person.leaveHome();
        return person;
    }

    get client() {
        return this.browser.client;
    }

    leaveHome() {
        this.home = this.browser;
        this.browser = new Browser();
    }

    async signIn(options = {}) {
        const { email, password } = this;
        return done(await this.client.signIn.email({ email, password, ...options }));
    }

    // Signs in and stands before the second factor.
    async signInHalfway(options) {
        const answer = await this.signIn(options);
        assert.equal(answer.twoFactorRedirect, true);
        assert.ok(this.browser.jar.has('two_factor'));
    }
}

// What the client got, after a success.
export function done({ data, error }) {
    assert.equal(error, null, `refused: ${JSON.stringify(error)}`);
    return data;
}

// The refusal's status and code, and the words that the official client knows for it.
export function refused({ data, error }, status, code) {
    assert.equal(data, null, `accepted: ${JSON.stringify(data)}`);
    assert.deepEqual({ status: error.status, code: error.code }, { status, code });
    assert.equal(error.message, official[code]?.message ?? error.message);
    assert.ok(error.message);
}

// A request by hand: no cookie, no Origin and no Sec-Fetch header but those given.
export function raw(method, path, { headers = {}, body } = {}) {
    const sent = body === undefined ? headers : { 'content-length': Buffer.byteLength(body), ...headers };
    return new Promise((resolve, reject) => {
        const asked = request(`${server}/api/auth${path}`, { method, headers: sent }, (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (chunk) => { text += chunk; });
            response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
            response.on('error', reject);
        });
        asked.on('error', reject);
        asked.end(body);
    });
}

export function json(value, headers = {}) {
    return { headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

export function rawRefused({ status, text }, expected, code, message) {
    assert.equal(status, expected, text);
    const answer = JSON.parse(text);
    assert.equal(answer.code, code);
    assert.equal(answer.message, message ?? answer.message);
}
