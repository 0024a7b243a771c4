#!/usr/bin/env python3
"""Print the commonest passwords that the length rule alone would let pass, most common first.

usage: make_common_passwords.py common-passwords.txt.gz > src/crypto/common_passwords.txt

The argument is django/contrib/auth/common-passwords.txt.gz of Django (see README.md beside this
file), or any list with one password a line, most common first, gzipped or not.
"""

import gzip
import sys
import unicodedata

MIN_LENGTH = 8  # the shortest password that the broker accepts at all
COUNT = 3000  # NIST SP 800-63B-4 and OWASP ASVS 6.2.4 ask for this many
MOJIBAKE = "пїѕ"  # what U+FFFD became in the source list, and not what anybody typed


def read_lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\r\n")


def commonest(lines):
    seen = set()
    for line in lines:
        password = unicodedata.normalize("NFC", line.lower())
        if len(password) < MIN_LENGTH or MOJIBAKE in password or not password.isprintable():
            continue
        if password in seen:
            continue
        seen.add(password)
        yield password
        if len(seen) == COUNT:
            return


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passwords = list(commonest(read_lines(sys.argv[1])))
    if len(passwords) < COUNT:
        sys.exit(f"only {len(passwords)} of {COUNT} passwords in {sys.argv[1]}")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print("\n".join(passwords))


if __name__ == "__main__":
    main()
