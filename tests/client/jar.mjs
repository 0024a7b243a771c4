// A browser's cookie store for one host (RFC 6265 section 5), which Node has none of.

const NAME = /^[\w.-]+$/;
const VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

export class Jar {
    #cookies = new Map();

    // Takes what a response to `url` set. What a browser would not take is an error here: it is a defect.
    take(url, lines) {
        for (const line of lines) {
            const cookie = parse(new URL(url), line);
            if (cookie.expires <= Date.now()) {
                this.#cookies.delete(key(cookie));
            } else {
                this.#cookies.set(key(cookie), cookie);
            }
        }
    }

    // The Cookie header of a request to `url`, or undefined.
    header(url) {
        const { pathname, protocol } = new URL(url);
        const sent = [...this.#cookies.values()]
            .filter((cookie) => cookie.expires > Date.now())
            .filter((cookie) => reaches(cookie.path, pathname) && (!cookie.secure || protocol === 'https:'))
            .sort((a, b) => b.path.length - a.path.length);
        return sent.length ? sent.map(({ name, value }) => `${name}=${value}`).join('; ') : undefined;
    }

    // A cookie by the end of its name, whatever prefix the server gives: `session_token`.
    get(name) {
        return [...this.#cookies.values()].find((cookie) => cookie.name.endsWith(`.${name}`));
    }

    has(name) {
        return this.get(name) !== undefined;
    }

    drop(name) {
        const cookie = this.get(name);
        this.#cookies.delete(key(cookie));
        return cookie;
    }

    copy() {
        const copy = new Jar();
        copy.#cookies = new Map(this.#cookies);
        return copy;
    }

    // Closing the browser: what has neither Max-Age nor Expires goes.
    close() {
        for (const [at, cookie] of this.#cookies) {
            if (cookie.expires === Infinity) {
                this.#cookies.delete(at);
            }
        }
    }
}

function parse(url, line) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const cut = pair.indexOf('=');
    const cookie = {
        name: pair.slice(0, cut),
        value: pair.slice(cut + 1),
        path: url.pathname.replace(/\/[^/]*$/, '') || '/',
        expires: Infinity,
        maxAge: undefined,
        secure: false,
        httpOnly: false,
        sameSite: undefined,
    };
    for (const attribute of attributes) {
        const [, name, value = ''] = /^([^=]*)=?(.*)$/.exec(attribute);
        switch (name.toLowerCase()) {
            case 'path': cookie.path = value; break;
            case 'max-age': cookie.maxAge = Number(value); break;
            case 'expires': cookie.expires = Date.parse(value); break;
            case 'secure': cookie.secure = true; break;
            case 'httponly': cookie.httpOnly = true; break;
            case 'samesite': cookie.sameSite = value; break;
            default: throw new Error(`an attribute that nobody expects: ${line}`);
        }
    }
    if (cookie.maxAge !== undefined) {
        cookie.expires = cookie.maxAge > 0 ? Date.now() + cookie.maxAge * 1000 : 0;
    }
    if (!NAME.test(cookie.name) || !VALUE.test(cookie.value) || Number.isNaN(cookie.expires)) {
        throw new Error(`no cookie by RFC 6265: ${line}`);
    }
    if (cookie.secure !== (url.protocol === 'https:') || cookie.name.startsWith('__Secure-') !== cookie.secure) {
        throw new Error(`Secure and its prefix belong to https: ${line}`);
    }
    return cookie;
}

function reaches(path, pathname) {
    return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}

function key({ name, path }) {
    return `${name};${path}`;
}
