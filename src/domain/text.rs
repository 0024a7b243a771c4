//! Text from strangers, made fit to be shown on a phone, stored, or logged.

/// The longest text shown from a claim of a client, in characters.
pub const SHOWN_CHARS: usize = 120;

/// `text` without control, bidirectional-formatting and invisible characters, trimmed and cut to
/// [`SHOWN_CHARS`]. A stranger's `location` must not reorder or forge what the owner reads.
pub fn shown(text: &str) -> String {
    let kept = text.chars().filter(|c| !is_unsafe(*c)).take(SHOWN_CHARS).collect::<String>();
    kept.trim().to_owned()
}

/// [`shown`], and nothing in it that a mail program or a phone would make a link of: a name must not lead an owner anywhere.
pub fn unlinked(text: &str) -> String {
    without_links(&shown(text)).trim().to_owned()
}

/// `text` with a space for each character that holds a link together: a dot before anything but a digit (`128.0` is a
/// version, `evil.example` a host), a colon that something follows (`https:`), and slashes in a row.
pub fn without_links(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied();
    let joins = |place: usize, c: char| {
        let next = at(place + 1);
        match c {
            // Other scripts' full stops separate the labels of a host too (UTS 46).
            '.' | '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' => {
                next.is_some_and(|next| next.is_alphabetic() || !next.is_ascii() && !next.is_whitespace())
            }
            ':' | '\u{fe55}' | '\u{ff1a}' => {
                next.is_some_and(|next| !next.is_whitespace() && !next.is_ascii_digit())
            }
            '/' | '\\' | '\u{ff0f}' => next == Some(c) || place > 0 && at(place - 1) == Some(c),
            _ => false,
        }
    };
    chars.iter().enumerate().map(|(place, c)| if joins(place, *c) { ' ' } else { *c }).collect()
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Characters that are not seen, or only change how others are.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_nothing_that_becomes_a_link() {
        for (text, kept) in [
            ("win at https://evil.example/x", "win at https   evil example/x"),
            ("www.evil.example", "www evil example"),
            ("evil.\u{200b}example", "evil example"),
            ("evil\u{3002}example\u{ff0e}org", "evil example org"),
            ("mailto:ann@evil.example", "mailto ann@evil example"),
            ("evil.xn--p1ai", "evil xn--p1ai"),
            ("\\\\evil\\x", "evil\\x"),
            ("Firefox 128.0.1, Android 14.1", "Firefox 128.0.1, Android 14.1"),
            ("St. Gallen. Zürich", "St. Gallen. Zürich"),
            ("Room: 12:30 w/ 2 screens", "Room: 12:30 w/ 2 screens"),
            ("東京。", "東京。"),
        ] {
            assert_eq!(unlinked(text), kept);
            assert_eq!(unlinked(kept), kept, "once more changes nothing");
        }
    }

    #[test]
    fn what_is_shown_can_neither_reorder_nor_forge() {
        assert_eq!(shown("Pa\u{202e}ris\u{1b}[31m\n\0 \u{200b}"), "Paris[31m");
        assert_eq!(shown("Zürich – Genève 東京 🦀"), "Zürich – Genève 東京 🦀");
        assert_eq!(shown(&"x".repeat(5000)).len(), SHOWN_CHARS);
    }
}
