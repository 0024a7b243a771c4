//! The service routes (docs/protocol-http.md, "Service routes"): health, the published keys, the settings that pages need.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Http;
use crate::domain::account::Kind;

/// The process answers.
pub(super) async fn alive() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// New logins can be served: the store answers and can be written, other nodes can be reached, and the server is not stopping.
pub(super) async fn ready(State(http): State<Http>) -> Response {
    let store = http.auth.store_answers().await;
    let draining = http.broker.is_draining();
    let bus = http.broker.bus.is_up();
    let status = if store && bus && !draining { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |is_up: bool| if is_up { "up" } else { "away" };
    (status, Json(json!({"store": word(store), "bus": word(bus), "draining": draining}))).into_response()
}

/// The JWK set (RFC 7517), for relying parties.
pub(super) async fn jwks(State(http): State<Http>) -> Response {
    let keep = format!("public, max-age={}", http.auth.keyring.max_age().as_secs());
    let headers = [(CACHE_CONTROL, keep), (CONTENT_TYPE, "application/jwk-set+json".to_owned())];
    (headers, http.auth.keyring.jwks().to_string()).into_response()
}

/// What the pages must know before anybody has logged in.
pub(super) async fn settings(State(http): State<Http>) -> Response {
    let accounts = &http.auth.config.accounts;
    let kinds: Vec<_> = accounts.kinds.iter().map(|kind| json!({"id": kind.id, "name": kind.name})).collect();
    let is_open = |kind: &Kind| accounts.is_open_for(&kind.id);
    let registration = if accounts.kinds.iter().any(is_open) { "open" } else { "closed" };
    let open: Vec<_> = accounts.kinds.iter().filter(|kind| is_open(kind)).map(|kind| &kind.id).collect();
    Json(json!({"kinds": kinds, "registration": registration, "registrationKinds": open, "publicUrl": &*http.public_url}))
        .into_response()
}
