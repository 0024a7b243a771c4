//! The two-step API, `/users` (docs/protocol-http.md, "Two-step API"): names in any case, plain texts, problem
//! documents.

mod answer;
mod step;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::Http;
use super::error::Refusal;
use super::extract::{Client, Owner};
use super::login::device_of;
use crate::auth::enrol::Consent;
use crate::auth::{Credential, Error, Login, Second, Wish};
use crate::domain::account::Email;
use crate::domain::factor::Method;
use crate::domain::phone::Identifier;
use crate::domain::secret::{OneTimeCode, Password};
use crate::domain::typed;
use answer::{Fields, Refused, text};
use axum::http::HeaderMap;
pub(super) use step::STEP;

pub(super) fn routes() -> Router<Http> {
    Router::new()
        .route("/users/enable_2fa", get(enable))
        .route("/users/enable_2fa_confirm", post(confirm_enabling))
        .route("/users/two_step_verification_login", post(login))
        .route("/users/two_step_verification_confirm", post(confirm_login))
}

/// How a code reaches its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Provider {
    Email,
    Authenticator,
}

impl Provider {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "email" => Some(Self::Email),
            "authenticator" => Some(Self::Authenticator),
            // There is no phone channel to configure.
            _ => None,
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Email => Method::Email,
            Self::Authenticator => Method::Authenticator,
        }
    }

    fn credential(self, code: OneTimeCode) -> Credential {
        match self {
            Self::Email => Credential::MailedCode(code),
            Self::Authenticator => Credential::Totp(code),
        }
    }
}

async fn enable(
    State(http): State<Http>,
    owner: Result<Owner, Refusal>,
    client: Client,
) -> Result<StatusCode, Refused> {
    let Owner(live) = owner?;
    let profile = http.auth.profile(&live).await?;
    if !profile.account.verified {
        return Err(text(StatusCode::BAD_REQUEST, "Email is not verified."));
    }
    if profile.two_factor() {
        return Err(Refused::UNAUTHORIZED);
    }
    http.auth.mail_enable_code(&profile.account, client.source).await?;
    Ok(StatusCode::OK)
}

async fn confirm_enabling(
    State(http): State<Http>,
    owner: Result<Owner, Refusal>,
    client: Client,
    fields: Result<Fields, Refused>,
) -> Result<StatusCode, Refused> {
    // Who may not come in learns nothing about the body.
    let Owner(live) = owner?;
    let mut fields = fields?;
    let (email, provider, token) = (fields.text("email"), fields.text("provider"), fields.text("token"));
    let password = fields.optional("password").map(Password::new);
    fields.finish()?;
    let profile = http.auth.profile(&live).await?;
    if Email::parse(&email).is_none_or(|email| email.key() != profile.account.email.key()) {
        return Err(text(StatusCode::UNAUTHORIZED, "Invalid user"));
    }
    if !profile.account.verified {
        return Err(text(StatusCode::BAD_REQUEST, "Email is not confirmed"));
    }
    if profile.two_factor() {
        return Err(Refused::UNAUTHORIZED);
    }
    let wrong = || text(StatusCode::BAD_REQUEST, "Invalid two factor token");
    if Provider::parse(&provider) != Some(Provider::Email) {
        return Err(wrong());
    }
    let consent = Consent { password: password.as_ref(), source: client.source };
    match http.auth.enable_email_by_code(&live, typed::one_time(&token), consent).await {
        Ok(()) => {}
        Err(Error::InvalidCode | Error::CodeExpired | Error::TooManyTries) => return Err(wrong()),
        Err(Error::EmailEnabled) => return Err(Refused::UNAUTHORIZED),
        Err(other) => return Err(other.into()),
    }
    Ok(StatusCode::OK)
}

async fn login(State(http): State<Http>, client: Client, mut fields: Fields) -> Result<Response, Refused> {
    let (name, password) = (fields.text("username"), Password::new(fields.text("password")));
    let provider = fields.text("provider");
    let kind = fields.optional("type");
    fields.finish()?;
    let who = Identifier::address(&name);
    if Provider::parse(&provider) == Some(Provider::Email) {
        http.auth.check_mail_room().await?;
    }
    let account = match http.auth.prove_password(kind.as_deref(), &who, &password, client.source).await {
        Err(Error::BadCredentials) if http.auth.config.two_step.unknown_user == 404 => {
            let is_known = http.auth.is_known(kind.as_deref(), &name).await?;
            let status = if is_known { StatusCode::UNAUTHORIZED } else { StatusCode::NOT_FOUND };
            return Err(text(status, "Invalid credentials"));
        }
        Err(Error::BadCredentials) => {
            return Err(text(StatusCode::UNAUTHORIZED, "Invalid credentials"));
        }
        other => other?,
    };
    let methods = http.auth.methods(account.id).await?;
    if !methods.iter().any(|method| method.turns_on()) {
        return Err(Refused::UNAUTHORIZED);
    }
    if !account.verified {
        return Err(text(StatusCode::BAD_REQUEST, "Email is not verified"));
    }
    let is_barred = |provider: Provider| provider == Provider::Email && account.mail_barred;
    let provider = Provider::parse(&provider).filter(|provider| methods.contains(&provider.method()));
    let provider = provider.filter(|provider| !is_barred(*provider));
    let provider = provider.ok_or(Refused::BAD_REQUEST)?;
    if provider == Provider::Email {
        http.auth.mail_code_to(&account, http.auth.config.otp.ttl, client.source).await?;
    }
    let step = http.auth.note_first_step(&account, client.source).await?;
    Ok((StatusCode::OK, step::given(&http, &step)).into_response())
}

async fn confirm_login(
    State(http): State<Http>,
    headers: HeaderMap,
    client: Client,
    mut fields: Fields,
) -> Result<Response, Refused> {
    let (email, provider, token) = (fields.text("email"), fields.text("provider"), fields.text("token"));
    let kind = fields.optional("type");
    fields.finish()?;
    let invalid = || text(StatusCode::BAD_REQUEST, "Invalid token");
    let provider = Provider::parse(&provider).ok_or_else(invalid)?;
    let login = Login {
        device: device_of(&client),
        client_id: client.client_id(None),
        source: client.source,
        language: client.language,
        wish: Wish::RefreshToken,
    };
    let value = step::read(&headers);
    let second = Second { value: value.as_ref(), email: &email, kind: kind.as_deref() };
    let credential = provider.credential(typed::one_time(&token));
    let minted = match http.auth.mint_second(second, credential, login).await {
        Err(e @ (Error::Locked(_) | Error::Busy(_) | Error::TooManyRequests(_) | Error::Internal(_))) => {
            return Err(e.into());
        }
        Err(_) => return Err(invalid()),
        Ok(minted) => minted,
    };
    let refresh = minted.refresh_token.ok_or_else(|| Error::internal("a login without its refresh token"))?;
    let body = json!({"accessToken": minted.token.expose(), "refreshToken": refresh.expose()});
    Ok((step::taken_back(&http, &headers), axum::Json(body)).into_response())
}
