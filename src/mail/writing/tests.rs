//! What every letter holds, in every language.

use std::time::Duration;

use super::*;
use crate::domain::factor::Method;

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
        Letter::FingerprintsGuessed { source },
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
            | Letter::FingerprintsGuessed { .. }
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
fn every_notice_can_be_told_as_repeats_and_late_in_every_language() {
    for letter in all().into_iter().filter(|letter| letter.code().is_none()) {
        let same = Letter::of_kind(letter.kind(), "192.0.2.1").expect("a known kind");
        for language in Language::ALL {
            let once = letter.write(language, NOW);
            for (times, told) in [(1, None), (2, Some("2")), (7, Some("7")), (123_456, Some("99999"))] {
                for write in [Letter::write_repeats, Letter::write_late] {
                    let written = write(same, times, language, NOW);
                    assert_eq!(written.subject, once.subject);
                    assert!(written.text.contains(told.unwrap_or_default()), "{}", written.text);
                    assert_eq!(long_runs(&written.text), Vec::<&str>::new());
                    assert!(written.text.contains("192.0.2.1") && written.html.contains("2026-11-22 09:30"));
                }
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
            for mark in ["{", "}", "[[", "%s", "TODO", "MOBILE", "EMAIL", "AUTHENTIFICATOR", "BACKUPCODE"] {
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

#[test]
fn each_sort_of_thing_that_is_bound_has_a_line() {
    let bound = Bound {
        phones: vec!["Pixel".to_owned(), "<b>&\" 482913\r\n".to_owned()],
        devices: vec!["Laptop".to_owned(); NAMES + 1],
        trusted: vec![],
        methods: vec![Method::Email, Method::Mobile],
    };
    let lines = bound.lines(Language::En);
    assert_eq!(lines[0], "Phones that may approve: \"Pixel\", \"<b>& 48291…3\"");
    assert!(lines[1].starts_with("Logged in: \"Laptop\"") && lines[1].ends_with("\"Laptop\", …"));
    assert_eq!(lines[1].matches("Laptop").count(), NAMES);
    assert_eq!(lines[2..], ["Second factors: codes by mail, approval by phone"]);
    assert!(Bound::default().lines(Language::De).is_empty());
}
