//! The better-auth API, `/api/auth` (docs/protocol-http.md, "better-auth API"): the routes that the `better-auth`
//! client speaks.

mod answer;
mod body;
mod cookies;
mod factors;
mod sign;
mod verify;
mod who;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, REFERER, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Http, PREFLIGHT};
use answer::Refused;
pub(super) use answer::time;

/// Carries the token of every cookie session that is set, for clients that keep no cookies.
const SET_AUTH_TOKEN: HeaderName = HeaderName::from_static("set-auth-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Where the client reads how long to wait.
const X_RETRY_AFTER: HeaderName = HeaderName::from_static("x-retry-after");

/// The routes below `/api/auth`. Pages of other origins that the settings allow may send cookies here, and here only.
pub(crate) fn routes(http: Http, allowed_origins: &[String]) -> Router {
    let routes = Router::new()
        .route("/sign-up/email", post(sign::up))
        .route("/sign-in/email", post(sign::sign_in))
        .route("/sign-out", post(sign::out))
        .route("/get-session", get(sign::session))
        .route("/two-factor/enable", post(factors::enable))
        .route("/two-factor/disable", post(factors::disable))
        .route("/two-factor/get-totp-uri", post(factors::totp_uri))
        .route("/two-factor/generate-backup-codes", post(factors::new_backup_codes))
        .route("/two-factor/send-otp", post(verify::send_otp))
        .route("/two-factor/verify-otp", post(verify::otp))
        .route("/two-factor/verify-totp", post(verify::totp))
        .route("/two-factor/verify-backup-code", post(verify::backup_code))
        .route_layer(middleware::from_fn_with_state(http.clone(), guard))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .with_state(http);
    let routes = if allowed_origins.is_empty() { routes } else { routes.layer(cors(allowed_origins)) };
    Router::new().nest("/api/auth", routes)
}

fn cors(allowed: &[String]) -> CorsLayer {
    let origins = allowed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .allow_credentials(true)
        .expose_headers([SET_AUTH_TOKEN, RETRY_AFTER, X_RETRY_AFTER])
        .max_age(PREFLIGHT)
}

async fn nowhere() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Refuses what another site's page may have sent in its visitor's name: a cookie needs an origin that is allowed, and
/// nobody is signed in to a stranger's account from elsewhere.
async fn guard(State(http): State<Http>, request: Request, next: Next) -> Response {
    match *request.method() {
        Method::GET | Method::OPTIONS => return next.run(request).await,
        Method::HEAD => return StatusCode::NOT_FOUND.into_response(),
        _ => {}
    }
    let headers = request.headers();
    let path = request.uri().path();
    let is_login = path.ends_with("/sign-in/email") || path.ends_with("/sign-up/email");
    let has_cookie = headers.contains_key(COOKIE);
    let claimed = headers.contains_key(ORIGIN) || headers.contains_key(REFERER);
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|v| v == value);
    if is_login && is(&SEC_FETCH_SITE, "cross-site") && is(&SEC_FETCH_MODE, "navigate") {
        return Refused::CROSS_SITE_NAVIGATION.into_response();
    }
    if (has_cookie || (is_login && claimed))
        && let Err(refused) = check_origin(&http, headers)
    {
        return refused.into_response();
    }
    next.run(request).await
}

fn check_origin(http: &Http, headers: &HeaderMap) -> Result<(), Refused> {
    let mut origins = headers.get_all(ORIGIN).into_iter();
    let origin = match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.to_str().unwrap_or_default().to_owned(),
        (Some(_), Some(_)) => return Err(Refused::INVALID_ORIGIN),
        (None, _) => match headers.get(REFERER).and_then(|r| r.to_str().ok()).map(origin_of) {
            Some(Some(origin)) => origin,
            Some(None) => return Err(Refused::INVALID_ORIGIN),
            None => return Err(Refused::MISSING_ORIGIN),
        },
    };
    match origin.as_str() {
        "null" | "" => Err(Refused::MISSING_ORIGIN),
        known if http.origins.knows(known) => Ok(()),
        _ => Err(Refused::INVALID_ORIGIN),
    }
}

/// The origin of a URL (RFC 6454 §4), as far as it is compared with known ones.
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (!authority.is_empty() && !authority.contains(['@', '\\'])).then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_referer_is_its_scheme_and_authority() {
        assert_eq!(origin_of("https://a.example/x?y#z").as_deref(), Some("https://a.example"));
        assert_eq!(origin_of("http://127.0.0.1:80/").as_deref(), Some("http://127.0.0.1:80"));
        for bad in
            ["", "/x", "https://", "https://good.example@evil.example/", "https://evil.example\\@good/"]
        {
            assert_eq!(origin_of(bad), None, "{bad}");
        }
    }
}
