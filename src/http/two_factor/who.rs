//! Who asks: the session of a cookie or a token, or a sign-in whose second factor is awaited.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::request::Parts;

use super::answer::Refused;
use super::cookies::{Cookies, Name};
use crate::auth::Error;
use crate::domain::account::Account;
use crate::domain::factor::Method;
use crate::domain::secret::{ChallengeToken, SessionToken};
use crate::http::Http;
use crate::http::extract::bearer_token;
use crate::store::sessions::Live;

/// The headers of a request that tell who asks, and the cookies' form. No `Debug`: there are tokens in it.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) cookies: Cookies,
    headers: HeaderMap,
}

/// A live session and the token that it was known by.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) live: Live,
    pub(super) token: SessionToken,
    /// Whether that was the session's own token and not an access token.
    pub(super) is_own: bool,
}

/// A session, or else a sign-in under way.
#[derive(Debug)]
pub(super) enum Who {
    Session(Box<Session>),
    Challenge(ChallengeToken, Box<Account>, Vec<Method>),
}

impl FromRequestParts<Http> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Self::Rejection> {
        Ok(Self { cookies: Cookies::of(http), headers: parts.headers.clone() })
    }
}

impl Asker {
    /// The session, if there is a live one. A token in `Authorization` stands before a cookie.
    pub(super) async fn session(&self, http: &Http) -> Result<Option<Session>, Error> {
        let bearer = bearer_token(&self.headers).map(str::to_owned);
        let Some(token) = bearer.or_else(|| self.cookie(Name::Session)) else { return Ok(None) };
        // Only access tokens have dots in them.
        let is_own = !token.contains('.');
        let live = if is_own {
            http.auth.cookie_session(&token).await?
        } else {
            match http.auth.bearer(&token).await {
                Ok(live) => Some(live),
                Err(Error::NotAuthenticated) => None,
                Err(other) => return Err(other),
            }
        };
        Ok(live.map(|live| Session { live, token: SessionToken::new(token), is_own }))
    }

    /// The session there must be.
    pub(super) async fn must(&self, http: &Http) -> Result<Session, Refused> {
        self.session(http).await?.ok_or(Refused::UNAUTHORIZED)
    }

    /// The session there must be, for what manages the account: not one of another client.
    pub(super) async fn owner(&self, http: &Http) -> Result<Session, Refused> {
        let session = self.must(http).await?;
        session.live.must_manage()?;
        Ok(session)
    }

    /// The session, not one of another client, or else the sign-in under way, there must be.
    pub(super) async fn who(&self, http: &Http) -> Result<Who, Refused> {
        if let Some(session) = self.session(http).await? {
            session.live.must_manage()?;
            return Ok(Who::Session(Box::new(session)));
        }
        let token = self.cookie(Name::TwoFactor).ok_or(Error::InvalidChallenge)?;
        let token = ChallengeToken::new(token);
        let (account, methods) = http.auth.challenged(&token).await?;
        Ok(Who::Challenge(token, Box::new(account), methods))
    }

    pub(super) fn cookie(&self, name: Name) -> Option<String> {
        self.cookies.read(&self.headers, name)
    }

    /// Whether the browser keeps its session only for as long as it runs.
    pub(super) fn is_forgetful(&self) -> bool {
        self.cookie(Name::DontRemember).is_some()
    }

    /// The cookies that make a browser keep a session.
    pub(super) fn keep(&self, http: &Http, token: &SessionToken, remember: bool) -> Vec<HeaderValue> {
        let ttl = http.auth.config.session.ttl;
        let mut set = vec![self.cookies.set(Name::Session, token.expose(), remember.then_some(ttl))];
        if !remember {
            set.push(self.cookies.set(Name::DontRemember, "true", None));
        } else if self.is_forgetful() {
            set.push(self.cookies.expire(Name::DontRemember));
        }
        set
    }

    /// The cookies that make a browser forget its session.
    pub(super) fn forget(&self) -> Vec<HeaderValue> {
        [Name::Session, Name::SessionData, Name::DontRemember].map(|name| self.cookies.expire(name)).into()
    }
}
