//! What letters say, a file for each language; a translator changes those and nothing else.

mod de;
mod en;
mod es;
mod fr;
mod words;

use words::Labels;
pub(super) use words::Words;

use super::letter::Letter;
use crate::domain::factor::Method;
use crate::domain::language::Language;

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
