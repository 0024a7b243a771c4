//! The thin login (docs/protocol-http.md, "Thin login"): register, password, and the exchange of a code for a token.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Http;
use super::error::Refusal;
use super::extract::{Client, Json, KindPath};
use crate::auth::limits::TICKETS_PER_SOURCE;
use crate::auth::{Credential, Error, First, Login, Wish};
use crate::domain::device::{DeviceFacts, from_user_agent};
use crate::domain::phone::Identifier;
use crate::domain::secret::{AccessToken, Password, Ticket};
use crate::domain::text::{shown, unlinked};
use crate::domain::typed;

/// A ticket in base64url: 256 bits.
const TICKET_CHARS: usize = 43;

/// Fields of every login; those of the device are optional.
#[derive(Deserialize)]
pub(super) struct LoginBody {
    email: String,
    password: String,
    name: Option<String>,
    token_2fa: Option<String>,
    backup_code: Option<String>,
    client_id: Option<String>,
    name_device: Option<String>,
    device_name: Option<String>,
    device_type: Option<String>,
    device_os: Option<String>,
    os: Option<String>,
    browser: Option<String>,
    location: Option<String>,
}

pub(super) async fn register(
    State(http): State<Http>,
    KindPath(kind): KindPath,
    client: Client,
    body: Result<Json<LoginBody>, Refusal>,
) -> Result<Response, Refusal> {
    // One answer for every reason why an account can't be made (docs/protocol-http.md, "Thin login").
    let refused =
        |bad| if matches!(bad, Refusal::BadField) { Error::RegistrationRefused.into() } else { bad };
    let Json(body) = body.map_err(refused)?;
    let login = body.login(&client);
    let name = body.name.clone().unwrap_or_default();
    let minted = http.auth.register(&kind, &body.email, Password::new(body.password), &name, login).await?;
    Ok(token(&minted))
}

pub(super) async fn login(
    State(http): State<Http>,
    KindPath(kind): KindPath,
    client: Client,
    Json(body): Json<LoginBody>,
) -> Result<Response, Refusal> {
    let login = body.login(&client);
    let device = login.device.clone();
    match body.mint(&http, &kind, Credential::PasswordAlone, login).await {
        Ok(minted) => Ok(token(&minted)),
        Err(Error::SecondFactorNeeded(methods)) => {
            let methods: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
            let device = json!({"os": device.os, "browser": device.browser, "location": device.location});
            Ok(axum::Json(json!({"Methods": methods, "DeviceInfo": device})).into_response())
        }
        Err(e) => Err(e.into()),
    }
}

/// One handler for `mobile_2fa` and `email_2fa`: either kind of code.
pub(super) async fn exchange(
    State(http): State<Http>,
    KindPath(kind): KindPath,
    client: Client,
    Json(mut body): Json<LoginBody>,
) -> Result<Response, Refusal> {
    let code = body.token_2fa.take().ok_or(Refusal::BadField)?;
    let code = code.trim();
    let is_ticket = is_ticket(code);
    let credential = if is_ticket {
        Credential::Ticket(Ticket::new(code.to_owned()))
    } else {
        Credential::MailedCode(typed::one_time(code))
    };
    // A used, expired or foreign ticket counts for rates only (docs/protocol.md, "Failed second factors").
    let attempt = http.auth.limits.attempt(TICKETS_PER_SOURCE, client.source).await?;
    let login = body.login(&client);
    let minted = body.mint(&http, &kind, credential, login).await;
    attempt.settle(is_ticket && matches!(minted, Err(Error::InvalidTicket)));
    Ok(token(&minted?))
}

pub(super) async fn backup_code(
    State(http): State<Http>,
    KindPath(kind): KindPath,
    client: Client,
    Json(mut body): Json<LoginBody>,
) -> Result<Response, Refusal> {
    let code = typed::backup_code(&body.backup_code.take().ok_or(Refusal::BadField)?);
    let login = body.login(&client);
    Ok(token(&body.mint(&http, &kind, Credential::BackupCode(code), login).await?))
}

pub(super) async fn authenticator(
    State(http): State<Http>,
    KindPath(kind): KindPath,
    client: Client,
    Json(mut body): Json<LoginBody>,
) -> Result<Response, Refusal> {
    let code = typed::one_time(&body.token_2fa.take().ok_or(Refusal::BadField)?);
    let login = body.login(&client);
    Ok(token(&body.mint(&http, &kind, Credential::Totp(code), login).await?))
}

#[derive(Deserialize)]
pub(super) struct SendCode {
    email: Option<Value>,
}

/// Mails a login code; the answer is the same whether the address has an account or not.
pub(super) async fn send_code(
    State(http): State<Http>,
    client: Client,
    body: Result<Json<SendCode>, Refusal>,
) -> Result<Response, Refusal> {
    // Two codes only (docs/protocol-http.md, "Thin login"): a body that is no object is answered like a body that is
    // no JSON.
    let Json(body) =
        body.map_err(|bad| if matches!(bad, Refusal::BadField) { Refusal::BadJson } else { bad })?;
    // What is no text is no address either.
    let email = body.email.as_ref().and_then(Value::as_str).ok_or(Error::NotAnAddress)?;
    http.auth.mail_login_code(email, client.language, client.source).await?;
    Ok(axum::Json(json!({"email": "send"})).into_response())
}

/// Whether a code has the form of an approval's.
pub(super) fn is_ticket(code: &str) -> bool {
    code.len() == TICKET_CHARS && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What a client says of its device in the body of a login, fit to be shown; nothing where it said nothing.
pub(super) struct Said {
    pub(super) device_type: Option<String>,
    pub(super) name: Option<String>,
    pub(super) os: Option<String>,
    pub(super) browser: Option<String>,
    pub(super) location: Option<String>,
}

impl Said {
    /// The device, with its headers for what was not said.
    pub(super) fn facts(self, client: &Client) -> DeviceFacts {
        let (agent_os, agent_browser) = from_user_agent(&client.agent);
        let (os, browser) = (self.os.unwrap_or(agent_os), self.browser.unwrap_or(agent_browser));
        // What owners read in letters and on their phones.
        DeviceFacts {
            device_type: unlinked(&self.device_type.unwrap_or_default()),
            name: unlinked(&self.name.unwrap_or_else(|| named(&browser, &os))),
            location: unlinked(&self.location.unwrap_or_default()),
            ip: client.source.to_string(),
            os: unlinked(&os),
            browser: unlinked(&browser),
        }
    }
}

pub(super) fn said(field: &Option<String>) -> Option<String> {
    field.as_deref().map(shown).filter(|text| !text.is_empty())
}

/// What a client's headers tell of its device.
pub(super) fn device_of(client: &Client) -> DeviceFacts {
    let (os, browser) = from_user_agent(&client.agent);
    DeviceFacts {
        name: named(&browser, &os),
        ip: client.source.to_string(),
        os,
        browser,
        ..DeviceFacts::default()
    }
}

/// A name for a device that gave none: `Firefox, Linux`.
fn named(browser: &str, os: &str) -> String {
    [browser, os].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn token(minted: &AccessToken) -> Response {
    axum::Json(json!({"token": minted.expose()})).into_response()
}

impl LoginBody {
    async fn mint(
        self,
        http: &Http,
        kind: &str,
        credential: Credential,
        login: Login,
    ) -> Result<AccessToken, Error> {
        let (who, password) = (Identifier::address(&self.email), Password::new(self.password));
        let account = http.auth.prove_password(Some(kind), &who, &password, login.source).await?;
        let first = First::Password(Box::new(account));
        Ok(http.auth.mint(first, credential, login).await?.token)
    }

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
            wish: Wish::AccessToken,
        }
    }
}
