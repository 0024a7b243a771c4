//! The account API (docs/protocol-http.md, "Account API"): second factors, devices, password, export, removal.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Http;
use super::error::Refusal;
use super::extract::{Bearer, Client, Json, OptionalJson, Owner, PathText};
use crate::auth::CodeForm;
use crate::auth::DoubleAuth;
use crate::domain::device::Device;
use crate::domain::factor::Method;
use crate::domain::ids::DeviceId;
use crate::domain::secret::{BackupCode, Password};
use crate::store::sessions::Live;

/// A body that may carry the password, to freshen what the session has proven.
#[derive(Default, Deserialize)]
pub(super) struct Fresh {
    password: Option<String>,
}

impl Fresh {
    pub(super) fn password(self) -> Option<Password> {
        self.password.map(Password::new)
    }
}

#[derive(Deserialize)]
pub(super) struct BindPhone {
    method_2fa: Option<String>,
    trusted_device_id: IdText,
    password: Option<String>,
}

/// An id as text or as a number: clients send both.
#[derive(Deserialize)]
#[serde(untagged)]
enum IdText {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
pub(super) struct ChangePassword {
    password: String,
    new_password: String,
}

pub(super) async fn bind_phone(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    Json(body): Json<BindPhone>,
) -> Result<Response, Refusal> {
    if body.method_2fa.is_some_and(|method| method != Method::Mobile.as_str()) {
        return Err(Refusal::BadField);
    }
    let device = match body.trusted_device_id {
        IdText::Text(text) => parse_id(&text)?,
        IdText::Number(number) => DeviceId(number),
    };
    let password = body.password.map(Password::new);
    let bound = http.auth.bind_phone(&live, device, true, password.as_ref(), client.source).await?;
    let methods: Vec<_> = bound.methods.iter().filter(|m| m.turns_on()).map(|m| m.as_str()).collect();
    let mut answer = json!({"methods": methods, "token": bound.token.expose()});
    if let Some(codes) = &bound.backup_codes {
        answer["backup_codes"] = exposed(codes);
    }
    Ok(axum::Json(answer).into_response())
}

pub(super) async fn new_backup_codes(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let codes =
        http.auth.new_backup_codes(&live, CodeForm::Plain, fresh.password().as_ref(), client.source).await?;
    let answer = json!({"double_auth": {"id": live.account_uuid, "code": exposed(&codes)}});
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

pub(super) async fn double_auth(State(http): State<Http>, Owner(live): Owner) -> Result<Response, Refusal> {
    let state = http.auth.double_auth(&live).await?;
    Ok(axum::Json(double_auth_json(&state)).into_response())
}

pub(super) async fn remove_method(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(method): PathText,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let method: Method = method.parse().map_err(|()| Refusal::NotFound)?;
    http.auth.remove_method(&live, method, fresh.password().as_ref(), client.source).await?;
    Ok(message("Double auth deleted successfully"))
}

pub(super) async fn approving_devices(
    State(http): State<Http>,
    Owner(live): Owner,
) -> Result<Response, Refusal> {
    let devices = http.auth.devices(live.account).await?;
    let approving: Vec<_> = devices.iter().filter(|d| d.approving).map(|d| device_json(d, &live)).collect();
    Ok(axum::Json(json!({"devices": approving})).into_response())
}

pub(super) async fn approving_device(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(id): PathText,
) -> Result<Response, Refusal> {
    let (id, state) = (parse_id(&id)?, http.auth.double_auth(&live).await?);
    if !state.approving.contains(&id) {
        return Err(Refusal::NotFound);
    }
    Ok(axum::Json(double_auth_json(&DoubleAuth { approving: vec![id], ..state })).into_response())
}

pub(super) async fn approve_device(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(id): PathText,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let id = parse_id(&id)?;
    // This answer has no place for backup codes, so none are made (docs/protocol.md, "Backup codes").
    let bound = http.auth.bind_phone(&live, id, false, fresh.password().as_ref(), client.source).await?;
    let answer = json!({"trusted_device": id.to_string(), "token": bound.token.expose()});
    Ok(axum::Json(answer).into_response())
}

pub(super) async fn stop_approving(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(id): PathText,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    http.auth.unbind_phone(&live, parse_id(&id)?, fresh.password().as_ref(), client.source).await?;
    Ok(message("Device deleted successfully"))
}

pub(super) async fn devices(State(http): State<Http>, Owner(live): Owner) -> Result<Response, Refusal> {
    let devices = http.auth.devices(live.account).await?;
    let devices: Vec<_> = devices.iter().map(|device| device_json(device, &live)).collect();
    Ok(axum::Json(json!({"devices": devices})).into_response())
}

pub(super) async fn device(
    State(http): State<Http>,
    Owner(live): Owner,
    PathText(id): PathText,
) -> Result<Response, Refusal> {
    let (id, devices) = (parse_id(&id)?, http.auth.devices(live.account).await?);
    let device = devices.iter().find(|device| device.id == id).ok_or(Refusal::NotFound)?;
    Ok(axum::Json(json!({"devices": device_json(device, &live)})).into_response())
}

pub(super) async fn revoke_device(
    State(http): State<Http>,
    Bearer(live): Bearer,
    PathText(id): PathText,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let device = parse_id(&id)?;
    http.auth.revoke_device(&live, device, fresh.password().as_ref(), client.source).await?;
    Ok(message("Device deleted successfully"))
}

pub(super) async fn change_password(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    Json(body): Json<ChangePassword>,
) -> Result<Response, Refusal> {
    let (old, new) = (Password::new(body.password), Password::new(body.new_password));
    http.auth.change_password(&live, &old, new, client.source).await?;
    Ok(axum::Json(json!({})).into_response())
}

pub(super) async fn remove_account(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<StatusCode, Refusal> {
    http.auth.remove_account(&live, fresh.password().as_ref(), client.source).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn export(
    State(http): State<Http>,
    Owner(live): Owner,
    client: Client,
    OptionalJson(fresh): OptionalJson<Fresh>,
) -> Result<Response, Refusal> {
    let export = http.auth.export_own(&live, fresh.password().as_ref(), client.source).await?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"readylogin-export.json\""),
    ];
    Ok((headers, export.to_json()?).into_response())
}

fn parse_id(text: &str) -> Result<DeviceId, Refusal> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).map(DeviceId).ok_or(Refusal::NotFound)
}

fn message(text: &str) -> Response {
    axum::Json(json!({"message": text})).into_response()
}

pub(super) fn exposed(codes: &[BackupCode]) -> Value {
    codes.iter().map(BackupCode::expose).collect()
}

/// A stored secret is never shown again: `secret` and `url` are there for clients that read them.
fn double_auth_json(state: &DoubleAuth) -> Value {
    let methods: Vec<_> = state.methods.iter().map(|method| method.as_str()).collect();
    let trusted = state.approving.first().map(ToString::to_string).unwrap_or_default();
    json!({"double_auth": {"id": state.account, "methods": methods, "secret": "", "url": "", "trust_device_id": trusted, "backup_codes_left": state.backup_codes_left}})
}

fn device_json(device: &Device, live: &Live) -> Value {
    json!({
        "id": device.id.to_string(),
        "name": device.facts.name,
        "device_type": device.facts.device_type,
        "os": device.facts.os,
        "browser": device.facts.browser,
        "ip_address": device.facts.ip,
        "latitude": 0,
        "longitude": 0,
        "date": device.created_at.seconds(),
        "last_used": device.seen_at.seconds(),
        "last_ip": device.seen_ip,
        "trust_device": device.approving,
        "current": device.id == live.device,
    })
}
