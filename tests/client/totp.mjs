// An authenticator app (RFC 6238: SHA-1, six digits, 30 s), set up from an otpauth URI.

import { createHmac } from 'node:crypto';

const PERIOD = 30_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export class Authenticator {
    #secret;
    #last = -Infinity;

    constructor(uri) {
        this.#secret = base32(new URL(uri).searchParams.get('secret'));
    }

    // A code that the server takes and that this authenticator has not given yet. The server accepts one
    // step to either side and each step once, so three codes in a row are there without waiting.
    async next() {
        await clearOfTheBoundary();
        const now = Math.floor(Date.now() / PERIOD);
        const step = Math.max(now - 1, this.#last + 1);
        if (step > now + 1) {
            await until((step - 1) * PERIOD);
        }
        this.#last = step;
        return this.#at(step);
    }

    // A code that no step near now has.
    wrong() {
        const now = Math.floor(Date.now() / PERIOD);
        const near = [-2, -1, 0, 1, 2, 3].map((offset) => this.#at(now + offset));
        return [0, 1, 2, 3, 4, 5, 6].map((digit) => `${digit}`.repeat(6)).find((code) => !near.includes(code));
    }

    #at(step) {
        const counter = Buffer.alloc(8);
        counter.writeBigUInt64BE(BigInt(step));
        const mac = createHmac('sha1', this.#secret).update(counter).digest();
        const number = mac.readUInt32BE(mac[19] & 15) & 0x7fff_ffff;
        return String(number % 1_000_000).padStart(6, '0');
    }
}

// The oldest step that is accepted must not become too old on the way.
async function clearOfTheBoundary() {
    const left = PERIOD - (Date.now() % PERIOD);
    if (left < 2_000) {
        await until(Date.now() + left);
    }
}

async function until(time) {
    while (Date.now() < time) {
        await new Promise((done) => setTimeout(done, time - Date.now()));
    }
}

function base32(text) {
    let bits = '';
    for (const letter of text) {
        const value = ALPHABET.indexOf(letter);
        if (value < 0) {
            throw new Error('the secret is not in base32 (RFC 4648, without padding)');
        }
        bits += value.toString(2).padStart(5, '0');
    }
    return Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
}
