//! Letters in words: the frame around the texts of a language, as plain text and as HTML.

use super::bound::Bound;
use super::html::{escaped, numeral, page, paragraph};
use super::letter::{Letter, quotable};
use super::templates::{Words, labels, late, method_name, repeated, words};
use crate::domain::language::Language;
use crate::domain::time::Timestamp;

/// The most occasions that are counted in a letter: not a run of six digits, which could be taken for a code.
const MOST: i64 = 99_999;

/// The most names that one line of a letter tells.
const NAMES: usize = 20;

/// A letter in words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Letter<'_> {
    pub(super) fn write(self, language: Language, now: Timestamp) -> Written {
        self.write_words(&words(language, self, &quotable(self.device())), language, now)
    }

    /// Says that there were `times` more occasions since the last letter of this kind, the latest at `last`.
    pub(super) fn write_repeats(self, times: i64, language: Language, last: Timestamp) -> Written {
        self.write_counted(repeated(language, times.min(MOST)), language, last)
    }

    /// Says that there were `times` occasions about which no letter could be written, the latest at `last`.
    pub(super) fn write_late(self, times: i64, language: Language, last: Timestamp) -> Written {
        self.write_counted(late(language, times.min(MOST)), language, last)
    }

    /// Says `count` in the place of the details, which are not kept.
    fn write_counted(self, count: String, language: Language, last: Timestamp) -> Written {
        let words = Words { what: count, ..words(language, self, "") };
        self.write_words(&words, language, last)
    }

    fn write_words(self, words: &Words, language: Language, now: Timestamp) -> Written {
        let (labels, time, source) = (labels(language), readable(now), self.source());
        let mut facts = self.bound().map(|bound| bound.lines(language)).unwrap_or_default();
        facts.extend([format!("{} {time}", labels.when), format!("{} {source}", labels.from)]);
        // A code is alone on its line in both forms, so that programs find it too (docs/protocol.md, "Mailed codes").
        let code = self.code().map_or_else(String::new, |code| format!("{code}\n\n{}\n\n", words.validity));
        let text = format!("{}\n\n{code}{}\n\n{}\n", words.what, facts.join("\n"), words.advice);
        let mut body = paragraph(&words.what);
        if let Some(code) = self.code() {
            body += &numeral(code);
            body += &paragraph(&words.validity);
        }
        let shown = facts.iter().map(|fact| escaped(fact)).collect::<Vec<_>>();
        body += &format!("<p>{}</p>\n", shown.join("<br>\n"));
        body += &paragraph(words.advice);
        let html = page(language, words.subject, &body);
        Written { subject: words.subject.to_owned(), text, html }
    }
}

impl Bound {
    /// A line for each sort of thing that is there.
    pub(super) fn lines(&self, language: Language) -> Vec<String> {
        let labels = labels(language).bound;
        let methods = self.methods.iter().map(|method| method_name(language, *method).to_owned()).collect();
        [
            (labels.phones, quoted(&self.phones)),
            (labels.devices, quoted(&self.devices)),
            (labels.trusted, quoted(&self.trusted)),
            (labels.factors, methods),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(label, names)| format!("{label} {}", names.join(", ")))
        .collect()
    }
}

fn quoted(names: &[String]) -> Vec<String> {
    let mut quoted: Vec<_> = names.iter().take(NAMES).map(|name| format!("\"{}\"", quotable(name))).collect();
    if names.len() > NAMES {
        quoted.push("…".to_owned());
    }
    quoted
}

/// `2026-11-22 09:30 UTC`: no run of six digits, so that it can't be taken for a code.
fn readable(now: Timestamp) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + now.since(Timestamp(0));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

#[cfg(test)]
mod tests;
