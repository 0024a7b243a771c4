// The letters that the server put into its mail folder, and the codes in them.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.MAIL_FOLDER;
const read = new Set();

// The code of the one letter with a code to `address` that nobody has read yet. The file is there within a
// second of the answer.
export async function mailedCode(address) {
    const patience = Date.now() + 2_000;
    for (;;) {
        const codes = unread(address);
        if (codes.length > 1) {
            throw new Error(`${codes.length} letters with a code to ${address}, one was expected`);
        }
        if (codes.length === 1) {
            read.add(codes[0].name);
            return codes[0].code;
        }
        if (Date.now() > patience) {
            throw new Error(`no letter with a code to ${address}`);
        }
        await new Promise((done) => setTimeout(done, 20));
    }
}

// How many letters with a code to `address` nobody has read.
export function unreadCodes(address) {
    return unread(address).length;
}

function unread(address) {
    return readdirSync(folder)
        .filter((name) => name.endsWith('.eml') && !read.has(name))
        .map((name) => ({ name, ...letter(readFileSync(join(folder, name), 'latin1')) }))
        .filter(({ to, code }) => to.includes(address.toLowerCase()) && code);
}

function letter(text) {
    const { headers, body } = part(text);
    const code = /^([0-9]{6})$/m.exec(plain(headers, body).replace(/\r\n/g, '\n'))?.[1];
    return { to: (headers.get('to') ?? '').toLowerCase(), code };
}

// The text/plain part, decoded (RFC 2045, RFC 2046).
function plain(headers, body) {
    const type = headers.get('content-type') ?? 'text/plain';
    const boundary = /^multipart\/.*boundary="?([^";]+)"?/is.exec(type)?.[1];
    if (boundary) {
        const [, ...parts] = `\n${body.replace(/\r\n/g, '\n')}`.split(`\n--${boundary}`);
        for (const { headers, body } of parts.map((text) => part(text.replace(/^-*[ \t]*\n/, '')))) {
            const found = plain(headers, body);
            if (found) {
                return found;
            }
        }
        return '';
    }
    return /^text\/plain\b/i.test(type) ? decoded(headers.get('content-transfer-encoding') ?? '7bit', body) : '';
}

function part(text) {
    const [head, ...rest] = text.split(/\r?\n\r?\n/);
    const headers = new Map();
    for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
        const cut = line.indexOf(':');
        headers.set(line.slice(0, cut).toLowerCase(), line.slice(cut + 1).trim());
    }
    return { headers, body: rest.join('\n\n') };
}

function decoded(encoding, body) {
    switch (encoding.toLowerCase()) {
        case 'base64': return Buffer.from(body, 'base64').toString('utf8');
        case 'quoted-printable': {
            const byte = (_, hex) => String.fromCharCode(Number.parseInt(hex, 16));
            const bytes = body.replace(/=[ \t]*\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, byte);
            return Buffer.from(bytes, 'latin1').toString('utf8');
        }
        default: return Buffer.from(body, 'latin1').toString('utf8');
    }
}
