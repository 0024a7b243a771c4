//! What owners are told: what happened, when, from where, and what to do if it was not them.

use std::time::Duration;

use super::html::{escaped, numeral, page, paragraph};
use super::templates::{Words, labels, repeated, words};
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
}

/// A letter in words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl<'a> Letter<'a> {
    pub(super) fn write(self, language: Language, now: Timestamp) -> Written {
        self.write_words(&words(language, self, &quotable(self.device())), language, now)
    }

    /// Says that there were `times` more occasions since the last letter of this kind, the latest at `last`.
    pub(super) fn write_repeats(self, times: i64, language: Language, last: Timestamp) -> Written {
        let mut words = words(language, self, "");
        // Not a run of six digits, which could be taken for a code.
        words.what = repeated(language, times.min(99_999));
        self.write_words(&words, language, last)
    }

    fn write_words(self, words: &Words, language: Language, now: Timestamp) -> Written {
        let (labels, time, source) = (labels(language), readable(now), self.source());
        let facts = [format!("{} {time}", labels.when), format!("{} {source}", labels.from)];
        // A code is alone on its line in both forms, so that programs find it too (CONTRACT.md section 1).
        let code = self.code().map_or_else(String::new, |code| format!("{code}\n\n{}\n\n", words.validity));
        let text = format!("{}\n\n{code}{}\n\n{}\n", words.what, facts.join("\n"), words.advice);
        let mut body = paragraph(&words.what);
        if let Some(code) = self.code() {
            body += &numeral(code);
            body += &paragraph(&words.validity);
        }
        body += &format!("<p>{}</p>\n", facts.map(|fact| escaped(&fact)).join("<br>\n"));
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

    /// The name of this kind of letter in the store.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::RegistrationTried { .. } => "registration_tried",
            Self::PhoneAdded { .. } => "phone_added",
            Self::PhoneRemoved { .. } => "phone_removed",
            Self::CodesReplaced { .. } => "codes_replaced",
            Self::FactorRemoved { .. } => "factor_removed",
            Self::PasswordChanged { .. } => "password_changed",
            Self::RefreshReused { .. } => "refresh_reused",
            Self::Locked { .. } => "locked",
            Self::LoginCode { .. } => "login_code",
            Self::EnableCode { .. } => "enable_code",
            Self::FactorAdded { .. } => "factor_added",
            Self::TwoFactorOff { .. } => "two_factor_off",
            Self::CodesLow { left: 0, .. } => "codes_low/0",
            Self::CodesLow { left: 1, .. } => "codes_low/1",
            Self::CodesLow { left: 2, .. } => "codes_low/2",
            Self::CodesLow { .. } => "codes_low",
            Self::DeviceTrusted { .. } => "device_trusted",
            Self::Words { .. } => "words",
            Self::PasswordRecovered { .. } => "password_recovered",
        }
    }

    /// A letter of a kind whose repeats are told together.
    pub(super) fn of_kind(kind: &str, source: &'a str) -> Option<Self> {
        let device = "";
        Some(match kind {
            "registration_tried" => Self::RegistrationTried { source },
            "phone_added" => Self::PhoneAdded { device, source },
            "phone_removed" => Self::PhoneRemoved { device, source },
            "codes_replaced" => Self::CodesReplaced { source },
            "factor_removed" => Self::FactorRemoved { method: Method::Email, source },
            "password_changed" => Self::PasswordChanged { source },
            "refresh_reused" => Self::RefreshReused { device, source },
            "locked" => Self::Locked { source },
            "factor_added" => Self::FactorAdded { method: Method::Email, source },
            "two_factor_off" => Self::TwoFactorOff { source },
            "codes_low/0" | "codes_low/1" | "codes_low/2" | "codes_low" => Self::CodesLow { left: 0, source },
            "device_trusted" => Self::DeviceTrusted { device, source },
            "password_recovered" => Self::PasswordRecovered { source },
            _ => return None,
        })
    }

    /// Whether it is never delayed: what was granted or taken away, and new passwords.
    pub(super) fn is_urgent(self) -> bool {
        match self {
            Self::PhoneAdded { .. }
            | Self::PhoneRemoved { .. }
            | Self::FactorAdded { .. }
            | Self::FactorRemoved { .. }
            | Self::TwoFactorOff { .. }
            | Self::DeviceTrusted { .. }
            | Self::PasswordChanged { .. }
            | Self::PasswordRecovered { .. } => true,
            Self::RegistrationTried { .. }
            | Self::CodesReplaced { .. }
            | Self::RefreshReused { .. }
            | Self::Locked { .. }
            | Self::CodesLow { .. }
            | Self::LoginCode { .. }
            | Self::EnableCode { .. }
            | Self::Words { .. } => false,
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

    pub(super) fn source(&self) -> &str {
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
            | Self::PasswordRecovered { source } => source,
        }
    }
}

/// A name that a client chose: one line, without the quotation marks of any language, and without a run of digits that
/// could be taken for a code.
fn quotable(name: &str) -> String {
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
                | Letter::PasswordRecovered { .. } => {}
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
    fn every_notice_can_be_told_as_repeats_in_every_language() {
        for letter in all().into_iter().filter(|letter| letter.code().is_none()) {
            let same = Letter::of_kind(letter.kind(), "192.0.2.1").expect("a known kind");
            for language in Language::ALL {
                let once = letter.write(language, NOW);
                for (times, told) in [(1, None), (2, Some("2")), (7, Some("7")), (123_456, Some("99999"))] {
                    let written = same.write_repeats(times, language, NOW);
                    assert_eq!(written.subject, once.subject);
                    assert!(written.text.contains(told.unwrap_or_default()), "{}", written.text);
                    assert_eq!(long_runs(&written.text), Vec::<&str>::new());
                    assert!(written.text.contains("192.0.2.1") && written.html.contains("2026-11-22 09:30"));
                }
            }
        }
        for code in all().into_iter().filter(|letter| letter.code().is_some()) {
            assert!(Letter::of_kind(code.kind(), "").is_none() && !code.is_urgent());
        }
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
