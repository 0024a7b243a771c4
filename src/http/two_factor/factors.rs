//! Turning two-factor login on and off, the authenticator's URI, and new backup codes: from inside of a session.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{self, Refused};
use super::body::Body;
use super::cookies::Name;
use super::who::Asker;
use crate::auth::CodeForm;
use crate::auth::Error;
use crate::auth::cookie::fresh_session_token;
use crate::auth::enrol::Consent;
use crate::domain::factor::Method;
use crate::domain::secret::{BackupCode, Password, SessionToken};
use crate::domain::text::shown;
use crate::http::Http;
use crate::http::extract::Client;

pub(super) async fn enable(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let password = Password::new(body.text("password"));
    let method = body.choice("method", &["otp", "totp"]).unwrap_or("totp");
    let issuer = body.optional_text("issuer").map(|issuer| shown(&issuer)).filter(|text| !text.is_empty());
    body.finish()?;
    let session = asker.owner(&http).await?;
    let consent = Consent { password: Some(&password), source: client.source };
    if method == "otp" {
        let token = fresh_session_token();
        http.auth.enable_email(&session.live, false, Some(&token), consent).await?;
        return Ok(rotated(&http, &asker, &token, &json!({"method": "otp"}), []));
    }
    let enrolment = http
        .auth
        .begin_totp(&session.live, issuer.as_deref(), Some(CodeForm::Dashed), false, consent)
        .await?;
    let body = json!({
        "method": "totp",
        "totpURI": *enrolment.uri,
        "backupCodes": exposed(&enrolment.backup_codes),
    });
    Ok(answer::ok(&body, []))
}

pub(super) async fn totp_uri(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let password = Password::new(body.text("password"));
    body.finish()?;
    let session = asker.owner(&http).await?;
    let profile = http.auth.profile(&session.live).await?;
    if !profile.has(Method::Authenticator) && !profile.sets_app_up {
        return Err(Error::TotpNotEnabled.into());
    }
    let uri = http.auth.totp_uri(&session.live, &password, client.source).await?;
    Ok(answer::ok(&json!({"totpURI": *uri}), []))
}

pub(super) async fn new_backup_codes(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let password = Password::new(body.text("password"));
    body.finish()?;
    let session = asker.owner(&http).await?;
    if !http.auth.profile(&session.live).await?.two_factor() {
        return Err(Refused::NOT_ENABLED);
    }
    let codes =
        http.auth.new_backup_codes(&session.live, CodeForm::Dashed, Some(&password), client.source).await?;
    Ok(answer::ok(&json!({"status": true, "backupCodes": exposed(&codes)}), []))
}

pub(super) async fn disable(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let password = Password::new(body.text("password"));
    body.finish()?;
    let session = asker.owner(&http).await?;
    let token = fresh_session_token();
    http.auth.disable_two_factor(&session.live, &password, &token, client.source).await?;
    let trust = asker.cookie(Name::TrustDevice).map(|_| asker.cookies.expire(Name::TrustDevice));
    Ok(rotated(&http, &asker, &token, &json!({"status": true}), trust))
}

/// An answer after which the session goes by another token.
pub(super) fn rotated(
    http: &Http,
    asker: &Asker,
    token: &SessionToken,
    body: &Value,
    more: impl IntoIterator<Item = HeaderValue>,
) -> Response {
    let mut cookies = asker.keep(http, token, !asker.is_forgetful());
    cookies.extend(more);
    answer::with_session(body, cookies, token)
}

fn exposed(codes: &[BackupCode]) -> Value {
    codes.iter().map(BackupCode::expose).collect()
}
