// Sign up, session, sign out, sign in.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, refused } from '../browser.mjs';

test('signing up makes an account and a session', async () => {
    const person = await Person.signedUp();
    const { token, user } = person.account;
    assert.equal(user.email, person.email);
    assert.equal(user.name, 'Ada');
    assert.equal(user.emailVerified, false);
    assert.equal(user.twoFactorEnabled, false);
    assert.ok(user.createdAt instanceof Date && user.updatedAt instanceof Date, 'the client reads dates as ISO 8601');

    const { session, user: again } = await person.browser.session();
    assert.deepEqual(again, user);
    assert.equal(session.token, token);
    assert.equal(session.userId, user.id);
    assert.ok(session.expiresAt > session.createdAt);
    for (const key of ['id', 'updatedAt', 'ipAddress', 'userAgent']) {
        assert.ok(key in session, key);
    }
    assert.match(person.browser.response.headers.get('cache-control'), /no-store/);
});

test('the session cookie is for seven days and out of reach of scripts', async () => {
    const person = await Person.signedUp();
    const { name, maxAge, path, httpOnly, sameSite, secure } = person.browser.jar.get('session_token');
    assert.deepEqual(
        { name, maxAge, path, httpOnly, sameSite, secure },
        {
            name: 'better-auth.session_token',
            maxAge: 604_800,
            path: '/',
            httpOnly: true,
            sameSite: 'Lax',
            secure: false,
        },
    );
});

test('signing out ends the session for good', async () => {
    const person = await Person.signedUp();
    const thief = new Browser({ jar: person.browser.jar.copy() });
    assert.deepEqual(done(await person.client.signOut()), { success: true });
    assert.equal(person.browser.jar.has('session_token'), false);
    assert.equal(await person.browser.session(), null);
    assert.equal(await thief.session(), null);
    assert.deepEqual(done(await person.client.signOut()), { success: true });
});

test('signing in again makes another session', async () => {
    const person = await Person.signedUp();
    const first = person.account.token;
    person.leaveHome();
    const { redirect, token, user } = await person.signIn();
    assert.equal(redirect, false);
    assert.notEqual(token, first);
    assert.equal(user.id, person.account.user.id);
    assert.equal((await person.browser.session()).session.token, token);
    assert.equal((await person.home.session()).session.token, first);
});

test('a browser that shall not remember forgets the session when it closes', async () => {
    const person = await Person.signedUp();
    person.leaveHome();
    await person.signIn({ rememberMe: false });
    assert.equal(person.browser.jar.get('session_token').maxAge, undefined);
    assert.equal(person.browser.jar.get('dont_remember').maxAge, undefined);
    assert.ok(await person.browser.session());
    person.browser.jar.close();
    assert.equal(await person.browser.session(), null);
});

test('an unknown address and a wrong password are refused alike', async () => {
    const person = await Person.signedUp();
    const stranger = new Person();
    const wrong = await stranger.client.signIn.email({ email: person.email, password: stranger.password });
    const unknown = await stranger.client.signIn.email({ email: stranger.email, password: stranger.password });
    refused(wrong, 401, 'INVALID_EMAIL_OR_PASSWORD');
    assert.deepEqual(wrong, unknown);
    assert.equal(wrong.error.message, 'Invalid email or password');
    assert.equal(stranger.browser.jar.has('session_token'), false);
});

test('signing up is refused for a taken address, a bad one, and a bad password', async () => {
    const { email, password, client } = await Person.signedUp();
    const attempt = (change) => client.signUp.email({ name: 'Eve', email: `new-${email}`, password, ...change });
    refused(await attempt({ email }), 422, 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL');
    refused(await attempt({ email: email.toUpperCase() }), 422, 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL');
    refused(await attempt({ email: 'nobody' }), 400, 'INVALID_EMAIL');
    refused(await attempt({ password: 'short' }), 400, 'PASSWORD_TOO_SHORT');
    refused(await attempt({ password: 'x9-'.repeat(3_000) }), 400, 'PASSWORD_TOO_LONG');
});
