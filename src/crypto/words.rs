//! The words that a mail carries to be typed back, and the form in which they are compared.
//!
//! Eleven bits a word and more: three of them are as good as ten digits.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;

use super::random;
use crate::domain::language::Language;

static ENGLISH: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("words/en.txt").lines().collect());
static GERMAN: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("words/de.txt").lines().collect());

/// The words to draw from: German ones for German, English ones for every other language.
///
/// No two of a list are one letter apart, so that a slip of the finger never makes another word.
#[must_use]
pub fn list(language: Language) -> &'static [&'static str] {
    match language {
        Language::De => &GERMAN,
        Language::En | Language::Fr | Language::Es => &ENGLISH,
    }
}

/// Three words, each drawn evenly from the whole list, with a space between them.
#[must_use]
pub fn three(language: Language) -> String {
    let words = list(language);
    [(); 3].map(|()| words[random::below(words.len())]).join(" ")
}

/// What is compared of the words as somebody typed them: no white space, no `*` of a mail's emphasis, no case.
#[must_use]
pub fn folded(text: &str) -> String {
    let kept = text.nfc().filter(|letter| !letter.is_whitespace() && *letter != '*');
    // Upper case and back is the full case folding of what people type: ß and ẞ become ss, ﬁ becomes fi.
    // Lower case first, because ẞ is upper case already.
    let lower = kept.flat_map(char::to_lowercase);
    let folded = lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    /// The ways people write a word: as it is, or without umlauts in either fashion.
    fn spellings(word: &str) -> [String; 3] {
        let word = folded(word);
        let plain = word.replace('ä', "a").replace('ö', "o").replace('ü', "u");
        let long = word.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue");
        [word, plain, long]
    }

    /// The word and what it is without one letter. Two words one edit apart have one of these in common.
    fn neighbourhood(word: &str) -> HashSet<String> {
        let letters: Vec<char> = word.chars().collect();
        let without = |gap: usize| letters[..gap].iter().chain(letters.iter().skip(gap + 1)).collect();
        (0..=letters.len()).map(without).collect()
    }

    /// Whether one edit or none makes `other` of `word`.
    fn is_close(word: &str, other: &str) -> bool {
        let (mut word, mut other): (Vec<char>, Vec<char>) = (word.chars().collect(), other.chars().collect());
        for _ in 0..2 {
            while !word.is_empty() && word.last() == other.last() {
                word.pop();
                other.pop();
            }
            word.reverse();
            other.reverse();
        }
        word.len() <= 1 && other.len() <= 1
    }

    #[test]
    fn a_list_is_long_sorted_and_of_short_words() {
        for (language, alphabet) in [(Language::En, ""), (Language::De, "äöüß")] {
            let words = list(language);
            assert!(words.len() >= 2048, "{language:?}: {}", words.len());
            assert!(words.is_sorted_by(|one, next| one < next), "{language:?}: each once, in order");
            for word in words {
                assert!((3..=9).contains(&word.chars().count()), "{word}");
                assert!(
                    word.chars().all(|letter| letter.is_ascii_lowercase() || alphabet.contains(letter)),
                    "{word}"
                );
            }
        }
        assert_eq!(list(Language::Fr), list(Language::En));
        assert_eq!(list(Language::Es), list(Language::En));
    }

    #[test]
    fn no_two_words_are_a_slip_apart() {
        for language in [Language::En, Language::De] {
            for spelling in 0..3 {
                let mut nests: HashMap<String, Vec<String>> = HashMap::new();
                for word in list(language) {
                    let word = spellings(word)[spelling].clone();
                    for key in neighbourhood(&word) {
                        let nest = nests.entry(key).or_default();
                        let close = nest.iter().find(|other| is_close(&word, other));
                        assert_eq!(close, None, "{language:?}: {word}");
                        nest.push(word.clone());
                    }
                }
            }
        }
    }

    #[test]
    fn closeness_is_one_edit() {
        for close in [
            ["tree", "tree"],
            ["tree", "trek"],
            ["tree", "free"],
            ["tree", "tee"],
            ["tree", "trees"],
            ["aa", "aaa"],
        ] {
            assert!(is_close(close[0], close[1]) && is_close(close[1], close[0]), "{close:?}");
            assert!(!neighbourhood(close[0]).is_disjoint(&neighbourhood(close[1])), "{close:?}");
        }
        for apart in [["tree", "true love"], ["form", "from"], ["lion", "line"], ["abc", "a"]] {
            assert!(!is_close(apart[0], apart[1]) && !is_close(apart[1], apart[0]), "{apart:?}");
        }
    }

    #[test]
    fn nothing_that_offends() {
        let english = [
            "fuck", "shit", "cunt", "nigg", "rape", "porn", "sex", "nazi", "kill", "murder", "dead",
            "stupid", "naked",
        ];
        let german = [
            "fick", "arsch", "scheiß", "hure", "neger", "jude", "hitler", "führer", "mord", "blut", "blöd",
            "dumm", "nackt",
        ];
        for (language, stems) in [(Language::En, english), (Language::De, german)] {
            for word in list(language) {
                assert_eq!(stems.iter().find(|stem| word.contains(*stem)), None, "{word}");
            }
        }
    }

    #[test]
    fn three_words_of_the_language() {
        for language in Language::ALL {
            let drawn = three(language);
            let words: Vec<&str> = drawn.split(' ').collect();
            assert_eq!(words.len(), 3, "{drawn}");
            assert!(words.iter().all(|word| list(language).contains(word)), "{drawn}");
            assert_ne!(three(language), drawn, "eight thousand million others are as likely");
        }
    }

    #[test]
    fn what_is_typed_counts_without_spaces_emphasis_and_case() {
        assert_eq!(folded(" Amber\tcandle\u{a0}\r\n*RIVER* "), "ambercandleriver");
        assert_eq!(folded("amber candle river"), folded("*amber* *candle* *river*"));
        assert_eq!(folded("Straße"), "strasse");
        assert_eq!(folded("STRAẞE"), "strasse");
        assert_eq!(folded("STRASSE"), "strasse");
        assert_eq!(folded("u\u{308}bung"), "übung");
        assert_eq!(folded("ÜBUNG"), "übung");
        assert_ne!(folded("ubung"), folded("übung"));
        assert_eq!(folded("\u{3000}* *"), "");
        assert_eq!(folded("ΣΟΦΟΣ"), folded("σοφος"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for word in list(Language::De) {
            assert_eq!(folded(&folded(word)), folded(word));
        }
    }
}
