//! What a monitor reads: Prometheus' text format (version 0.0.4), on a listener of its own or with a token.

use std::fmt::{Display, Write as _};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::error::Refusal;
use super::extract::bearer_token;
use super::{Http, nowhere, wrong_method};
use crate::auth::Error;
use crate::domain::secret::MetricsToken;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics` beside the other routes, if there is a token for it.
pub(super) fn routes(http: &Http) -> Router<Http> {
    match http.auth.config.metrics.token {
        Some(_) => Router::new().route("/metrics", get(metrics)),
        None => Router::new(),
    }
}

/// All that the listener of its own serves.
pub(crate) fn alone(http: Http) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .with_state(http)
}

async fn metrics(State(http): State<Http>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(token) = &http.auth.config.metrics.token {
        let shown = bearer_token(&headers).ok_or(Refusal::NoToken)?;
        if MetricsToken::new(shown.to_owned()) != *token {
            return Err(Error::NotAuthenticated.into());
        }
    }
    Ok(([(CONTENT_TYPE, TEXT)], text(&http).await).into_response())
}

async fn text(http: &Http) -> String {
    let (auth, broker) = (&http.auth, &http.broker);
    let crowd = broker.crowd();
    let (store, bus) = (auth.store_answers().await, broker.bus.is_up());
    let mut out = Page::default();
    out.family("up", "gauge", "Whether what the server needs answers.");
    out.line("up", "{part=\"store\"}", u8::from(store));
    out.line("up", "{part=\"bus\"}", u8::from(bus));
    out.gauge("draining", "Whether the server is stopping.", u8::from(broker.is_draining()));
    out.gauge("sockets", "Open sockets.", crowd.sockets);
    out.gauge("browsers_waiting", "Browsers that wait for an approval.", crowd.browsers);
    out.gauge("phones_online", "Sockets of phones.", crowd.phones);
    out.gauge("accounts_online", "Accounts with a phone here.", crowd.accounts);
    out.gauge("hashes_waiting", "Logins that wait for a password hash.", auth.hashes_waiting());
    if let Some(waiting) = auth.mails_waiting().await {
        out.gauge("mails_waiting", "Mails that wait for their delivery.", waiting);
    }
    out.family(
        "audit_total",
        "counter",
        "Rows of the audit trail that this process wrote, by event and outcome.",
    );
    for ((event, outcome), count) in auth.store.counts().all() {
        out.line("audit_total", &format!("{{event=\"{event}\",outcome=\"{outcome}\"}}"), count);
    }
    out.0
}

/// The text as it grows. Names and labels are this project's own words, so nothing in them needs escaping.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text can't fail.
        let _ = write!(self.0, "# HELP readylogin_{name} {help}\n# TYPE readylogin_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "readylogin_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.line(name, "", value);
    }
}
