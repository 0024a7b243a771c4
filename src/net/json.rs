//! Strict JSON from strangers: typed, no known key twice, and bounded in depth and number of keys before it is parsed.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// No message is nested deeper than two (docs/protocol.md, "Bodies").
const MAX_DEPTH: usize = 16;
/// No message has more than twenty keys.
const MAX_KEYS: usize = 128;

/// Why a text is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadJson {
    /// Not JSON, nested too deep, or with too many keys.
    Syntax,
    /// A field is missing, stands twice, or is of the wrong type.
    Field,
}

/// Reads a message. Unknown fields are ignored.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, BadJson> {
    if !is_bounded(text) {
        return Err(BadJson::Syntax);
    }
    serde_json::from_slice(text).map_err(|e| if e.is_data() { BadJson::Field } else { BadJson::Syntax })
}

/// Counts brackets and colons outside of strings; whether they make JSON is the parser's question.
fn is_bounded(text: &[u8]) -> bool {
    let (mut depth, mut keys, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => keys += 1,
            _ => {}
        }
        if depth > MAX_DEPTH || keys > MAX_KEYS {
            return false;
        }
    }
    true
}

/// Any JSON in whose objects no key stands twice.
pub(crate) struct Once(pub(crate) Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = serde_json::Map::new();
        while let Some((name, Once(value))) = map.next_entry::<String, Once>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Once(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::from(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    struct One {
        #[expect(dead_code, reason = "only whether it is read counts")]
        a: u8,
    }

    #[test]
    fn depth_and_keys_are_bounded_outside_of_strings() {
        let nested = |depth: usize| format!(r#"{{"a":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(parse::<One>(nested(10).as_bytes()).is_ok());
        assert_eq!(parse::<One>(nested(1000).as_bytes()).err(), Some(BadJson::Syntax));
        let keys = |count: usize| format!(r#"{{"a":1{}}}"#, r#","k":1"#.repeat(count));
        assert!(parse::<One>(keys(20).as_bytes()).is_ok());
        assert_eq!(parse::<One>(keys(200).as_bytes()).err(), Some(BadJson::Syntax));
        assert!(parse::<One>(format!(r#"{{"a":1,"x":"\"{}"}}"#, "[:".repeat(500)).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        assert_eq!(parse::<One>(br#"{"a":"#).err(), Some(BadJson::Syntax));
        for field in [r#"{"a":"1"}"#, "{}", r#"{"a":1,"a":1}"#, "[]"] {
            assert_eq!(parse::<One>(field.as_bytes()).err(), Some(BadJson::Field), "{field}");
        }
    }
}
