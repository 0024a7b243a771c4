// What no client of ours sends: forms, bad bodies, unknown routes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Person, json, raw, rawRefused, server } from '../browser.mjs';

const form = { 'content-type': 'application/x-www-form-urlencoded' };

test('a form signs in', async () => {
    const { email, password } = await Person.signedUp();
    const body = new URLSearchParams({ email, password }).toString();
    const answer = await raw('POST', '/sign-in/email', { headers: form, body });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).user.email, email);
    assert.match(answer.headers['set-cookie'][0], /^better-auth\.session_token=/);
});

test('other bodies than JSON are refused', async () => {
    const { browser } = await Person.signedUp();
    const headers = { cookie: browser.jar.header(server), origin: server };
    const text = { headers: { 'content-type': 'text/plain' }, body: '{}' };
    rawRefused(await raw('POST', '/sign-in/email', text), 415, 'UNSUPPORTED_MEDIA_TYPE');
    const filled = { headers: { ...headers, ...form }, body: 'password=x' };
    rawRefused(await raw('POST', '/two-factor/disable', filled), 415, 'UNSUPPORTED_MEDIA_TYPE');
});

test('bad JSON and bad fields are named', async () => {
    const { browser } = await Person.signedUp();
    const headers = { cookie: browser.jar.header(server), origin: server };
    const broken = { headers: { 'content-type': 'application/json' }, body: '{"email":' };
    rawRefused(await raw('POST', '/sign-in/email', broken), 400, 'BAD_REQUEST', 'Invalid JSON in request body');
    const missing = '[body.password] Invalid input: expected string, received undefined';
    rawRefused(await raw('POST', '/two-factor/disable', json({}, headers)), 400, 'VALIDATION_ERROR', missing);
    const both = `[body.email] Invalid input: expected string, received number; ${missing}`;
    rawRefused(await raw('POST', '/sign-in/email', json({ email: 1 })), 400, 'VALIDATION_ERROR', both);
});

test('an unknown route and a wrong method are 404 and empty', async () => {
    for (const [method, path] of [
        ['GET', '/nothing'],
        ['POST', '/nothing'],
        ['GET', '/sign-in/email'],
        ['PUT', '/sign-in/email'],
        ['GET', '/two-factor/enable'],
        ['POST', '/get-session'],
    ]) {
        const { status, text } = await raw(method, path);
        assert.deepEqual({ method, path, status, text }, { method, path, status: 404, text: '' });
    }
});

test('whoever has no session is told so with a success', async () => {
    const { status, headers, text } = await raw('GET', '/get-session');
    assert.deepEqual({ status, text }, { status: 200, text: 'null' });
    assert.match(headers['cache-control'], /no-store/);
    const out = await raw('POST', '/sign-out');
    assert.deepEqual({ status: out.status, text: out.text }, { status: 200, text: '{"success":true}' });
});
