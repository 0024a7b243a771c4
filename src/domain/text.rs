//! Text from strangers, made fit to be shown on a phone, stored, or logged.

/// The longest text shown from a claim of a client, in characters.
pub const SHOWN_CHARS: usize = 120;

/// `text` without control, bidirectional-formatting and invisible characters, trimmed and cut to
/// [`SHOWN_CHARS`]. A stranger's `location` must not reorder or forge what the owner reads.
pub fn shown(text: &str) -> String {
    let kept = text.chars().filter(|c| !is_unsafe(*c)).take(SHOWN_CHARS).collect::<String>();
    kept.trim().to_owned()
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_neither_reorder_nor_forge() {
        assert_eq!(shown("Pa\u{202e}ris\u{1b}[31m\n\0 \u{200b}"), "Paris[31m");
        assert_eq!(shown("Zürich – Genève 東京 🦀"), "Zürich – Genève 東京 🦀");
        assert_eq!(shown(&"x".repeat(5000)).len(), SHOWN_CHARS);
    }
}
