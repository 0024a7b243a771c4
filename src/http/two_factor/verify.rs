//! Proving a second factor: at the end of a sign-in, or inside of a session.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{self, Refused, time, user};
use super::body::{Body, MaybeBody};
use super::cookies::Name;
use super::factors::rotated;
use super::sign::{login, signed_in};
use super::who::{Asker, Session, Who};
use crate::auth::cookie::{InSession, fresh_session_token};
use crate::auth::profile::Profile;
use crate::auth::{Credential, Error, First, Minted, Wish};
use crate::domain::factor::Method;
use crate::domain::secret::ChallengeToken;
use crate::domain::typed;
use crate::http::Http;
use crate::http::extract::Client;

pub(super) async fn send_otp(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    _: MaybeBody,
) -> Result<Response, Refused> {
    let account = match asker.who(&http).await? {
        // Inside of a session a code may be the one that turns mailed codes on.
        Who::Session(session) => http.auth.profile(&session.live).await?.account,
        Who::Challenge(_, account, methods) if methods.contains(&Method::Email) => *account,
        Who::Challenge(..) => return Err(Refused::NO_OTP),
    };
    http.auth.mail_code_to(&account, http.auth.config.two_factor.otp_ttl, client.source).await?;
    Ok(answer::ok(&json!({"status": true}), []))
}

pub(super) async fn otp(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let code = typed::one_time(&body.text("code"));
    let trust = body.flag("trustDevice").unwrap_or(false);
    body.finish()?;
    match asker.who(&http).await? {
        Who::Session(session) => {
            let done = in_session(&http, &client, *session, InSession::MailedCode(code)).await?;
            let answer = json!({"token": done.session.token.expose(), "user": done.user()});
            Ok(done.answer(&http, &asker, &answer))
        }
        Who::Challenge(challenge, ..) => {
            let minted =
                finish(&http, &asker, &client, challenge, Credential::MailedCode(code), trust).await?;
            Ok(signed_in(&http, &asker, &minted, |token, user| json!({"token": token, "user": user})))
        }
    }
}

pub(super) async fn totp(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let code = typed::one_time(&body.text("code"));
    let trust = body.flag("trustDevice").unwrap_or(false);
    body.finish()?;
    let answer = |token: &str, user| json!({"status": true, "token": token, "user": user});
    match asker.who(&http).await? {
        Who::Session(session) => {
            let done = in_session(&http, &client, *session, InSession::Totp(code)).await?;
            let body = answer(done.session.token.expose(), done.user());
            Ok(done.answer(&http, &asker, &body))
        }
        Who::Challenge(challenge, ..) => {
            let minted = finish(&http, &asker, &client, challenge, Credential::Totp(code), trust).await?;
            Ok(signed_in(&http, &asker, &minted, answer))
        }
    }
}

pub(super) async fn backup_code(
    State(http): State<Http>,
    asker: Asker,
    client: Client,
    mut body: Body,
) -> Result<Response, Refused> {
    let code = typed::backup_code(&body.text("code"));
    let without_session = body.flag("disableSession").unwrap_or(false);
    let trust = body.flag("trustDevice").unwrap_or(false);
    body.finish()?;
    match asker.who(&http).await? {
        Who::Session(session) => {
            let done = in_session(&http, &client, *session, InSession::BackupCode(code)).await?;
            let live = &done.session.live;
            let session = json!({
                "token": done.session.token.expose(),
                "userId": live.account_uuid,
                "createdAt": time(live.created_at),
                "expiresAt": time(live.expires_at),
            });
            let answer =
                json!({"token": done.session.token.expose(), "user": done.user(), "session": session});
            Ok(done.answer(&http, &asker, &answer))
        }
        Who::Challenge(challenge, ..) if without_session => {
            let mut login = login(&client, false, false);
            login.wish = Wish::Nothing;
            let minted = finish_as(&http, &asker, challenge, Credential::BackupCode(code), login).await?;
            let body = json!({"user": user(&minted.account, minted.two_factor)});
            Ok(answer::ok(&body, [asker.cookies.expire(Name::TwoFactor)]))
        }
        Who::Challenge(challenge, ..) => {
            let minted =
                finish(&http, &asker, &client, challenge, Credential::BackupCode(code), trust).await?;
            let session = json!({
                "userId": minted.account.uuid,
                "createdAt": time(minted.session_begins),
                "expiresAt": time(minted.session_ends),
            });
            Ok(signed_in(&http, &asker, &minted, |token, user| {
                let mut session = session;
                session["token"] = Value::from(token);
                json!({"token": token, "user": user, "session": session})
            }))
        }
    }
}

/// Ends a sign-in by its second factor.
async fn finish(
    http: &Http,
    asker: &Asker,
    client: &Client,
    challenge: ChallengeToken,
    credential: Credential,
    trust: bool,
) -> Result<Minted, Refused> {
    finish_as(http, asker, challenge, credential, login(client, true, trust)).await
}

async fn finish_as(
    http: &Http,
    asker: &Asker,
    challenge: ChallengeToken,
    credential: Credential,
    login: crate::auth::Login,
) -> Result<Minted, Refused> {
    let is_mailed = matches!(credential, Credential::MailedCode(_));
    http.auth.mint(First::Challenge(challenge), credential, login).await.map_err(|error| {
        // A mailed code dies alone; one try too many at the others ends the sign-in.
        let is_over = error == Error::TooManyTries && !is_mailed;
        let refused = Refused::from(error);
        if is_over { refused.with([asker.cookies.expire(Name::TwoFactor)]) } else { refused }
    })
}

/// A factor that was proven inside of a session.
struct Proven {
    session: Session,
    profile: Profile,
    is_rotated: bool,
}

async fn in_session(
    http: &Http,
    client: &Client,
    mut session: Session,
    code: InSession,
) -> Result<Proven, Refused> {
    let token = fresh_session_token();
    let is_rotated = http.auth.prove_in_session(&session.live, code, &token, client.source).await?;
    if is_rotated {
        session.token = token;
    }
    let profile = http.auth.profile(&session.live).await?;
    Ok(Proven { session, profile, is_rotated })
}

impl Proven {
    fn user(&self) -> Value {
        user(&self.profile.account, self.profile.two_factor())
    }

    fn answer(&self, http: &Http, asker: &Asker, body: &Value) -> Response {
        if self.is_rotated {
            return rotated(http, asker, &self.session.token, body, []);
        }
        answer::ok(body, [])
    }
}
