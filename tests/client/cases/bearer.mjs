// Clients without cookies.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, json, raw, refused } from '../browser.mjs';
import { Jar } from '../jar.mjs';
import { Authenticator } from '../totp.mjs';

const bearerOf = (browser) => browser.response.headers.get('set-auth-token');

test('the session comes as set-auth-token as well', async () => {
    const { browser, email } = await Person.signedUp();
    const bearer = bearerOf(browser);
    assert.ok(bearer);
    assert.match(browser.response.headers.get('access-control-expose-headers'), /(^|, *)set-auth-token(,|$)/i);
    assert.equal((await new Browser({ bearer }).session()).user.email, email);
});

test('the session token itself is a Bearer too', async () => {
    const { account: { token: bearer }, email } = await Person.signedUp();
    assert.equal((await new Browser({ bearer }).session()).user.email, email);
});

test('a second factor is managed without cookies', async () => {
    const { browser, password } = await Person.signedUp();
    const before = new Browser({ bearer: bearerOf(browser) });
    const { totpURI } = done(await before.client.twoFactor.enable({ password }));
    const app = new Authenticator(totpURI);
    done(await before.client.twoFactor.verifyTotp({ code: await app.next() }));
    const after = new Browser({ bearer: bearerOf(before) });
    assert.equal((await after.session()).user.twoFactorEnabled, true);
    before.jar = new Jar();
    assert.equal(await before.session(), null, 'the token rotated with the session');
    refused(await before.client.twoFactor.disable({ password }), 401, 'UNAUTHORIZED');
    done(await after.client.twoFactor.disable({ password }));
});

test('a Bearer needs no Origin, a wrong one is nobody', async () => {
    const { account: { token } } = await Person.signedUp();
    const sent = await raw('POST', '/two-factor/send-otp', json({}, { authorization: `Bearer ${token}` }));
    assert.equal(sent.status, 200, sent.text);
    assert.equal(await new Browser({ bearer: `${token}x` }).session(), null);
});

test('signing out by Bearer ends the session', async () => {
    const person = await Person.signedUp();
    const phone = new Browser({ bearer: bearerOf(person.browser) });
    assert.deepEqual(done(await phone.client.signOut()), { success: true });
    assert.equal(await phone.session(), null);
    assert.equal(await person.browser.session(), null);
});
