//! The HTML form of a letter: simple, readable in a phone's mail client, nothing from elsewhere.

use crate::domain::language::Language;

/// A page without anything from elsewhere: what a mail client shows without asking.
pub(super) fn page(language: Language, title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n</head>\n\
         <body style=\"font-family:sans-serif;font-size:1em;line-height:1.5;max-width:36em\">\n{body}</body>\n</html>\n",
        language.tag(),
        escaped(title),
    )
}

/// A code: large, and alone on its line.
pub(super) fn numeral(code: &str) -> String {
    let style = "font-size:2em;font-weight:bold;letter-spacing:.1em";
    format!("<p style=\"{style}\">\n{}\n</p>\n", escaped(code))
}

pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// Text as HTML; safe as an attribute's value too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
