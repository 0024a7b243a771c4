// An authenticator app: enable, verify, sign in, disable.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, refused } from '../browser.mjs';
import { Authenticator } from '../totp.mjs';

test('the first right code turns the second factor on and rotates the session', async () => {
    const person = await Person.signedUp();
    const { password, browser, client } = person;
    const before = new Browser({ jar: browser.jar.copy() });

    const { method, totpURI, backupCodes } = done(await client.twoFactor.enable({ password }));
    assert.equal(method, 'totp');
    assert.equal(backupCodes.length, 10);
    assert.equal((await browser.session()).user.twoFactorEnabled, false, 'enable alone does not turn it on');
    const shown = new URL(done(await client.twoFactor.getTotpUri({ password })).totpURI);
    assert.equal(shown.searchParams.get('secret'), new URL(totpURI).searchParams.get('secret'));
    refused(await client.twoFactor.generateBackupCodes({ password }), 400, 'TWO_FACTOR_NOT_ENABLED');

    const app = new Authenticator(totpURI);
    refused(await client.twoFactor.verifyTotp({ code: app.wrong() }), 401, 'INVALID_CODE');
    const { status, token, user } = done(await client.twoFactor.verifyTotp({ code: await app.next() }));
    assert.equal(status, true);
    assert.equal(user.twoFactorEnabled, true);
    assert.notEqual(token, person.account.token);
    const { session, user: again } = await browser.session();
    assert.equal(session.token, token);
    assert.equal(again.twoFactorEnabled, true);
    assert.equal(await before.session(), null, 'the session before is over');

    refused(await client.twoFactor.enable({ password }), 400, 'TOTP_ALREADY_ENABLED');
});

test('a sign-in before the first right code is not asked', async () => {
    const person = await Person.signedUp();
    done(await person.client.twoFactor.enable({ password: person.password }));
    person.leaveHome();
    assert.equal((await person.signIn()).redirect, false);
    assert.ok(await person.browser.session());
});

test('enabling again before the first right code replaces the secret', async () => {
    const { password, client } = await Person.signedUp();
    const first = new Authenticator(done(await client.twoFactor.enable({ password })).totpURI);
    const second = new Authenticator(done(await client.twoFactor.enable({ password })).totpURI);
    refused(await client.twoFactor.verifyTotp({ code: await first.next() }), 401, 'INVALID_CODE');
    done(await client.twoFactor.verifyTotp({ code: await second.next() }));
});

test('the URI is one that authenticator apps read', async () => {
    const { email, password, client } = await Person.signedUp();
    const { totpURI } = done(await client.twoFactor.enable({ password, issuer: 'Ada & Söhne' }));
    const label = `${encodeURIComponent('Ada & Söhne')}:${encodeURIComponent(email)}`;
    assert.ok(totpURI.startsWith(`otpauth://totp/${label}?secret=`), totpURI);
    const query = new URL(totpURI).searchParams;
    assert.deepEqual([...query.keys()], ['secret', 'issuer', 'digits', 'period']);
    assert.equal(query.get('issuer'), 'Ada & Söhne');
    assert.equal(query.get('digits'), '6');
    assert.equal(query.get('period'), '30');
    assert.match(query.get('secret'), /^[A-Z2-7]{26,}$/);
});

test('a sign-in waits for the app and goes on with its code', async () => {
    const person = await Person.withTotp();
    const { browser, client } = person;
    const answer = await person.signIn();
    assert.deepEqual(answer, { twoFactorRedirect: true, twoFactorMethods: ['totp', 'otp'] });
    assert.deepEqual(browser.redirected, { twoFactorMethods: ['totp', 'otp'] });
    assert.equal(browser.jar.has('session_token'), false);
    assert.equal(await browser.session(), null);
    const { name, maxAge, path, httpOnly, sameSite } = browser.jar.get('two_factor');
    assert.deepEqual(
        { name, maxAge, path, httpOnly, sameSite },
        { name: 'better-auth.two_factor', maxAge: 600, path: '/', httpOnly: true, sameSite: 'Lax' },
    );

    const { token, user } = done(await client.twoFactor.verifyTotp({ code: await person.app.next() }));
    assert.equal(user.email, person.email);
    assert.equal(browser.jar.has('two_factor'), false);
    assert.equal((await browser.session()).session.token, token);
});

test('a sign-in expires the session that the browser had', async () => {
    const person = await Person.withTotp();
    person.browser = person.home;
    await person.signInHalfway();
    assert.equal(person.browser.jar.has('session_token'), false);
});

test('a step is good for one sign-in', async () => {
    const person = await Person.withTotp();
    const code = await person.app.next();
    await person.signInHalfway();
    done(await person.client.twoFactor.verifyTotp({ code }));
    person.browser = new Browser();
    await person.signInHalfway();
    refused(await person.client.twoFactor.verifyTotp({ code }), 401, 'INVALID_CODE');
    done(await person.client.twoFactor.verifyTotp({ code: await person.app.next() }));
});

test('a challenge is good for one sign-in', async () => {
    const person = await Person.withTotp();
    await person.signInHalfway();
    const replay = new Browser({ jar: person.browser.jar.copy() });
    done(await person.client.twoFactor.verifyTotp({ code: await person.app.next() }));
    const { twoFactor } = replay.client;
    refused(await twoFactor.verifyTotp({ code: await person.app.next() }), 401, 'INVALID_TWO_FACTOR_COOKIE');
    refused(await twoFactor.sendOtp(), 401, 'INVALID_TWO_FACTOR_COOKIE');
});

test('a sign-in that shall not be remembered stays so through the second factor', async () => {
    const person = await Person.withTotp();
    await person.signInHalfway({ rememberMe: false });
    done(await person.client.twoFactor.verifyTotp({ code: await person.app.next() }));
    assert.equal(person.browser.jar.get('session_token').maxAge, undefined);
    person.browser.jar.close();
    assert.equal(await person.browser.session(), null);
});

test('a sign-in under way survives a change of factors elsewhere', async () => {
    const person = await Person.withTotp();
    const { home, password } = person;
    await person.signInHalfway();
    done(await home.client.twoFactor.enable({ password, method: 'otp' }));
    const { backupCodes: [code] } = done(await home.client.twoFactor.generateBackupCodes({ password }));
    done(await person.client.twoFactor.verifyBackupCode({ code }));
    assert.ok(await person.browser.session());
});

test('a sign-in under way does not get in with an app that is gone', async () => {
    const person = await Person.withTotp();
    await person.signInHalfway();
    done(await person.home.client.twoFactor.disable({ password: person.password }));
    refused(await person.client.twoFactor.verifyTotp({ code: await person.app.next() }), 400, 'TOTP_NOT_ENABLED');
    assert.equal(await person.browser.session(), null);
});

test('disabling turns everything off and rotates the session', async () => {
    const person = await Person.withTotp();
    const { password, home } = person;
    const before = (await home.session()).session.token;
    assert.deepEqual(done(await home.client.twoFactor.disable({ password })), { status: true });
    const { session, user } = await home.session();
    assert.notEqual(session.token, before);
    assert.equal(user.twoFactorEnabled, false);
    refused(await home.client.twoFactor.getTotpUri({ password }), 400, 'TOTP_NOT_ENABLED');
    refused(await home.client.twoFactor.generateBackupCodes({ password }), 400, 'TWO_FACTOR_NOT_ENABLED');
    assert.equal((await person.signIn()).redirect, false);
});

test('every change and every showing wants the password', async () => {
    const { home } = await Person.withTotp();
    const { twoFactor } = home.client;
    const password = 'not the password';
    for (const route of ['enable', 'getTotpUri', 'generateBackupCodes', 'disable']) {
        refused(await twoFactor[route]({ password }), 400, 'INVALID_PASSWORD');
    }
    assert.equal((await home.session()).user.twoFactorEnabled, true);
});

test('without a session there is nothing to change or to show', async () => {
    const { client } = new Browser();
    for (const route of ['enable', 'getTotpUri', 'generateBackupCodes', 'disable']) {
        refused(await client.twoFactor[route]({ password: 'some password' }), 401, 'UNAUTHORIZED');
    }
    refused(await client.twoFactor.verifyTotp({ code: '123456' }), 401, 'INVALID_TWO_FACTOR_COOKIE');
});

test('an account without an app has no code to verify', async () => {
    const { password, client } = await Person.signedUp();
    refused(await client.twoFactor.verifyTotp({ code: '123456' }), 400, 'TOTP_NOT_ENABLED');
    refused(await client.twoFactor.getTotpUri({ password }), 400, 'TOTP_NOT_ENABLED');
});
