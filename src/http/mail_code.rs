//! Email passphrases (docs/protocol-http.md, "Email passphrases"): asking for one, redeeming it, and the routes that
//! the proof of an address opens.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Http;
use super::error::Refusal;
use super::extract::{Client, Json};
use super::login::{Said, is_ticket, said};
use crate::auth::mail_auth::SignedIn;
use crate::auth::mail_login::Mailed;
use crate::auth::{Credential, Error, Login, Minted, Wish};
use crate::domain::secret::{MailAuthToken, MailLoginToken, MailedWords, Password, Ticket};
use crate::domain::typed;

/// The longest text that is looked at as words: three of the longest with room for what people put around them.
const RECEIVED_BYTES: usize = 1000;
/// The digits of an authenticator app's code.
const TOTP_DIGITS: usize = 6;

pub(super) fn routes() -> Router<Http> {
    Router::new()
        .route("/auth/send-mail-login-code-v2", post(send))
        .route("/auth/sign-in-by-mail-code", post(redeem))
        .route("/auth/mail-auth/sign-in", post(sign_in))
        .route("/auth/mail-auth/create-account", post(create))
        .route("/auth/mail-auth/recover-password", post(recover))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendBody {
    mail: String,
    locale: String,
    #[serde(rename = "deviceAuthToken")]
    device: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedeemBody {
    #[serde(rename = "receivedCode")]
    words: String,
    #[serde(rename = "mailLoginToken")]
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoverBody {
    #[serde(rename = "mailAuthToken")]
    token: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    password: String,
}

/// A body with the fields that every login takes beside its own: unknown ones can only be refused where all stand in
/// one place.
macro_rules! with_device {
    ($name:ident { $($field:ident: $kind:ty,)* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            #[serde(rename = "mailAuthToken")]
            token: String,
            #[serde(rename = "type")]
            kind: Option<String>,
            $($field: $kind,)*
            client_id: Option<String>,
            name_device: Option<String>,
            device_name: Option<String>,
            device_type: Option<String>,
            device_os: Option<String>,
            os: Option<String>,
            browser: Option<String>,
            location: Option<String>,
        }

        impl $name {
            fn login(&self, client: &Client) -> Login {
                let device = Said {
                    device_type: said(&self.device_type),
                    name: said(&self.name_device).or_else(|| said(&self.device_name)),
                    os: said(&self.device_os).or_else(|| said(&self.os)),
                    browser: said(&self.browser),
                    location: said(&self.location),
                };
                Login {
                    device: device.facts(client),
                    client_id: client.client_id(said(&self.client_id)),
                    source: client.source,
                    language: client.language,
                    wish: Wish::RefreshToken,
                }
            }
        }
    };
}

with_device! {
    SignInBody {
        otp: Option<String>,
        password: Option<String>,
    }
}

with_device! {
    CreateBody {
        password: String,
        name: Option<String>,
    }
}

async fn send(
    State(http): State<Http>,
    client: Client,
    Json(body): Json<SendBody>,
) -> Result<Response, Refusal> {
    let mailed =
        http.auth.mail_words(&body.mail, &body.locale, body.device.as_deref(), client.source).await?;
    Ok(answer(match mailed {
        Mailed::Sent(token) => json!({"mailLoginToken": token.expose()}),
        Mailed::NotAllowed => json!({"mailAddressNotWhitelisted": true}),
        Mailed::Blocked => json!({"mailServerBlacklisted": true}),
    }))
}

async fn redeem(
    State(http): State<Http>,
    client: Client,
    Json(body): Json<RedeemBody>,
) -> Result<Response, Refusal> {
    if body.words.len() > RECEIVED_BYTES {
        return Err(Refusal::BadField);
    }
    let (words, token) = (MailedWords::new(body.words), MailLoginToken::new(body.token));
    let proof = http.auth.redeem_words(&words, &token, client.source).await?;
    Ok(answer(json!({"mailAuthToken": proof.expose()})))
}

async fn sign_in(
    State(http): State<Http>,
    client: Client,
    Json(mut body): Json<SignInBody>,
) -> Result<Response, Refusal> {
    let credential = match body.otp.take() {
        Some(otp) => credential(&otp).ok_or(Refusal::BadField)?,
        None => Credential::PasswordAlone,
    };
    let (login, password) = (body.login(&client), body.password.map(Password::new));
    let token = MailAuthToken::new(body.token);
    match http.auth.sign_in_by_mail(token, body.kind, (credential, password), login).await {
        Ok(SignedIn::Done(minted)) => logged_in(&minted),
        Ok(SignedIn::SecondStep { methods, token }) => {
            let methods: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
            let body =
                json!({"two_factor_required": true, "methods": methods, "mailAuthToken": token.expose()});
            Ok((StatusCode::ACCEPTED, answer(body)).into_response())
        }
        Err(error) if is_wrong_second(&error) => Err(Refusal::WrongSecond(error)),
        Err(error) => Err(error.into()),
    }
}

async fn create(
    State(http): State<Http>,
    client: Client,
    Json(body): Json<CreateBody>,
) -> Result<Response, Refusal> {
    let config = &http.auth.config;
    let kind = match &body.kind {
        Some(wanted) => config.kind(wanted),
        None => config.accounts.kind_to_register(),
    };
    let kind = kind.ok_or(Refusal::BadField)?.id.clone();
    let (login, name) = (body.login(&client), body.name.unwrap_or_default());
    let (token, password) = (MailAuthToken::new(body.token), Password::new(body.password));
    logged_in(&http.auth.create_by_mail(&token, kind, password, &name, login).await?)
}

async fn recover(
    State(http): State<Http>,
    client: Client,
    Json(body): Json<RecoverBody>,
) -> Result<Response, Refusal> {
    let (token, password) = (MailAuthToken::new(body.token), Password::new(body.password));
    http.auth.recover_password(&token, body.kind.as_deref(), password, client.source).await?;
    Ok(answer(json!({})))
}

/// What comes beside the words, by its form: an approval's ticket, an app's code, or else a backup code.
fn credential(otp: &str) -> Option<Credential> {
    let (text, code) = (otp.trim(), typed::one_time(otp));
    let digits = code.expose();
    if text.is_empty() {
        None
    } else if is_ticket(text) {
        Some(Credential::Ticket(Ticket::new(text.to_owned())))
    } else if digits.len() == TOTP_DIGITS && digits.bytes().all(|b| b.is_ascii_digit()) {
        Some(Credential::Totp(code))
    } else {
        Some(Credential::BackupCode(typed::backup_code(text)))
    }
}

fn is_wrong_second(error: &Error) -> bool {
    matches!(
        error,
        Error::BadCredentials | Error::InvalidTicket | Error::InvalidTotp | Error::InvalidBackupCode
    )
}

fn logged_in(minted: &Minted) -> Result<Response, Refusal> {
    let refresh =
        minted.refresh_token.as_ref().ok_or_else(|| Error::internal("a login without its refresh token"))?;
    Ok(answer(json!({"token": minted.token.expose(), "refresh_token": refresh.expose()})))
}

fn answer(body: Value) -> Response {
    axum::Json(body).into_response()
}
