// Wrong codes: five a challenge, five a mailed code, ten an account.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person, done, refused } from '../browser.mjs';
import { mailedCode } from '../mailbox.mjs';

const TOO_MANY = 'TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE';

async function fiveTimes(attempt, code) {
    for (let i = 0; i < 5; i++) {
        refused(await attempt(), 401, code);
    }
}

test('the sixth code of a challenge ends it, even the right one', async () => {
    const person = await Person.withTotp();
    const { twoFactor } = person.client;
    await person.signInHalfway();
    const kept = new Browser({ jar: person.browser.jar.copy() });
    await fiveTimes(() => twoFactor.verifyTotp({ code: person.app.wrong() }), 'INVALID_CODE');
    refused(await twoFactor.verifyTotp({ code: await person.app.next() }), 400, TOO_MANY);
    assert.equal(person.browser.jar.has('two_factor'), false);
    refused(await kept.client.twoFactor.verifyTotp({ code: person.app.wrong() }), 401, 'INVALID_TWO_FACTOR_COOKIE');
    refused(await kept.client.twoFactor.sendOtp(), 401, 'INVALID_TWO_FACTOR_COOKIE');

    await person.signInHalfway();
    done(await twoFactor.verifyTotp({ code: await person.app.next() }));
});

test('the sixth backup code of a challenge ends it, even a right one', async () => {
    const person = await Person.withTotp();
    const { twoFactor } = person.client;
    await person.signInHalfway();
    await fiveTimes(() => twoFactor.verifyBackupCode({ code: 'aaaaa-bbbbb' }), 'INVALID_BACKUP_CODE');
    refused(await twoFactor.verifyBackupCode({ code: person.backupCodes[0] }), 400, TOO_MANY);
    assert.equal(person.browser.jar.has('two_factor'), false);
    await person.signInHalfway();
    done(await twoFactor.verifyBackupCode({ code: person.backupCodes[0] }));
});

test('the sixth try ends a mailed code, and the challenge gets another', async () => {
    const person = await Person.withMailedCodes();
    const { twoFactor } = person.client;
    await person.signInHalfway();
    done(await twoFactor.sendOtp());
    const code = await mailedCode(person.email);
    const wrong = code === '123456' ? '654321' : '123456';
    await fiveTimes(() => twoFactor.verifyOtp({ code: wrong }), 'INVALID_CODE');
    refused(await twoFactor.verifyOtp({ code }), 400, TOO_MANY);
    refused(await twoFactor.verifyOtp({ code }), 400, 'OTP_HAS_EXPIRED');
    assert.ok(person.browser.jar.has('two_factor'));
    done(await twoFactor.sendOtp());
    done(await twoFactor.verifyOtp({ code: await mailedCode(person.email) }));
    assert.ok(await person.browser.session());
});

test('ten wrong codes block every second factor for a while, never the password', async () => {
    const person = await Person.withTotp();
    const { twoFactor } = person.client;
    for (let challenge = 0; challenge < 2; challenge++) {
        await person.signInHalfway();
        await fiveTimes(() => twoFactor.verifyTotp({ code: person.app.wrong() }), 'INVALID_CODE');
    }
    const blocked = async (attempt) => {
        refused(await attempt, 429, 'ACCOUNT_TEMPORARILY_LOCKED');
        const wait = Number(person.browser.response.headers.get('retry-after'));
        assert.ok(wait > 0 && wait <= 900, 'Retry-After says how long');
    };
    await blocked(twoFactor.verifyTotp({ code: await person.app.next() }));
    await blocked(twoFactor.verifyBackupCode({ code: person.backupCodes[0] }));
    await person.signInHalfway();
    await blocked(twoFactor.verifyTotp({ code: await person.app.next() }));
    assert.ok(await person.home.session(), 'who is in stays in');
});
