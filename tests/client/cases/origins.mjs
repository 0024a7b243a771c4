// Which pages may speak for a browser: CORS with credentials, and no request forged across sites.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Person, json, raw, rawRefused, server } from '../browser.mjs';

const allowed = process.env.ALLOWED_ORIGIN;
const foreign = 'https://evil.example';

function preflight(origin) {
    return raw('OPTIONS', '/sign-in/email', {
        headers: {
            origin,
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'content-type',
        },
    });
}

test('an allowed page may send credentials and read set-auth-token', async () => {
    const { email, password } = await Person.signedUp();
    const asked = await preflight(allowed);
    assert.ok(asked.status === 200 || asked.status === 204, asked.status);
    assert.equal(asked.headers['access-control-allow-origin'], allowed);
    assert.equal(asked.headers['access-control-allow-credentials'], 'true');
    assert.match(asked.headers['access-control-allow-methods'], /POST/);
    assert.match(asked.headers['access-control-allow-headers'], /content-type/i);

    const answer = await raw('POST', '/sign-in/email', json({ email, password }, { origin: allowed }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['access-control-allow-origin'], allowed);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.match(answer.headers['access-control-expose-headers'], /set-auth-token/i);
});

test('a foreign page gets no leave to read', async () => {
    const asked = await preflight(foreign);
    const answered = await raw('GET', '/get-session', { headers: { origin: foreign } });
    for (const answer of [asked, answered]) {
        assert.notEqual(answer.headers['access-control-allow-origin'], foreign);
        assert.notEqual(answer.headers['access-control-allow-origin'], '*');
    }
});

test('a change with a cookie needs an allowed Origin, or a Referer without one', async () => {
    const { browser } = await Person.signedUp();
    const cookie = browser.jar.header(server);
    const send = (headers) => raw('POST', '/two-factor/send-otp', json({}, { cookie, ...headers }));
    rawRefused(await send({}), 403, 'MISSING_OR_NULL_ORIGIN', 'Missing or null Origin');
    rawRefused(await send({ origin: 'null' }), 403, 'MISSING_OR_NULL_ORIGIN', 'Missing or null Origin');
    rawRefused(await send({ origin: foreign }), 403, 'INVALID_ORIGIN', 'Invalid origin');
    rawRefused(await send({ origin: `${server}.evil.example` }), 403, 'INVALID_ORIGIN');
    rawRefused(await send({ origin: foreign, referer: `${server}/` }), 403, 'INVALID_ORIGIN');
    rawRefused(await send({ referer: `${foreign}/page` }), 403, 'INVALID_ORIGIN');
    for (const headers of [{ origin: server }, { origin: allowed }, { referer: `${server}/page` }]) {
        assert.equal((await send(headers)).status, 200, JSON.stringify(headers));
    }
});

test('signing out with a cookie is checked as well, reading is not', async () => {
    const { browser } = await Person.signedUp();
    const cookie = browser.jar.header(server);
    rawRefused(await raw('POST', '/sign-out', json({}, { cookie, origin: foreign })), 403, 'INVALID_ORIGIN');
    const { status, text } = await raw('GET', '/get-session', { headers: { cookie, origin: foreign } });
    assert.equal(status, 200);
    assert.ok(JSON.parse(text).session);
});

test('signing in and up look at any Origin, cookie or not', async () => {
    const { email, password } = await Person.signedUp();
    const other = new Person();
    for (const [path, body] of [
        ['/sign-in/email', { email, password }],
        ['/sign-up/email', { name: 'Eve', email: other.email, password: other.password }],
    ]) {
        rawRefused(await raw('POST', path, json(body, { origin: foreign })), 403, 'INVALID_ORIGIN');
        rawRefused(await raw('POST', path, json(body, { origin: 'null' })), 403, 'MISSING_OR_NULL_ORIGIN');
        assert.equal((await raw('POST', path, json(body))).status, 200);
    }
});
