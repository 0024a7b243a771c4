#!/usr/bin/env python3
"""Write the lists of words for "login by mailed words" from the candidates that were gathered by hand.

usage: make_words.py [--check]

Reads words/candidates_LANGUAGE.txt and words/refused_LANGUAGE.txt beside this file and writes
src/crypto/words/LANGUAGE.txt. With --check nothing is written: the exit status is 1 when a list
on disk is not what would be written.
"""

import re
import sys
import unicodedata
from pathlib import Path

COUNT = 2048  # the fewest words of a list: eleven bits each
ALPHABETS = {"en": re.compile("[a-z]{3,9}"), "de": re.compile("[a-zäöüß]{3,9}")}
# How people write a word when their keyboard lacks a letter. Words are told apart in each of these forms.
FOLDS = {
    "en": [{}],
    "de": [
        str.maketrans({"ß": "ss"}),
        str.maketrans({"ß": "ss", "ä": "a", "ö": "o", "ü": "u"}),
        str.maketrans({"ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue"}),
    ],
}
HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "src" / "crypto" / "words"


def read_words(path):
    """The words of a file, many a line; a # begins a comment."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield from unicodedata.normalize("NFC", line.partition("#")[0]).lower().split()


def candidates(language):
    """What is written by hand, without what is too long, of other letters, or refused."""
    refused = set(read_words(HERE / "words" / f"refused_{language}.txt"))
    stems = [word.strip("*") for word in refused if word.startswith("*")]
    words = set(read_words(HERE / "words" / f"candidates_{language}.txt")) - refused
    shape = ALPHABETS[language]
    return {word for word in words if shape.fullmatch(word) and not any(stem in word for stem in stems)}


def neighbourhood(word):
    """The word and what it is without one letter: words one edit apart have one of these in common."""
    return {word} | {word[:place] + word[place + 1 :] for place in range(len(word))}


def is_close(one, other):
    """Whether two words are at most one letter apart (inserted, dropped or replaced)."""
    if len(one) > len(other):
        one, other = other, one
    start = 0
    while start < len(one) and one[start] == other[start]:
        start += 1
    if len(one) == len(other):
        return one[start + 1 :] == other[start + 1 :]
    return len(other) == len(one) + 1 and one[start:] == other[start + 1 :]


def conflicts(words, folds):
    """For each word those that it could be taken for."""
    found = {word: set() for word in words}
    for fold in folds:
        nests = {}
        for word in words:
            for key in neighbourhood(word.translate(fold)):
                nests.setdefault(key, []).append(word)
        for nest in nests.values():
            for one in nest:
                for other in nest:
                    if one != other and is_close(one.translate(fold), other.translate(fold)):
                        found[one].add(other)
    return found


def told_apart(words, folds):
    """As many of the words as stay when no two may be close: fewest conflicts first, then the shortest."""
    close = conflicts(words, folds)
    kept = {word for word in words if not close[word]}
    left = words - kept
    while left:
        word = min(left, key=lambda word: (len(close[word] & left), len(word), word))
        kept.add(word)
        left -= close[word] | {word}
    return kept


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    stale = []
    for language, folds in FOLDS.items():
        gathered = candidates(language)
        words = sorted(told_apart(gathered, folds))
        print(f"{language}: {len(words)} words of {len(gathered)} candidates", file=sys.stderr)
        if len(words) < COUNT:
            sys.exit(f"{language}: only {len(words)} of {COUNT} words")
        text, path = "\n".join(words) + "\n", TARGET / f"{language}.txt"
        if sys.argv[1:] == []:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.exists() or path.read_bytes() != text.encode():
            stale.append(str(path))
    if stale:
        sys.exit("not what the candidates give: " + ", ".join(stale))


if __name__ == "__main__":
    main()
