// Backup codes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, refused } from '../browser.mjs';

test('ten different backup codes come with the app', async () => {
    const { backupCodes } = await Person.withTotp();
    assert.equal(new Set(backupCodes).size, 10);
    for (const code of backupCodes) {
        assert.match(code, /^[a-zA-Z0-9]{5}-[a-zA-Z0-9]{5}$/);
    }
});

test('a backup code signs in once', async () => {
    const person = await Person.withTotp();
    const [code, other] = person.backupCodes;
    await person.signInHalfway();
    const { token, user, session } = done(await person.client.twoFactor.verifyBackupCode({ code }));
    assert.equal(user.email, person.email);
    assert.equal(session.token, token);
    assert.equal(session.userId, user.id);
    assert.ok(session.createdAt instanceof Date && session.expiresAt > session.createdAt);
    assert.equal((await person.browser.session()).session.token, token);
    assert.equal(person.browser.jar.has('two_factor'), false);

    person.browser = new Browser();
    await person.signInHalfway();
    refused(await person.client.twoFactor.verifyBackupCode({ code }), 401, 'INVALID_BACKUP_CODE');
    done(await person.client.twoFactor.verifyBackupCode({ code: other }));
});

test('a backup code may be checked without a session', async () => {
    const person = await Person.withTotp();
    await person.signInHalfway();
    const { twoFactor } = person.client;
    const [code, other] = person.backupCodes;
    const answer = done(await twoFactor.verifyBackupCode({ code, disableSession: true, trustDevice: true }));
    assert.deepEqual(Object.keys(answer), ['user']);
    assert.equal(answer.user.email, person.email);
    assert.equal(person.browser.jar.has('session_token'), false);
    assert.equal(person.browser.jar.has('trust_device'), false);
    refused(await twoFactor.verifyBackupCode({ code: other }), 401, 'INVALID_TWO_FACTOR_COOKIE');
});

test('a backup code is used up in a session as well', async () => {
    const { home, backupCodes: [code] } = await Person.withTotp();
    const { session } = await home.session();
    assert.equal(done(await home.client.twoFactor.verifyBackupCode({ code })).token, session.token);
    refused(await home.client.twoFactor.verifyBackupCode({ code }), 401, 'INVALID_BACKUP_CODE');
});

test('new backup codes replace the old ones', async () => {
    const person = await Person.withTotp();
    const { home, password } = person;
    const { status, backupCodes } = done(await home.client.twoFactor.generateBackupCodes({ password }));
    assert.equal(status, true);
    assert.equal(new Set([...backupCodes, ...person.backupCodes]).size, 20);
    await person.signInHalfway();
    const { twoFactor } = person.client;
    refused(await twoFactor.verifyBackupCode({ code: person.backupCodes[0] }), 401, 'INVALID_BACKUP_CODE');
    done(await twoFactor.verifyBackupCode({ code: backupCodes[0] }));
});

test('mailed codes alone have backup codes once they are asked for', async () => {
    const person = await Person.withMailedCodes();
    const { home, password } = person;
    const { client } = person;
    await person.signInHalfway();
    refused(await client.twoFactor.verifyBackupCode({ code: 'aaaaa-bbbbb' }), 400, 'BACKUP_CODES_NOT_ENABLED');
    const { backupCodes: [code] } = done(await home.client.twoFactor.generateBackupCodes({ password }));
    done(await client.twoFactor.verifyBackupCode({ code }));
    assert.ok(await person.browser.session());
});

test('an account without a second factor has no backup codes', async () => {
    const { client, password } = await Person.signedUp();
    refused(await client.twoFactor.verifyBackupCode({ code: 'aaaaa-bbbbb' }), 400, 'BACKUP_CODES_NOT_ENABLED');
    refused(await client.twoFactor.generateBackupCodes({ password }), 400, 'TWO_FACTOR_NOT_ENABLED');
});
