//! One line of an import: typed strictly, no unknown field, and no value in what is told of it.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::auth::import::Imported;
use crate::config::Config;
use crate::crypto::password::check_foreign;
use crate::domain::account::{Email, PasswordHash};
use crate::domain::language::Language;
use crate::domain::text::shown;
use crate::domain::time::Timestamp;

const FIELDS: [&str; 8] = ["kind", "email", "hash", "name", "phone", "verified", "language", "created_at"];

/// Reads a line; what is wrong with it is told without the values, one of which is a hash.
pub(super) fn read(text: &[u8], config: &Config) -> Result<Imported, String> {
    // Some programs begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut fields: Fields = serde_json::from_slice(text).map_err(|e| {
        if e.is_data() {
            "is no JSON object".to_owned()
        } else {
            format!("is no JSON, at column {}", e.column())
        }
    })?;
    fields.check()?;
    let kind = fields.text("kind")?.ok_or("kind: is missing")?;
    let email = fields.text("email")?.ok_or("email: is missing")?;
    let hash = fields.text("hash")?.ok_or("hash: is missing")?;
    let phone = fields.text("phone")?;
    let language = fields.text("language")?;
    let created = fields.text("created_at")?;
    let account = Imported {
        // Whoever mixed the columns up may have put the hash here: no value is shown.
        email: Email::parse(&email).ok_or("email: is no mail address such as name@example.org")?,
        password: PasswordHash(hash),
        name: fields.text("name")?.unwrap_or_default(),
        phone: phone.as_deref().map(|text| phone_number(config, text)).transpose()?,
        verified: fields.flag("verified")?,
        language: language.as_deref().map(language_of).transpose()?,
        created: created.as_deref().map(time).transpose()?,
        kind,
    };
    if config.kind(&account.kind).is_none() {
        return Err("kind: is none of accounts.kinds".to_owned());
    }
    check_foreign(&account.password).map_err(|e| format!("hash: {}", e.reason()))?;
    Ok(account)
}

fn phone_number(config: &Config, text: &str) -> Result<String, String> {
    super::super::phone_number(config, text).map_err(|why| format!("phone: {why}"))
}

fn language_of(tag: &str) -> Result<Language, String> {
    let known = || Language::ALL.map(Language::tag).join(", ");
    Language::from_tag(tag).ok_or_else(|| format!("language: there are {}", known()))
}

fn time(text: &str) -> Result<Timestamp, String> {
    let read = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let at = read.and_then(|since| i64::try_from(since.as_millis()).ok());
    at.map(Timestamp).ok_or_else(|| "created_at: give a time in UTC, as in 2024-01-31T12:00:00Z".to_owned())
}

/// The members of an object, as they stand.
struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Refuses fields that are not known, or stand twice.
    fn check(&self) -> Result<(), String> {
        for (place, (name, _)) in self.0.iter().enumerate() {
            if !FIELDS.contains(&name.as_str()) {
                return Err(format!(
                    "{}: there is no such field; there are {}",
                    shown(name),
                    FIELDS.join(", ")
                ));
            }
            if self.0[..place].iter().any(|(before, _)| before == name) {
                return Err(format!("{name}: stands twice"));
            }
        }
        Ok(())
    }

    /// Takes a field out; `null` is none.
    fn take(&mut self, name: &str) -> Option<Value> {
        let field = self.0.iter_mut().find(|(known, _)| known == name)?;
        Some(field.1.take()).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name}: must be a text in quotes")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => Err(format!("{name}: must be true or false")),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$05$oK3vHmeq3dxEuvZF0rjjoeLWmx3nLa4JFHfyvKIEsfkZTNTCtzXvq";

    fn line(text: &str) -> Result<Imported, String> {
        read(text.replace("HASH", HASH).as_bytes(), &Config::load(None, []).unwrap())
    }

    #[test]
    fn a_line_needs_three_fields_and_may_have_five_more() {
        let plain = line(r#"{"kind":"p","email":"Ann@Example.org","hash":"HASH"}"#).unwrap();
        assert_eq!((plain.email.as_given(), plain.verified, plain.phone), ("Ann@Example.org", false, None));
        let full = line(
            r#" {"kind":"d","email":"a@b.c","hash":"HASH","name":"Ann","phone":"+41 79 123 45 67","verified":true,
                 "language":"fr-CH","created_at":"2024-01-31T12:00:00Z"} "#,
        )
        .unwrap();
        assert_eq!((full.name.as_str(), full.phone.as_deref()), ("Ann", Some("+41791234567")));
        assert_eq!((full.verified, full.language), (true, Some(Language::Fr)));
        assert_eq!(full.created, Some(Timestamp(1_706_702_400_000)));
        let nulls =
            line(r#"{"kind":"p","email":"a@b.c","hash":"HASH","name":null,"verified":null}"#).unwrap();
        assert_eq!((nulls.name.as_str(), nulls.verified), ("", false));
        assert!(line("\u{feff}{\"kind\":\"p\",\"email\":\"a@b.c\",\"hash\":\"HASH\"}\r\n").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field_and_never_shows_the_hash() {
        for (text, words) in [
            ("HASH", "is no JSON, at column"),
            (r#"{"kind":"p","hash":"HASH""#, "is no JSON, at column"),
            (r#"["HASH"]"#, "is no JSON object"),
            (r#""HASH""#, "is no JSON object"),
            ("{}", "kind: is missing"),
            (r#"{"kind":"p","hash":"HASH"}"#, "email: is missing"),
            (r#"{"kind":"p","email":"a@b.c"}"#, "hash: is missing"),
            (r#"{"kind":"p","email":"a@b.c","hash":null}"#, "hash: is missing"),
            (r#"{"kind":"p","email":"a@b.c","hash":5}"#, "hash: must be a text"),
            (r#"{"kind":"p","email":"a@b.c","hash":"HASHx"}"#, "hash: it is not a whole bcrypt hash"),
            (r#"{"kind":"p","email":"a@b.c","hash":"secret"}"#, "hash: it is of no known form"),
            (
                r#"{"kind":"p","email":"a@b.c","hash":"HASH","verified":"HASH"}"#,
                "verified: must be true or false",
            ),
            (
                r#"{"kind":"p","email":"a@b.c","hash":"HASH","passwort":1}"#,
                "passwort: there is no such field",
            ),
            (r#"{"kind":"p","email":"a@b.c","hash":"HASH","hash":"HASH"}"#, "hash: stands twice"),
            (r#"{"kind":"x","email":"a@b.c","hash":"HASH"}"#, "kind: is none of"),
            (r#"{"kind":"p","email":"HASH","hash":"a@b.c"}"#, "email: is no mail address"),
            (r#"{"kind":"p","email":"a@b.c","hash":"HASH","phone":"call me"}"#, "phone: give a number"),
            (r#"{"kind":"p","email":"a@b.c","hash":"HASH","language":"tlh"}"#, "language: there are en, fr"),
            (
                r#"{"kind":"p","email":"a@b.c","hash":"HASH","created_at":"yesterday"}"#,
                "created_at: give a time",
            ),
        ] {
            let told = line(text).unwrap_err();
            assert!(told.contains(words), "{text}: {told:?} does not say {words:?}");
            assert!(!told.contains("oK3vHmeq"), "{text}: {told}");
        }
        assert!(line("{\"kind\":\"p\"\u{0}}").is_err());
        assert!(read(b"{\"kind\":\"\xff\"}", &Config::load(None, []).unwrap()).is_err());
    }
}
