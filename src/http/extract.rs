//! What handlers take out of a request: JSON bodies within bounds, the bearer's session, the client's address.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use axum::http::request::Parts;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::Http;
use super::error::Refusal;
use crate::auth::Error;
use crate::domain::claims::OWN_CLIENT;
use crate::domain::language::Language;
use crate::net::json::{self, BadJson};
use crate::net::{Peer, client_address};
use crate::store::sessions::Live;

/// What a body beyond the limit may go on for before the connection is cut: enough for the client to come to reading
/// its 413.
const DISCARD: usize = 4 * 1024 * 1024;

/// A JSON body; fields that are unknown are ignored, known ones that stand twice are refused.
pub(super) struct Json<T>(pub(super) T);

/// A JSON body that may be missing altogether.
pub(super) struct OptionalJson<T>(pub(super) T);

/// The live session of the `Authorization: Bearer` token, made for whichever client: for routes that end that session.
pub(super) struct Bearer(pub(super) Live);

/// The live session of a token of this service's own client: for routes that show or change the account (docs/protocol.md,
/// "Clients"). A relying party's token is 403 `wrong_client`.
pub(super) struct Owner(pub(super) Live);

/// Where the client is, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) source: IpAddr,
    pub(super) agent: String,
    /// The best of `Accept-Language`.
    pub(super) language: Option<Language>,
    /// The origin of the page that asks, unless its logins may manage accounts.
    foreign_origin: Option<String>,
}

impl Client {
    /// For which client a login from here is. A page of another origin can't pass for this service itself, whatever it
    /// names: its browser says where it is from.
    pub(super) fn client_id(&self, named: Option<String>) -> Option<String> {
        let Some(origin) = &self.foreign_origin else { return named };
        named.filter(|name| name != OWN_CLIENT).or_else(|| Some(origin.clone()))
    }
}

/// The one variable part of a path; what can't be one is 404.
pub(super) struct PathText(pub(super) String);

/// The kind of account in the path; an unknown one is 404.
pub(super) struct KindPath(pub(super) String);

impl<T: DeserializeOwned> FromRequest<Http> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refusal> {
        let bytes = read_json(request, http).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Http> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refusal> {
        if request.headers().get(CONTENT_TYPE).is_none() {
            let bytes = read(request.into_body(), http).await?;
            return if bytes.is_empty() { Ok(Self(T::default())) } else { Err(Refusal::WrongType) };
        }
        let bytes = read_json(request, http).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

impl FromRequestParts<Http> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        let token = bearer_token(&parts.headers).ok_or(Refusal::NoToken)?;
        Ok(Self(http.auth.bearer(token).await?))
    }
}

impl FromRequestParts<Http> for Owner {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        let Bearer(live) = Bearer::from_request_parts(parts, http).await?;
        live.must_manage()?;
        Ok(Self(live))
    }
}

impl FromRequestParts<Http> for Client {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        let peer = parts.extensions.get::<Peer>().copied();
        let peer = peer.ok_or_else(|| Error::internal("a request without a peer"))?;
        let source = client_address(&parts.headers, peer, &http.trusted_proxies);
        let agent =
            parts.headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let foreign_origin = http.account_origins.foreign(&parts.headers);
        Ok(Self { source, agent, language: language(&parts.headers), foreign_origin })
    }
}

impl FromRequestParts<Http> for PathText {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        let part = Path::<String>::from_request_parts(parts, http).await;
        part.map(|Path(text)| Self(text)).map_err(|_| Refusal::NotFound)
    }
}

impl FromRequestParts<Http> for KindPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Refusal> {
        let PathText(kind) = PathText::from_request_parts(parts, http).await?;
        if http.auth.config.kind(&kind).is_some() { Ok(Self(kind)) } else { Err(Refusal::NotFound) }
    }
}

/// The best of `Accept-Language`.
pub(super) fn language(headers: &HeaderMap) -> Option<Language> {
    Language::from_accept(headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?)
}

pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let parsed = json::parse(bytes).map_err(|bad| match bad {
        BadJson::Field => Refusal::BadField,
        BadJson::Syntax => Refusal::BadJson,
    })?;
    // A list of the fields' values in their order would be read too, but is nothing that anybody may send.
    if bytes.trim_ascii_start().starts_with(b"{") { Ok(parsed) } else { Err(Refusal::BadField) }
}

async fn read_json(request: Request, http: &Http) -> Result<Bytes, Refusal> {
    let headers = request.headers();
    let declared = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    if !is_json || headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::WrongType);
    }
    read(request.into_body(), http).await
}

/// Reads a body within the limits of size and time.
pub(super) async fn read(body: Body, http: &Http) -> Result<Bytes, Refusal> {
    let server = &http.auth.config.server;
    let reading = tokio::time::timeout(server.body_timeout, collect(body, server.max_body));
    reading.await.unwrap_or(Err(Refusal::TooSlow))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BadJson)?.into_data() else { continue };
        seen += data.len();
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > limit.saturating_add(DISCARD) {
            break;
        }
    }
    if seen > limit { Err(Refusal::TooLarge) } else { Ok(kept.into()) }
}
