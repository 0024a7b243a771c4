//! What the device-aware login reads: the fields of a body, each a text, and the extractors of the other surfaces.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde_json::{Map, Value};

use super::answer::Refused;
use crate::domain::secret::{Fingerprint, Password};
use crate::domain::text::shown;
use crate::http::Http;
use crate::http::error::Refusal;
use crate::http::extract::{Client, Json, OptionalJson};
use crate::http::login::Said;
use crate::net::json::Once;

/// The longest fingerprint that a client may give its device, in characters.
const FINGERPRINT_CHARS: usize = 256;

/// An extractor of the other surfaces with this one's refusals.
pub(super) struct Own<T>(pub(super) T);

impl<T: FromRequestParts<Http, Rejection = Refusal>> FromRequestParts<Http> for Own<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refused> {
        Ok(Self(T::from_request_parts(parts, http).await?))
    }
}

/// The fields of a body. No `Debug`: there are passwords in it.
pub(super) struct Fields(Map<String, Value>);

/// The fields of a body that may be missing altogether.
pub(super) struct MaybeFields(pub(super) Fields);

impl FromRequest<Http> for Fields {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        let Json(Once(value)) = Json::<Once>::from_request(request, http).await?;
        if let Value::Object(fields) = value { Ok(Self(fields)) } else { Err(Refusal::BadJson.into()) }
    }
}

impl FromRequest<Http> for MaybeFields {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        let OptionalJson(fields) = OptionalJson::from_request(request, http).await?;
        Ok(Self(Fields(fields)))
    }
}

impl Fields {
    /// A text that must be there and not be blank.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, Refused> {
        let text = self.optional(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Refused::field(name))
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, name: &'static str) -> Result<Option<String>, Refused> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Refused::field(name))
            }
        }
    }

    /// The password. Blanks may be all of it.
    pub(super) fn password(&mut self) -> Result<Password, Refused> {
        let name = "password";
        let text = self.optional(name)?.filter(|text| !text.is_empty());
        text.map(Password::new).ok_or_else(|| Refused::field(name))
    }

    /// A text that may be missing, fit to be shown.
    pub(super) fn shown(&mut self, name: &'static str) -> Result<Option<String>, Refused> {
        Ok(self.optional(name)?.map(|text| shown(&text)).filter(|text| !text.is_empty()))
    }

    /// The kind of account, if one is named.
    pub(super) fn kind(&mut self, http: &Http) -> Result<Option<String>, Refused> {
        let kind = self.optional("type")?;
        match kind {
            Some(kind) if http.auth.config.kind(&kind).is_none() => Err(Refused::field("type")),
            kind => Ok(kind),
        }
    }

    /// What the client calls its device.
    pub(super) fn fingerprint(&mut self) -> Result<Option<Fingerprint>, Refused> {
        let name = "device_fingerprint";
        let Some(text) = self.optional(name)? else { return Ok(None) };
        let fingerprint = text.trim();
        let fits = (1..=FINGERPRINT_CHARS).contains(&fingerprint.chars().count());
        if fits { Ok(Some(Fingerprint::new(fingerprint.to_owned()))) } else { Err(Refused::field(name)) }
    }

    /// What the client says of its device, under this surface's names or those of the thin login.
    pub(super) fn device(&mut self) -> Result<Said, Refused> {
        let (ours, thin) = (self.shown("device_name")?, self.shown("name_device")?);
        let (our_os, thin_os) = (self.shown("device_os")?, self.shown("os")?);
        Ok(Said {
            device_type: self.shown("device_type")?,
            name: thin.or(ours),
            os: our_os.or(thin_os),
            browser: self.shown("browser")?,
            location: self.shown("location")?,
        })
    }

    /// The login that a body and its sender describe.
    pub(super) fn facts(&mut self, client: &Client) -> Result<super::Facts, Refused> {
        let device = self.device()?.facts(client);
        Ok(super::Facts { device, client_id: client.client_id(self.shown("client_id")?) })
    }
}
