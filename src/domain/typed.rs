//! Codes as people type them, in the form in which they are compared (docs/protocol.md, "Typed codes").

use unicode_normalization::UnicodeNormalization as _;

use super::secret::{BackupCode, OneTimeCode};
use super::text::is_invisible;

/// No code is longer.
const MAX_CHARS: usize = 64;

/// Where the dash of a dashed backup code stands, and how long it is without.
const DASH_AT: usize = 5;
const DASHED_CHARS: usize = 10;

/// The zeros of all scripts that have decimal digits, beside ours and those that compatibility normalisation makes ours.
/// The other nine follow each (Unicode 17, general category Nd).
const ZEROS: [char; 68] = [
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{10d40}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{116d0}',
    '\u{116da}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11bf0}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{11de0}',
    '\u{11f50}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{16d70}',
    '\u{1ccf0}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e4f0}',
    '\u{1e5f1}',
    '\u{1e950}',
];

/// A mailed code or that of an app.
pub fn one_time(text: &str) -> OneTimeCode {
    OneTimeCode::new(normalised(text))
}

/// A backup code of either form.
pub fn backup_code(text: &str) -> BackupCode {
    let mut code = normalised(text);
    if code.len() == DASHED_CHARS && code.is_ascii() {
        code.insert(DASH_AT, '-');
    }
    BackupCode::new(code)
}

/// In compatibility form (NFKC), its digits in ASCII, without spaces, dashes and what can't be seen.
fn normalised(text: &str) -> String {
    let kept = text.nfkc().map(ascii_digit);
    kept.filter(|c| !is_dropped(*c)).take(MAX_CHARS).collect()
}

fn ascii_digit(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let value = |zero: &char| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10);
    ZEROS.iter().find_map(value).and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

fn is_dropped(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c) || is_dash(c)
}

/// The dashes of all scripts, and what is taken for one: minus, hyphen bullet, soft hyphen's like.
fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{207b}'
                | '\u{208b}'
                | '\u{2212}'
                | '\u{2e17}'
                | '\u{2e1a}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{2e40}'
                | '\u{2e5d}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30a0}'
                | '\u{30fc}'
                | '\u{fe31}'
                | '\u{fe32}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
                | '\u{10ead}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_code_is_read_in_any_script_and_spacing() {
        for text in [
            "048291",
            " 048 291\r\n",
            "048-291",
            "0\u{2011}4\u{2212}8\u{2013}2 9\u{2014}1",
            "\u{feff}048\u{200b}2\u{200d}9\u{2060}1\u{fe0f}",
            "048\u{a0}29\u{3000}1",
            "０４８２９１",
            "٠٤٨٢٩١",
            "۰۴۸۲۹۱",
            "०४८२९१",
            "\u{1d7ce}\u{1d7d2}\u{1d7d6}\u{1d7d0}\u{1d7d7}\u{1d7cf}",
            "\u{1e950}\u{1e954}\u{1e958}\u{1e952}\u{1e959}\u{1e951}",
        ] {
            assert_eq!(one_time(text).expose(), "048291", "{text:?}");
        }
        for other in ["", "048291x", "四八二九一", "Ⅳ8291", "048291.", "048_291"] {
            assert_ne!(one_time(other).expose(), "048291", "{other:?}");
        }
    }

    #[test]
    fn every_zero_is_one_and_is_followed_by_its_nine() {
        for zero in ZEROS {
            for value in 0..10 {
                let digit = char::from_u32(u32::from(zero) + value).unwrap();
                assert_eq!(one_time(&digit.to_string()).expose(), value.to_string(), "{digit:?}");
            }
        }
        assert!(ZEROS.windows(2).all(|pair| u32::from(pair[1]) - u32::from(pair[0]) >= 10));
    }

    #[test]
    fn a_backup_code_of_either_form_is_one_however_it_is_dashed() {
        for text in ["x3fGh-9kLmQ", "x3fGh9kLmQ", " x3fGh – 9kLmQ ", "ｘ3fGh9kLmQ"] {
            assert_eq!(backup_code(text).expose(), "x3fGh-9kLmQ", "{text:?}");
        }
        for text in ["8KbnVq2F", "8Kbn Vq2F", "8Kbn-Vq2F"] {
            assert_eq!(backup_code(text).expose(), "8KbnVq2F", "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_code_is_not_kept_at_length() {
        assert_eq!(one_time(&"1".repeat(100_000)).expose().len(), MAX_CHARS);
    }
}
