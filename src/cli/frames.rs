//! How frames and calls are shown: the exact text of the wire, without what must not be read over a shoulder.

/// Replaces passwords by `•••`, and cuts the texts under the keys `shorten`, in JSON of any depth. Everything else
/// stays as it was on the wire, byte for byte.
pub(super) fn redacted(json: &str, shorten: &[&str]) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut rest = json;
    let mut key = "";
    while let Some(start) = rest.find('"') {
        let end = start + 1 + string_len(&rest[start + 1..]);
        let (before, text, after) =
            (&rest[..start], &rest[start + 1..end], rest.get(end + 1..).unwrap_or(""));
        shown.push_str(before);
        if after.trim_start().starts_with(':') {
            key = text;
            quoted(&mut shown, text);
        } else {
            quoted(&mut shown, &value(key, text, shorten));
        }
        rest = after;
    }
    shown + rest
}

/// How much of each end of a shortened text is shown: enough to tell two tokens apart, whose beginnings are alike.
const SHORT: usize = 6;

fn value(key: &str, text: &str, shorten: &[&str]) -> String {
    if matches!(key, "password" | "new_password") {
        return "•••".to_owned();
    }
    let chars = text.chars().count();
    if shorten.contains(&key) && chars > 4 * SHORT {
        return text.chars().take(SHORT).chain(['…']).chain(text.chars().skip(chars - SHORT)).collect();
    }
    text.to_owned()
}

fn quoted(shown: &mut String, text: &str) {
    shown.push('"');
    shown.push_str(text);
    shown.push('"');
}

/// How long a JSON string is whose opening quote has been read.
fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn passwords_are_never_shown_whatever_they_hold() {
        let frame = r#"{"action":"askMobileConnection","password" : "a\"b,\\","type":"p"}"#;
        assert_eq!(redacted(frame, &[]), r#"{"action":"askMobileConnection","password" : "•••","type":"p"}"#);
    }

    #[test]
    fn only_the_named_texts_are_cut() {
        let long = "0123456789abcdefghijklmnopqrstuvwxyz";
        let frame =
            format!(r#"{{"a":["password"],"token":"{long}","code":"{long}","x":{{"token":"short"}}}}"#);
        let shown = frame.replacen(long, "012345…uvwxyz", 1);
        assert_eq!(redacted(&frame, &["token"]), shown);
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        for text in ["", "{}", "no json", r#"{ "ü" : [1, 2.50, null, "\u00e9\\"] }"#] {
            assert_eq!(redacted(text, &[]), text);
        }
    }

    #[test]
    fn a_password_that_never_ends_is_not_shown_either() {
        assert_eq!(redacted(r#"{"password":"secr\"#, &[]), r#"{"password":"•••""#);
    }
}
