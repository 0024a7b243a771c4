// Devices that are not asked again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done } from '../browser.mjs';
import { Jar } from '../jar.mjs';

async function trusting() {
    const person = await Person.withTotp();
    await person.signInHalfway();
    done(await person.client.twoFactor.verifyTotp({ code: await person.app.next(), trustDevice: true }));
    return person;
}

test('a trusted device is not asked, also after signing out', async () => {
    const person = await trusting();
    const { name, maxAge, path, httpOnly, sameSite } = person.browser.jar.get('trust_device');
    assert.deepEqual(
        { name, maxAge, path, httpOnly, sameSite },
        { name: 'better-auth.trust_device', maxAge: 2_592_000, path: '/', httpOnly: true, sameSite: 'Lax' },
    );
    done(await person.client.signOut());
    assert.ok(person.browser.jar.has('trust_device'));
    assert.equal((await person.signIn()).redirect, false);
    assert.equal((await person.browser.session()).user.email, person.email);
});

test('each trusted sign-in replaces the proof, and the old one fails', async () => {
    const person = await trusting();
    const old = person.browser.jar.copy();
    const before = old.get('trust_device').value;
    await person.signIn();
    const { value, maxAge } = person.browser.jar.get('trust_device');
    assert.notEqual(value, before);
    assert.equal(maxAge, 2_592_000);
    const current = person.browser;
    person.browser = new Browser({ jar: old });
    await person.signInHalfway();
    assert.equal(person.browser.jar.has('trust_device'), false);
    person.browser = current;
    assert.equal((await person.signIn()).redirect, false, 'the new one holds');
});

test('another device is asked', async () => {
    const person = await trusting();
    person.browser = new Browser({ jar: new Jar() });
    await person.signInHalfway();
});

test('a device that one account trusts is nothing to another', async () => {
    const { browser } = await trusting();
    const other = await Person.withTotp();
    other.browser = browser;
    await other.signInHalfway();
});

test('a session that is there already makes no device trusted', async () => {
    const { home, app } = await Person.withTotp();
    done(await home.client.twoFactor.verifyTotp({ code: await app.next(), trustDevice: true }));
    assert.equal(home.jar.has('trust_device'), false);
});
