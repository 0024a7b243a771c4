// Codes that come by mail.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, refused } from '../browser.mjs';
import { mailedCode, unreadCodes } from '../mailbox.mjs';

test('enabling mailed codes works at once and rotates the session', async () => {
    const person = await Person.signedUp();
    const { browser, client, password } = person;
    const before = new Browser({ jar: browser.jar.copy() });
    assert.deepEqual(done(await client.twoFactor.enable({ password, method: 'otp' })), { method: 'otp' });
    const { session, user } = await browser.session();
    assert.equal(user.twoFactorEnabled, true);
    assert.notEqual(session.token, person.account.token);
    assert.equal(await before.session(), null, 'the session before is over');
    refused(await client.twoFactor.getTotpUri({ password }), 400, 'TOTP_NOT_ENABLED');
});

test('a sign-in goes on with the mailed code', async () => {
    const person = await Person.withMailedCodes();
    const { browser, client, email } = person;
    assert.deepEqual(await person.signIn(), { twoFactorRedirect: true, twoFactorMethods: ['otp'] });
    refused(await client.twoFactor.verifyOtp({ code: '123456' }), 400, 'OTP_HAS_EXPIRED');
    assert.deepEqual(done(await client.twoFactor.sendOtp()), { status: true });
    const { token, user } = done(await client.twoFactor.verifyOtp({ code: await mailedCode(email) }));
    assert.equal(user.email, email);
    assert.equal(user.twoFactorEnabled, true);
    assert.equal(browser.jar.has('two_factor'), false);
    assert.equal((await browser.session()).session.token, token);
});

test('whoever has an app may take a mailed code instead', async () => {
    const person = await Person.withTotp();
    const { client, email } = person;
    await person.signInHalfway();
    done(await client.twoFactor.sendOtp());
    done(await client.twoFactor.verifyOtp({ code: await mailedCode(email), trustDevice: true }));
    assert.equal((await person.signIn()).redirect, false);
});

test('while a code is fresh no second one is sent, and it holds', async () => {
    const person = await Person.withMailedCodes();
    const { client, email } = person;
    await person.signInHalfway();
    done(await client.twoFactor.sendOtp());
    const code = await mailedCode(email);
    assert.deepEqual(done(await client.twoFactor.sendOtp({ trustDevice: true })), { status: true });
    done(await client.twoFactor.verifyOtp({ code }));
    assert.equal(unreadCodes(email), 0);
});

test('a code that is verified in a session turns mailed codes on', async () => {
    const person = await Person.signedUp();
    const { browser, client, email } = person;
    done(await client.twoFactor.sendOtp());
    const { token, user } = done(await client.twoFactor.verifyOtp({ code: await mailedCode(email) }));
    assert.equal(user.twoFactorEnabled, true);
    assert.notEqual(token, person.account.token);
    assert.equal((await browser.session()).session.token, token);
    person.leaveHome();
    assert.deepEqual((await person.signIn()).twoFactorMethods, ['otp']);
});

test('an app may be added to mailed codes', async () => {
    const person = await Person.withMailedCodes();
    const { client } = person.home;
    const { password } = person;
    done(await client.twoFactor.enable({ password }));
    assert.deepEqual((await person.signIn()).twoFactorMethods, ['otp'], 'not before its first right code');
});

test('nobody is sent a code without a sign-in', async () => {
    const { client } = new Browser();
    refused(await client.twoFactor.sendOtp(), 401, 'INVALID_TWO_FACTOR_COOKIE');
    refused(await client.twoFactor.verifyOtp({ code: '123456' }), 401, 'INVALID_TWO_FACTOR_COOKIE');
});
