//! Bodies as the client sends them, JSON or a form, and what is wrong with their fields in its words.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use super::answer::Refused;
use crate::http::Http;
use crate::http::extract;
use crate::net::json::{self, Once};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a body. No `Debug`: there are passwords in it.
pub(super) struct Body {
    fields: BTreeMap<String, Value>,
    issues: Vec<String>,
}

/// The same, where a form is read too.
pub(super) struct BodyOrForm(pub(super) Body);

/// The same, where there may be no body at all.
#[derive(Debug)]
pub(super) struct MaybeBody;

impl FromRequest<Http> for Body {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        read(request, http, false).await
    }
}

impl FromRequest<Http> for BodyOrForm {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        read(request, http, true).await.map(Self)
    }
}

impl FromRequest<Http> for MaybeBody {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        let is_declared = request.headers().contains_key(CONTENT_TYPE);
        let body = read(request, http, false).await?;
        let is_absent = !is_declared || body.issues.iter().all(|issue| issue.ends_with("undefined"));
        if is_absent { Ok(Self) } else { Err(Refused::validation(&body.issues)) }
    }
}

async fn read(request: Request, http: &Http, takes_forms: bool) -> Result<Body, Refused> {
    let headers = request.headers();
    let declared = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let allowed = if takes_forms { format!("{FORM}, {JSON}") } else { JSON.to_owned() };
    let is_form = takes_forms && essence == FORM;
    if headers.contains_key(CONTENT_ENCODING) || !(is_form || essence == JSON || declared.is_empty()) {
        return Err(Refused::wrong_type(&allowed));
    }
    let bytes = extract::read(request.into_body(), http).await?;
    if bytes.is_empty() {
        return Ok(Body::of(None));
    }
    if declared.is_empty() {
        return Err(Refused::wrong_type(&allowed));
    }
    if is_form {
        return Body::of_form(&bytes);
    }
    match json::parse(&bytes) {
        Ok(Once(value)) => Ok(Body::of(Some(value))),
        Err(_) => Err(Refused::BAD_JSON),
    }
}

impl Body {
    fn of(value: Option<Value>) -> Self {
        match value {
            Some(Value::Object(fields)) => Self { fields: fields.into_iter().collect(), issues: Vec::new() },
            other => {
                let issue = format!("[body] {}", unexpected("object", other.as_ref()));
                Self { fields: BTreeMap::new(), issues: vec![issue] }
            }
        }
    }

    fn of_form(bytes: &[u8]) -> Result<Self, Refused> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes).take(128) {
            if fields.insert(name.into_owned(), Value::from(value.into_owned())).is_some() {
                return Err(Refused::BAD_JSON);
            }
        }
        Ok(Self { fields, issues: Vec::new() })
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str) -> String {
        match self.fields.remove(name) {
            Some(Value::String(text)) => text,
            other => {
                self.complain(name, "string", other.as_ref());
                String::new()
            }
        }
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.complain(name, "string", Some(&other));
                None
            }
        }
    }

    /// A yes or no that may be missing.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.fields.remove(name) {
            None => None,
            Some(Value::Bool(flag)) => Some(flag),
            Some(other) => {
                self.complain(name, "boolean", Some(&other));
                None
            }
        }
    }

    /// One of a few words, that may be missing.
    pub(super) fn choice(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let given = self.fields.remove(name)?;
        let found = given.as_str().and_then(|text| words.iter().find(|word| **word == text).copied());
        if found.is_none() && self.is_object() {
            let words = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join("|");
            self.issues.push(format!("[body.{name}] Invalid option: expected one of {words}"));
        }
        found
    }

    /// Whether everything was as it must be.
    pub(super) fn finish(&self) -> Result<(), Refused> {
        if self.issues.is_empty() { Ok(()) } else { Err(Refused::validation(&self.issues)) }
    }

    fn complain(&mut self, name: &str, expected: &str, given: Option<&Value>) {
        if self.is_object() {
            self.issues.push(format!("[body.{name}] {}", unexpected(expected, given)));
        }
    }

    /// What is no object has no fields to complain about.
    fn is_object(&self) -> bool {
        !self.issues.first().is_some_and(|issue| issue.starts_with("[body] "))
    }
}

fn unexpected(expected: &str, given: Option<&Value>) -> String {
    let given = match given {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    format!("Invalid input: expected {expected}, received {given}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Body> {
        json::parse(text.as_bytes()).ok().map(|Once(value)| Body::of(Some(value)))
    }

    #[test]
    fn what_is_wrong_is_said_in_the_client_s_words() {
        let mut body = parse(r#"{"email":5,"trust":"yes","method":"sms"}"#).unwrap();
        let (_, _, _) = (body.text("email"), body.text("password"), body.flag("trust"));
        body.choice("method", &["otp", "totp"]);
        assert_eq!(
            body.issues.join("; "),
            "[body.email] Invalid input: expected string, received number; \
             [body.password] Invalid input: expected string, received undefined; \
             [body.trust] Invalid input: expected boolean, received string; \
             [body.method] Invalid option: expected one of \"otp\"|\"totp\""
        );
    }

    #[test]
    fn what_is_no_object_is_said_once() {
        for (text, kind) in [("[]", "array"), ("null", "null"), ("\"x\"", "string"), ("1.5", "number")] {
            let mut body = parse(text).unwrap();
            body.text("password");
            assert_eq!(body.issues, [format!("[body] Invalid input: expected object, received {kind}")]);
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_no_json() {
        assert!(parse(r#"{"code":"1","code":"2"}"#).is_none());
        assert!(Body::of_form(b"email=a&email=b").is_err());
    }
}
