//! Turning mailed codes and authenticator apps on (docs/protocol-http.md, "Managing factors"), and the trusted
//! devices.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Http;
use super::dashboard::{Fresh, exposed};
use super::error::Refusal;
use super::extract::{Client, Json, OptionalJson, Owner, PathText};
use crate::auth::enrol::Consent;
use crate::domain::factor::Method;
use crate::domain::secret::Password;
use crate::domain::typed;
use crate::store::trusts::Trust;

#[derive(Deserialize)]
pub(super) struct EnableEmail {
    method_2fa: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ConfirmTotp {
    token: String,
    password: Option<String>,
}

pub(super) async fn enable_email(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    Json(body): Json<EnableEmail>,
) -> Result<Response, Refusal> {
    if body.method_2fa.is_some_and(|method| method != Method::Email.as_str()) {
        return Err(Refusal::BadField);
    }
    let password = body.password.map(Password::new);
    let consent = Consent { password: password.as_ref(), source: client.source };
    let changed = http.auth.enable_email(&live, true, None, consent).await?;
    let methods: Vec<_> = changed.methods.iter().filter(|m| m.turns_on()).map(|m| m.as_str()).collect();
    let mut answer = json!({"methods": methods});
    if let Some(codes) = &changed.backup_codes {
        answer["backup_codes"] = exposed(codes);
    }
    Ok(axum::Json(answer).into_response())
}

pub(super) async fn begin_totp(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let password = fresh.password();
    let consent = Consent { password: password.as_ref(), source: client.source };
    // A second app may replace the first: it stays in force until the new one is proven.
    let enrolment = http.auth.begin_totp(&live, None, None, true, consent).await?;
    Ok(axum::Json(json!({"secret": *enrolment.secret, "url": *enrolment.uri})).into_response())
}

pub(super) async fn confirm_totp(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    Json(body): Json<ConfirmTotp>,
) -> Result<Response, Refusal> {
    let password = body.password.map(Password::new);
    let consent = Consent { password: password.as_ref(), source: client.source };
    http.auth.confirm_totp(&live, typed::one_time(&body.token), consent).await?;
    Ok(axum::Json(true).into_response())
}

pub(super) async fn trusted(State(http): State<Http>, Owner(live): Owner) -> Result<Response, Refusal> {
    let trusted: Vec<_> = http.auth.trusted(live.account).await?.iter().map(trust_json).collect();
    Ok(axum::Json(json!({"trusted": trusted})).into_response())
}

pub(super) async fn revoke_trust(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(id): PathText,
    client: Client,
) -> Result<Response, Refusal> {
    let digits = id.bytes().all(|b| b.is_ascii_digit());
    let id = id.parse().ok().filter(|_| digits).ok_or(Refusal::NotFound)?;
    http.auth.revoke_trust(&live, id, client.source).await?;
    Ok(axum::Json(json!({"message": "Device deleted successfully"})).into_response())
}

fn trust_json(trust: &Trust) -> Value {
    json!({
        "id": trust.id.to_string(),
        "name": trust.name,
        "ip_address": trust.ip,
        "date": trust.created_at.seconds(),
        "last_used": trust.used_at.seconds(),
        "expires": trust.expires_at.seconds(),
    })
}
