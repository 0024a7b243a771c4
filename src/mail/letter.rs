//! What owners are told: what happened, when, from where, and what to do if it was not them.

use std::time::Duration;

use super::bound::Bound;
use super::html::{escaped, numeral, page, paragraph};
use super::templates::{labels, words};
use crate::domain::factor::Method;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;

/// An occasion to write. Texts in it are fit to be shown.
#[derive(Clone, Copy)]
pub(crate) enum Letter<'a> {
    /// Somebody tried to register with an address that has an account.
    RegistrationTried { source: &'a str },
    /// A phone may approve logins from now on.
    PhoneAdded { device: &'a str, source: &'a str },
    /// A phone may not approve logins any more.
    PhoneRemoved { device: &'a str, source: &'a str },
    /// There are ten new backup codes.
    CodesReplaced { source: &'a str },
    /// A second factor was turned off.
    FactorRemoved { method: Method, source: &'a str },
    /// The password was changed.
    PasswordChanged { source: &'a str },
    /// A refresh token was shown a second time: its session has ended.
    RefreshReused { device: &'a str, source: &'a str },
    /// Too many wrong second factors.
    Locked { source: &'a str },
    /// A code to log in with, six digits; lives `minutes`.
    LoginCode { code: &'a str, minutes: u64, source: &'a str },
    /// A code that proves the address before mailed codes become a second factor.
    EnableCode { code: &'a str, minutes: u64, source: &'a str },
    /// A second factor was turned on.
    FactorAdded { method: Method, source: &'a str },
    /// All second factors are off: the password alone opens the account.
    TwoFactorOff { source: &'a str },
    /// A backup code was used, and few are left.
    CodesLow { left: u64, source: &'a str },
    /// A device is not asked for a second factor any more, for a while.
    DeviceTrusted { device: &'a str, source: &'a str },
    /// Three words that prove the address; live `minutes`.
    Words { words: &'a str, minutes: u64, source: &'a str },
    /// A new password was set by whom mailed words have proven to own the address.
    PasswordRecovered { source: &'a str },
    /// The address was proven for the first time, beside the password.
    AddressProven { bound: &'a Bound, source: &'a str },
    /// The address was proven for the first time, without the password: what was bound to the account has ended.
    Reclaimed { source: &'a str },
}

/// A letter in words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Letter<'_> {
    pub(super) fn write(self, language: Language, now: Timestamp) -> Written {
        let words = words(language, self, &quotable(self.device()));
        let (labels, time, source) = (labels(language), readable(now), self.source());
        let mut facts = self.bound().map(|bound| bound.lines(language)).unwrap_or_default();
        facts.extend([format!("{} {time}", labels.when), format!("{} {source}", labels.from)]);
        // A code is alone on its line in both forms, so that programs find it too (CONTRACT.md section 1).
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

    /// When there is no sense any more in sending it: its code is over by then.
    pub(super) fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        if let Self::LoginCode { minutes, .. }
        | Self::EnableCode { minutes, .. }
        | Self::Words { minutes, .. } = self
        {
            Some(now.plus(Duration::from_secs(minutes.max(1).saturating_mul(60))))
        } else {
            None
        }
    }

    /// A code, or words that serve as one.
    fn code(&self) -> Option<&str> {
        if let Self::LoginCode { code, .. }
        | Self::EnableCode { code, .. }
        | Self::Words { words: code, .. } = self
        {
            Some(code)
        } else {
            None
        }
    }

    fn bound(&self) -> Option<&Bound> {
        if let Self::AddressProven { bound, .. } = self { Some(bound) } else { None }
    }

    fn device(&self) -> &str {
        if let Self::PhoneAdded { device, .. }
        | Self::PhoneRemoved { device, .. }
        | Self::RefreshReused { device, .. }
        | Self::DeviceTrusted { device, .. } = self
        {
            device
        } else {
            ""
        }
    }

    fn source(&self) -> &str {
        match self {
            Self::RegistrationTried { source }
            | Self::PhoneAdded { source, .. }
            | Self::PhoneRemoved { source, .. }
            | Self::CodesReplaced { source }
            | Self::FactorRemoved { source, .. }
            | Self::PasswordChanged { source }
            | Self::RefreshReused { source, .. }
            | Self::Locked { source }
            | Self::LoginCode { source, .. }
            | Self::EnableCode { source, .. }
            | Self::FactorAdded { source, .. }
            | Self::TwoFactorOff { source }
            | Self::CodesLow { source, .. }
            | Self::DeviceTrusted { source, .. }
            | Self::Words { source, .. }
            | Self::PasswordRecovered { source }
            | Self::AddressProven { source, .. }
            | Self::Reclaimed { source } => source,
        }
    }
}

/// A name that a client chose: one line, without the quotation marks of any language, and without a run of digits that
/// could be taken for a code.
pub(super) fn quotable(name: &str) -> String {
    let (mut out, mut run) = (String::with_capacity(name.len()), 0);
    for c in name.chars().filter(|c| !c.is_control() && !"\"„“”«»\u{2028}\u{2029}".contains(*c)) {
        run = if c.is_numeric() { run + 1 } else { 0 };
        if run == 6 {
            out.push('…');
            run = 1;
        }
        out.push(c);
    }
    out
}

/// `2026-11-22 09:30 UTC`: no run of six digits, so that it can't be taken for a code.
fn readable(now: Timestamp) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + now.since(Timestamp(0));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_339_800_000);
    const CODE: &str = "048291";
    const THREE: &str = "apple river quiet";
    const NASTY: &str = "<b>&\" 482913 or 00000000\r\n123456";

    static BOUND: std::sync::LazyLock<Bound> = std::sync::LazyLock::new(|| Bound {
        phones: vec!["Pixel".to_owned(), NASTY.to_owned()],
        devices: vec!["Laptop".to_owned(); 3],
        trusted: vec![NASTY.to_owned()],
        methods: vec![Method::Email, Method::Mobile, Method::Authenticator, Method::BackupCode],
    });

    /// Every kind of letter, with every method where there is one.
    fn all() -> Vec<Letter<'static>> {
        let source = "2001:db8::1";
        let device = NASTY;
        let mut all = vec![
            Letter::RegistrationTried { source },
            Letter::PhoneAdded { device, source },
            Letter::PhoneRemoved { device, source },
            Letter::CodesReplaced { source },
            Letter::PasswordChanged { source },
            Letter::RefreshReused { device, source },
            Letter::Locked { source },
            Letter::TwoFactorOff { source },
            Letter::DeviceTrusted { device, source },
            Letter::PasswordRecovered { source },
            Letter::AddressProven { bound: &BOUND, source },
            Letter::Reclaimed { source },
        ];
        for method in [Method::Email, Method::Mobile, Method::Authenticator, Method::BackupCode] {
            all.extend([Letter::FactorRemoved { method, source }, Letter::FactorAdded { method, source }]);
        }
        for minutes in [0, 1, 3, 10] {
            let code = CODE;
            all.extend([
                Letter::LoginCode { code, minutes, source },
                Letter::EnableCode { code, minutes, source },
                Letter::Words { words: THREE, minutes, source },
            ]);
        }
        all.extend([0, 1, 2].map(|left| Letter::CodesLow { left, source }));
        // A kind that is missing above does not compile here.
        for letter in &all {
            match letter {
                Letter::RegistrationTried { .. }
                | Letter::PhoneAdded { .. }
                | Letter::PhoneRemoved { .. }
                | Letter::CodesReplaced { .. }
                | Letter::FactorRemoved { .. }
                | Letter::PasswordChanged { .. }
                | Letter::RefreshReused { .. }
                | Letter::Locked { .. }
                | Letter::LoginCode { .. }
                | Letter::EnableCode { .. }
                | Letter::FactorAdded { .. }
                | Letter::TwoFactorOff { .. }
                | Letter::CodesLow { .. }
                | Letter::DeviceTrusted { .. }
                | Letter::Words { .. }
                | Letter::PasswordRecovered { .. }
                | Letter::AddressProven { .. }
                | Letter::Reclaimed { .. } => {}
            }
        }
        all
    }

    fn each(check: impl Fn(Letter<'static>, Language, &Written)) {
        for letter in all() {
            for language in Language::ALL {
                check(letter, language, &letter.write(language, NOW));
            }
        }
    }

    /// The runs of six digits and more.
    fn long_runs(text: &str) -> Vec<&str> {
        text.split(|c: char| !c.is_numeric()).filter(|run| run.chars().count() >= 6).collect()
    }

    #[test]
    fn a_letter_says_what_when_from_where_and_what_to_do() {
        let letter = Letter::PhoneAdded { device: "Pixel", source: "192.0.2.1" };
        let written = letter.write(Language::En, NOW);
        assert_eq!(written.subject, "A phone may approve your logins");
        for part in ["\"Pixel\"", "When: 2026-11-22 09:30 UTC", "From: 192.0.2.1", "If it was not you"] {
            assert!(written.text.contains(part), "{part} is missing in {}", written.text);
        }
        each(|_, _, Written { subject, text, html }| {
            for part in ["2026-11-22 09:30 UTC", "2001:db8::1"] {
                assert!(text.contains(part) && html.contains(part), "{part} is missing in {text}{html}");
            }
            assert!(!subject.is_empty() && html.contains(&format!("<title>{}</title>", escaped(subject))));
            assert!(text.lines().filter(|line| !line.is_empty()).count() >= 4, "{text}");
        });
    }

    #[test]
    fn a_code_is_the_only_run_of_six_digits_and_like_words_alone_on_its_line() {
        each(|letter, _, Written { subject, text, html }| {
            let expected = letter.code().filter(|code| *code == CODE).map_or(vec![], |code| vec![code]);
            assert_eq!(long_runs(text), expected, "{text}");
            assert_eq!(long_runs(html), expected, "{html}");
            assert_eq!(long_runs(subject), Vec::<&str>::new(), "{subject}");
            for form in [text, html] {
                for known in [CODE, THREE] {
                    let count = form.lines().filter(|line| *line == known).count();
                    assert_eq!(count, usize::from(letter.code() == Some(known)), "{form}");
                }
            }
            assert!(!subject.contains(THREE), "{subject}");
            let lives = letter.expires_at(NOW).map(|end| end.since(NOW) >= Duration::from_secs(60));
            assert_eq!(lives, letter.code().map(|_| true), "only a code has an end");
        });
    }

    #[test]
    fn nothing_is_left_to_be_filled_in_and_no_word_of_the_wire_is_shown() {
        each(|_, _, Written { subject, text, html }| {
            for form in [subject, text, html] {
                for mark in ["{", "}", "[[", "%s", "TODO", "MOBILE", "EMAIL", "AUTHENTIFICATOR", "BACKUPCODE"]
                {
                    assert!(!form.contains(mark), "{mark} in {form}");
                }
                assert!(!form.contains('\r') && !form.contains("\n\n\n") && !form.contains("  "), "{form:?}");
            }
            assert!(!subject.contains('\n'), "{subject}");
        });
    }

    #[test]
    fn every_language_has_words_of_its_own() {
        for letter in all() {
            let written = Language::ALL.map(|language| letter.write(language, NOW));
            for (at, one) in written.iter().enumerate() {
                for other in &written[..at] {
                    assert_ne!(one.subject, other.subject);
                    let is_own = |line: &str| line.contains(' ') && line != THREE;
                    let same = |form: &str| one.text.lines().any(|line| line == form && is_own(line));
                    assert!(!other.text.lines().any(same), "{} and {}", one.text, other.text);
                }
            }
        }
    }

    #[test]
    fn html_is_escaped_says_its_language_and_loads_nothing() {
        each(|letter, language, Written { text, html, .. }| {
            assert!(html.contains(&format!("<html lang=\"{}\">", language.tag())), "{html}");
            for foreign in ["<b>", "http", "src=", "url(", "<script", "<img", "<a ", "@import"] {
                assert!(!html.contains(foreign), "{foreign} in {html}");
            }
            if !letter.device().is_empty() {
                assert!(html.contains("&lt;b&gt;&amp; 48291…3 or"), "{html}");
                assert!(text.contains("<b>& 48291…3 or"), "{text}");
            }
        });
    }
}
