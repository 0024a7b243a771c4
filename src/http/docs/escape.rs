//! Text made fit to stand in HTML.

/// Text as HTML; safe as an attribute's value too.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
