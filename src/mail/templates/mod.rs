//! What letters say, a file for each language; a translator changes those and nothing else.

mod de;
mod en;
mod es;
mod fr;

use super::letter::Letter;
use crate::domain::factor::Method;
use crate::domain::language::Language;

/// A letter in one language; the frame around it is in `letter.rs`.
pub(super) struct Words {
    pub(super) subject: &'static str,
    /// What happened. A code, if there is one, follows it on a line of its own.
    pub(super) what: String,
    /// How long that code is good; empty without a code.
    pub(super) validity: String,
    /// What to do if it was not the reader.
    pub(super) advice: &'static str,
}

impl Words {
    fn new(subject: &'static str, what: impl Into<String>, advice: &'static str) -> Self {
        Self { subject, what: what.into(), validity: String::new(), advice }
    }

    fn with_code(subject: &'static str, what: &str, validity: String, advice: &'static str) -> Self {
        Self { subject, what: what.to_owned(), validity, advice }
    }
}

/// The words before a time and before an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub(super) when: &'static str,
    pub(super) from: &'static str,
    pub(super) bound: BoundLabels,
}

/// The words before what is bound to an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoundLabels {
    pub(super) phones: &'static str,
    pub(super) devices: &'static str,
    pub(super) trusted: &'static str,
    pub(super) factors: &'static str,
}

/// `device` is the letter's device, fit to be quoted.
pub(super) fn words(language: Language, letter: Letter<'_>, device: &str) -> Words {
    match language {
        Language::En => en::words(letter, device),
        Language::Fr => fr::words(letter, device),
        Language::De => de::words(letter, device),
        Language::Es => es::words(letter, device),
    }
}

/// That the same has happened so many times more since the last letter about it.
pub(super) fn repeated(language: Language, times: i64) -> String {
    match language {
        Language::En => en::repeated(times),
        Language::Fr => fr::repeated(times),
        Language::De => de::repeated(times),
        Language::Es => es::repeated(times),
    }
}

/// That what the subject says has happened so many times, and that no letter about it could be written before.
pub(super) fn late(language: Language, times: i64) -> String {
    match language {
        Language::En => en::late(times),
        Language::Fr => fr::late(times),
        Language::De => de::late(times),
        Language::Es => es::late(times),
    }
}

pub(super) fn labels(language: Language) -> Labels {
    match language {
        Language::En => en::LABELS,
        Language::Fr => fr::LABELS,
        Language::De => de::LABELS,
        Language::Es => es::LABELS,
    }
}

pub(super) fn method_name(language: Language, method: Method) -> &'static str {
    match language {
        Language::En => en::method(method),
        Language::Fr => fr::method(method),
        Language::De => de::method(method),
        Language::Es => es::method(method),
    }
}
