//! Device login, `/api/v1/auth` (docs/protocol-http.md, "Device login"): a password, a second factor once a device,
//! refresh tokens, and sessions.

mod answer;
mod body;
mod texts;
mod view;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use serde::Serialize;

use super::Http;
use super::extract::{Bearer, Client, Owner, PathText};
use super::login::is_ticket;
use crate::auth::limits::TICKETS_PER_SOURCE;
use crate::auth::{Credential, Error, First, Login, Minted, Wish};
use crate::domain::account::Account;
use crate::domain::device::DeviceFacts;
use crate::domain::factor::Method;
use crate::domain::phone::Identifier;
use crate::domain::secret::{Fingerprint, Password, RefreshToken, Ticket};
use crate::domain::typed;
use answer::Refused;
use body::{Fields, MaybeFields, Own};
use view::{AccountView, SessionView};

pub(super) fn routes() -> Router<Http> {
    Router::new()
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/auth/2fa/request-otp", post(request_otp))
        .route("/api/v1/auth/2fa/verify", post(verify))
        .route("/api/v1/auth/refresh", post(refresh))
        .route("/api/v1/auth/logout", post(logout))
        .route("/api/v1/auth/sessions", get(sessions))
        .route("/api/v1/auth/sessions/{session_uuid}", delete(end_session))
        .method_not_allowed_fallback(answer::wrong_method)
        .route_layer(middleware::from_fn(answer::speak))
}

/// What logs in, apart from who.
struct Facts {
    device: DeviceFacts,
    client_id: Option<String>,
}

/// Who wants to log in, and on what.
struct Asking {
    who: Identifier,
    kind: Option<String>,
    password: Password,
    fingerprint: Option<Fingerprint>,
    facts: Facts,
    client: Client,
}

#[derive(Serialize)]
struct LoggedIn<'a> {
    status: u16,
    access_token: &'a str,
    refresh_token: &'a str,
    account: AccountView,
}

#[derive(Serialize)]
struct Refreshed<'a> {
    status: u16,
    access_token: &'a str,
    refresh_token: &'a str,
}

#[derive(Serialize)]
struct Sessions {
    status: u16,
    sessions: Vec<SessionView>,
}

async fn login(
    State(http): State<Http>,
    Own(client): Own<Client>,
    mut fields: Fields,
) -> Result<Response, Refused> {
    let asking = Asking::read(&http, client, &mut fields)?;
    let mut account = asking.prove(&http).await?;
    // For the code's letter, where nobody has said before which language the owner reads.
    account.language = account.language.or(asking.client.language);
    let credential = asking.fingerprint.clone().map_or(Credential::PasswordAlone, Credential::Device);
    let (first, source) = (First::Password(Box::new(account.clone())), asking.client.source);
    match http.auth.mint(first, credential, asking.login(Wish::RefreshToken)).await {
        Err(Error::SecondFactorNeeded(methods)) => {
            if methods.contains(&Method::Email) {
                let sent = http.auth.mail_code_to(&account, http.auth.config.otp.ttl, source).await;
                // While too much mail waits, the other methods still work.
                let has_other = methods.iter().any(|method| *method != Method::Email);
                sent.or_else(|e| if has_other && matches!(e, Error::Busy(_)) { Ok(()) } else { Err(e) })?;
            }
            Ok(answer::second_factor(&methods))
        }
        minted => logged_in(&http, &minted?),
    }
}

/// Mails a login code; the answer is the same whether the identifier has an account or not.
async fn request_otp(
    State(http): State<Http>,
    Own(client): Own<Client>,
    mut fields: Fields,
) -> Result<Response, Refused> {
    let (who, kind) = (identifier(&http, &mut fields)?, fields.kind(&http)?);
    http.auth.mail_code_of(kind.as_deref(), &who, client.language, client.source).await?;
    Ok(answer::code_sent())
}

async fn verify(
    State(http): State<Http>,
    Own(client): Own<Client>,
    mut fields: Fields,
) -> Result<Response, Refused> {
    let asking = Asking::read(&http, client, &mut fields)?;
    let credential = credential(&fields.text("otp")?);
    // A used, expired or foreign ticket counts for rates only (docs/protocol.md, "Failed second factors").
    let attempt = if matches!(credential, Credential::Ticket(_)) {
        Some(http.auth.limits.attempt(TICKETS_PER_SOURCE, asking.client.source).await?)
    } else {
        None
    };
    let minted = match asking.prove(&http).await {
        Ok(account) => {
            let wish = asking.fingerprint.clone().map_or(Wish::RefreshToken, Wish::TrustedDevice);
            http.auth.mint(First::Password(Box::new(account)), credential, asking.login(wish)).await
        }
        Err(refused) => Err(refused),
    };
    if let Some(attempt) = attempt {
        attempt.settle(matches!(minted, Err(Error::InvalidTicket)));
    }
    logged_in(&http, &minted?)
}

async fn refresh(
    State(http): State<Http>,
    Own(client): Own<Client>,
    mut fields: Fields,
) -> Result<Response, Refused> {
    let token = RefreshToken::new(fields.text("refresh_token")?);
    let (access, refresh) = http.auth.refresh(&token, client.source).await?;
    let (access_token, refresh_token) = (access.expose(), refresh.expose());
    Ok(Json(Refreshed { status: 200, access_token, refresh_token }).into_response())
}

/// Ends the session of the token, and what else the body and the query name.
async fn logout(
    State(http): State<Http>,
    Own(Bearer(live)): Own<Bearer>,
    Own(client): Own<Client>,
    RawQuery(query): RawQuery,
    MaybeFields(mut fields): MaybeFields,
) -> Result<StatusCode, Refused> {
    let other = fields.optional("refresh_token")?.map(RefreshToken::new);
    let password = fields.optional("password")?.map(Password::new);
    let query = query.unwrap_or_default();
    let all = form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "all" && value == "true");
    http.auth.log_out(&live, all, other.as_ref(), password.as_ref(), client.source).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sessions(State(http): State<Http>, Own(Owner(live)): Own<Owner>) -> Result<Response, Refused> {
    let listed = http.auth.sessions(live.account).await?;
    let sessions = listed.into_iter().map(|listed| SessionView::of(listed, &live)).collect();
    Ok(Json(Sessions { status: 200, sessions }).into_response())
}

async fn end_session(
    State(http): State<Http>,
    Own(Bearer(live)): Own<Bearer>,
    Own(PathText(session)): Own<PathText>,
    Own(client): Own<Client>,
    MaybeFields(mut fields): MaybeFields,
) -> Result<StatusCode, Refused> {
    let session = session.parse().map_err(|_| Error::NotFound)?;
    let password = fields.optional("password")?.map(Password::new);
    http.auth.revoke_session(&live, session, password.as_ref(), client.source).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Asking {
    fn read(http: &Http, client: Client, fields: &mut Fields) -> Result<Self, Refused> {
        Ok(Self {
            who: identifier(http, fields)?,
            password: fields.password()?,
            kind: fields.kind(http)?,
            fingerprint: fields.fingerprint()?,
            facts: fields.facts(&client)?,
            client,
        })
    }

    async fn prove(&self, http: &Http) -> Result<Account, Error> {
        let Self { who, kind, password, client, .. } = self;
        http.auth.prove_password(kind.as_deref(), who, password, client.source).await
    }

    fn login(self, wish: Wish) -> Login {
        let Self { facts: Facts { device, client_id }, client, .. } = self;
        Login { device, client_id, source: client.source, language: client.language, wish }
    }
}

fn identifier(http: &Http, fields: &mut Fields) -> Result<Identifier, Refused> {
    let text = fields.text("identifier")?;
    Ok(Identifier::parse(text.trim(), http.auth.config.accounts.phone_country))
}

/// What a code is, by its form: the ticket of an approval, a backup code, or six digits of one kind or the other. What
/// has none of these forms is a wrong guess at the last.
fn credential(otp: &str) -> Credential {
    let ticket: String = otp.chars().filter(|c| !c.is_whitespace()).collect();
    let backup = typed::backup_code(otp);
    if is_ticket(&ticket) {
        Credential::Ticket(Ticket::new(ticket))
    } else if is_backup_code(backup.expose()) {
        Credential::BackupCode(backup)
    } else {
        Credential::AnyCode(typed::one_time(otp))
    }
}

/// `8KbnVq2F`, or `x3fGh-9kLmQ` (docs/protocol.md, "Backup codes").
fn is_backup_code(text: &str) -> bool {
    let is_plain =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_alphanumeric());
    is_plain(text, 8) || text.split_once('-').is_some_and(|(a, b)| is_plain(a, 5) && is_plain(b, 5))
}

fn logged_in(http: &Http, minted: &Minted) -> Result<Response, Refused> {
    let refresh = minted.refresh_token.as_ref();
    let refresh = refresh.ok_or_else(|| Error::internal("a login without its refresh token"))?;
    let account = AccountView::of(http, &minted.account, minted.two_factor);
    let (access_token, refresh_token) = (minted.token.expose(), refresh.expose());
    Ok(Json(LoggedIn { status: 200, access_token, refresh_token, account }).into_response())
}
