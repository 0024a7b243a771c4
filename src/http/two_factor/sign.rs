//! Signing up, in and out, and what session there is.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::answer::{self, Refused, time, user};
use super::body::BodyOrForm;
use super::cookies::Name;
use super::who::{Asker, Session};
use crate::auth::register::NewAccount;
use crate::auth::{Credential, Error, First, Login, Minted, Wish};
use crate::config::Registration;
use crate::domain::account::{Account, Email};
use crate::domain::factor::Method;
use crate::domain::phone::Identifier;
use crate::domain::secret::{Password, TrustToken};
use crate::http::Http;
use crate::http::extract::Client;
use crate::http::login::device_of;

/// The longest address of a picture.
const IMAGE_BYTES: usize = 2048;

pub(super) async fn up(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    BodyOrForm(mut body): BodyOrForm,
) -> Result<Response, Refused> {
    let (name, email, password) = (body.text("name"), body.text("email"), body.text("password"));
    let image = body.optional_text("image").unwrap_or_default();
    let callback = body.optional_text("callbackURL");
    let remember = body.flag("rememberMe").unwrap_or(true);
    let kind = body.optional_text("type");
    body.finish()?;
    check_callback(&http, callback.as_deref())?;
    let config = &http.auth.config;
    // Where no kind is open nothing else is looked at.
    if config.accounts.registration == Registration::Closed {
        return Err(Error::RegistrationClosed.into());
    }
    let email = Email::parse(&email).ok_or(Refused::INVALID_EMAIL)?;
    let kind = match &kind {
        Some(wanted) => config.kind(wanted),
        None => config.accounts.kind_to_register(),
    };
    let kind = kind.ok_or_else(|| Refused::validation(&["[body.type] Invalid option".to_owned()]))?;
    let new = NewAccount {
        kind: kind.id.clone(),
        email,
        password: Password::new(password),
        name,
        phone: None,
        verified: false,
        vouched: false,
        language: client.language,
        image: image.chars().filter(|c| !c.is_control()).take(IMAGE_BYTES).collect(),
    };
    let account = http.auth.sign_up(new, client.source).await?;
    let login = login(&client, remember, false);
    let first = First::Password(Box::new(account));
    let minted = http.auth.mint(first, Credential::PasswordAlone, login).await?;
    Ok(signed_in(&http, &asker, &minted, |token, user| json!({"token": token, "user": user})))
}

pub(super) async fn sign_in(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    BodyOrForm(mut body): BodyOrForm,
) -> Result<Response, Refused> {
    let (email, password) = (body.text("email"), body.text("password"));
    let remember = body.flag("rememberMe").unwrap_or(true);
    let callback = body.optional_text("callbackURL");
    let kind = body.optional_text("type");
    body.finish()?;
    check_callback(&http, callback.as_deref())?;
    let email = Email::parse(&email).ok_or(Refused::INVALID_EMAIL)?;
    let (who, password) = (Identifier::Email(email), Password::new(password));
    let account = match http.auth.prove_password(kind.as_deref(), &who, &password, client.source).await {
        Err(Error::BadCredentials | Error::Disabled) => return Err(Refused::WRONG_CREDENTIALS),
        other => other?,
    };
    let trust = asker.cookie(Name::TrustDevice);
    let credential = match &trust {
        Some(token) => Credential::Trust(TrustToken::new(token.clone())),
        None => Credential::PasswordAlone,
    };
    let login = login(&client, remember, false);
    match http.auth.mint(First::Password(Box::new(account.clone())), credential, login).await {
        Ok(minted) => {
            let is_redirect = callback.is_some();
            let mut response = signed_in(&http, &asker, &minted, |token, user| {
                let mut answer = json!({"redirect": is_redirect, "token": token, "user": user});
                if let Some(url) = &callback {
                    answer["url"] = Value::from(url.clone());
                }
                answer
            });
            if let Some(url) = callback.and_then(|url| HeaderValue::try_from(url).ok()) {
                response.headers_mut().insert(LOCATION, url);
            }
            Ok(response)
        }
        Err(Error::SecondFactorNeeded(methods)) => {
            second_step(&http, &asker, &account, &methods, remember, trust.is_some()).await
        }
        Err(Error::BadCredentials | Error::Disabled) => Err(Refused::WRONG_CREDENTIALS),
        Err(other) => Err(other.into()),
    }
}

/// The password was right and a second factor is on: says which, and remembers the sign-in.
async fn second_step(
    http: &Http,
    asker: &Asker,
    account: &Account,
    methods: &[Method],
    remember: bool,
    had_trust: bool,
) -> Result<Response, Refused> {
    let token = http.auth.challenge(account, remember).await?;
    let usable = [(Method::Authenticator, "totp"), (Method::Email, "otp")];
    let usable: Vec<_> = usable.iter().filter(|(method, _)| methods.contains(method)).map(|m| m.1).collect();
    let ttl = http.auth.config.two_factor.cookie_ttl;
    let mut cookies = Vec::new();
    if had_trust {
        cookies.push(asker.cookies.expire(Name::TrustDevice));
    }
    cookies.push(asker.cookies.expire(Name::Session));
    cookies.push(asker.cookies.expire(Name::SessionData));
    cookies.push(asker.cookies.set(Name::TwoFactor, token.expose(), Some(ttl)));
    Ok(answer::ok(&json!({"twoFactorRedirect": true, "twoFactorMethods": usable}), cookies))
}

pub(super) async fn out(State(http): State<Http>, asker: Asker, client: Client) -> Result<Response, Refused> {
    if let Some(session) = asker.session(&http).await? {
        match http.auth.log_out(&session.live, false, None, None, client.source).await {
            // Somebody else was faster: it is over all the same.
            Ok(()) | Err(Error::NotAuthenticated | Error::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(answer::ok(&json!({"success": true}), asker.forget()))
}

pub(super) async fn session(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
) -> Result<Response, Refused> {
    let Some(mut session) = asker.session(&http).await? else {
        let stale = asker.cookie(Name::Session).is_some();
        return Ok(answer::ok(&Value::Null, if stale { asker.forget() } else { Vec::new() }));
    };
    let forgetful = asker.is_forgetful();
    let renewed = match session.is_own && !forgetful {
        true => http.auth.renew_session(&session.live, client.source).await?,
        false => None,
    };
    let is_renewed = renewed.is_some();
    if let Some(live) = renewed {
        session.live = live;
    }
    let profile = match http.auth.profile(&session.live).await {
        // Removed at this very moment.
        Err(Error::NotAuthenticated) => return Ok(answer::ok(&Value::Null, asker.forget())),
        other => other?,
    };
    let body = json!({
        "session": session_json(&session),
        "user": user(&profile.account, profile.two_factor()),
    });
    if !is_renewed {
        return Ok(answer::ok(&body, []));
    }
    let cookies = asker.keep(&http, &session.token, true);
    Ok(answer::with_session(&body, cookies, &session.token))
}

fn session_json(session: &Session) -> Value {
    let live = &session.live;
    json!({
        "id": live.id.0,
        "token": session.token.expose(),
        "userId": live.account_uuid,
        "expiresAt": time(live.expires_at),
        "createdAt": time(live.created_at),
        "updatedAt": time(live.renewed_at),
        "ipAddress": live.ip,
        "userAgent": live.agent,
    })
}

/// The answer to a login that was made, with the cookies that keep it.
pub(super) fn signed_in(
    http: &Http,
    asker: &Asker,
    minted: &Minted,
    body: impl FnOnce(&str, Value) -> Value,
) -> Response {
    let Some(token) = &minted.session_token else {
        return Refused::from(Error::internal("a cookie login without a cookie")).into_response();
    };
    let mut cookies = asker.keep(http, token, minted.remember);
    if let Some(trust) = &minted.trust {
        let ttl = http.auth.config.two_factor.trust_ttl;
        cookies.push(asker.cookies.set(Name::TrustDevice, trust.expose(), Some(ttl)));
    }
    if asker.cookie(Name::TwoFactor).is_some() {
        cookies.push(asker.cookies.expire(Name::TwoFactor));
    }
    let body = body(token.expose(), user(&minted.account, minted.two_factor));
    answer::with_session(&body, cookies, token)
}

/// A login that wants a cookie.
pub(super) fn login(client: &Client, remember: bool, trust: bool) -> Login {
    Login {
        device: device_of(client),
        client_id: None,
        source: client.source,
        language: client.language,
        wish: Wish::Cookie { remember, trust, agent: crate::domain::text::shown(&client.agent) },
    }
}

/// Where a page may be sent after the login: a path of this site, or a page of an origin that is allowed.
fn check_callback(http: &Http, url: Option<&str>) -> Result<(), Refused> {
    let Some(url) = url else { return Ok(()) };
    let is_path = url.starts_with('/') && !url.starts_with("//") && !url.contains('\\');
    let is_known = || super::origin_of(url).is_some_and(|origin| http.origins.knows(&origin));
    let is_plain = url.bytes().all(|b| b.is_ascii_graphic());
    if is_plain && (is_path || is_known()) { Ok(()) } else { Err(Refused::INVALID_CALLBACK) }
}
