//! HTTP: the routes, what every answer carries, and the pages.

mod dashboard;
mod device_login;
mod docs;
mod error;
mod extract;
mod factors;
mod health;
mod login;
mod mail_code;
mod metrics;
mod pages;
mod two_factor;
mod two_step;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use serde_json::json;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::Auth;
use crate::broker::Broker;
use crate::net::{Origins, Peer, client_address};
use crate::turns::{self, Who};

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT: Duration = Duration::from_secs(600);

pub(crate) use metrics::alone as metrics_alone;
pub(crate) use two_factor::routes as two_factor_routes;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) auth: Arc<Auth>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) public_url: Arc<str>,
    pub(crate) trusted_proxies: Arc<[ipnet::IpNet]>,
    pub(crate) origins: Arc<Origins>,
    /// The origins whose logins may manage accounts.
    pub(crate) account_origins: Arc<Origins>,
}

/// Every route but the socket's.
pub(crate) fn routes(http: Http) -> Router {
    Router::new()
        .merge(pages::routes())
        .merge(docs::routes())
        .merge(login_routes())
        .merge(account_routes())
        .merge(mail_code::routes())
        .merge(two_step::routes())
        .merge(metrics::routes(&http))
        .merge(device_login::routes())
        .route("/.well-known/jwks.json", get(health::jwks))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/settings.json", get(health::settings))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .with_state(http)
}

/// What every answer of the server carries, the socket's refusals too.
pub(crate) fn with_common_headers(router: Router, is_https: bool) -> Router {
    router.layer(middleware::from_fn_with_state(is_https, common_headers))
}

/// Has every request take its turns in its client's name. Outermost: what a route reads first is the client's already.
pub(crate) fn with_turns(router: Router, trusted_proxies: Arc<[ipnet::IpNet]>) -> Router {
    router.layer(middleware::from_fn_with_state(trusted_proxies, in_turn))
}

/// Lets the pages of other origins that the settings allow call the routes and import the client (CORS, WHATWG Fetch).
pub(crate) fn with_cors(router: Router, allowed: &[String]) -> Router {
    if allowed.is_empty() {
        return router;
    }
    let origins = allowed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, two_step::STEP])
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE, two_step::STEP])
        .max_age(PREFLIGHT);
    router.layer(cors)
}

fn login_routes() -> Router<Http> {
    Router::new()
        .route("/auth/{type}/register", post(login::register))
        .route("/auth/{type}/login", post(login::login))
        .route("/auth/{type}/mobile_2fa", post(login::exchange))
        .route("/auth/{type}/email_2fa", post(login::exchange))
        .route("/auth/{type}/backup_code_2fa", post(login::backup_code))
        .route("/auth/{type}/third_party_2fa", post(login::authenticator))
        .route("/auth/sending_email", post(login::send_code))
}

fn account_routes() -> Router<Http> {
    Router::new()
        .route("/2fa/method/mobile", post(dashboard::bind_phone))
        .route("/2fa/method/email", post(factors::enable_email))
        .route("/2fa/method/third_party/generate", post(factors::begin_totp))
        .route("/2fa/method/third_party", post(factors::confirm_totp))
        .route("/dashboard/2fa/trusted", get(factors::trusted))
        .route("/dashboard/2fa/trusted/{id}", delete(factors::revoke_trust))
        .route("/auth/creation_backup_code", post(dashboard::new_backup_codes))
        .route("/dashboard/2fa", get(dashboard::double_auth))
        .route("/dashboard/2fa/{method}", delete(dashboard::remove_method))
        .route("/dashboard/2fa/devices", get(dashboard::approving_devices))
        .route(
            "/dashboard/2fa/device/{id}",
            get(dashboard::approving_device)
                .post(dashboard::approve_device)
                .delete(dashboard::stop_approving),
        )
        .route("/dashboard/devices", get(dashboard::devices))
        .route("/dashboard/device/{id}", get(dashboard::device).delete(dashboard::revoke_device))
        .route("/dashboard/password", post(dashboard::change_password))
        .route("/dashboard/export", post(dashboard::export))
        .route("/dashboard/account", delete(dashboard::remove_account))
}

async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"message": "not found", "error": "not_found"}))).into_response()
}

async fn wrong_method() -> Response {
    let body = Json(json!({"message": "method not allowed", "error": "method_not_allowed"}));
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}

async fn in_turn(
    State(trusted_proxies): State<Arc<[ipnet::IpNet]>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let source = client_address(request.headers(), peer, &trusted_proxies);
    turns::for_request(Who::at(source), next.run(request)).await
}

async fn common_headers(State(is_https): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.entry("referrer-policy").or_insert(HeaderValue::from_static("no-referrer"));
    if is_https {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    response
}
