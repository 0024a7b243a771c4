//! A browser that keeps cookies, for the routes below `/api/auth`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Http, PASSWORD, Server};

/// Cookies by name, and the server they came from.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
    http: Http,
    origin: String,
}

impl Browser {
    pub(crate) fn new(server: &Server) -> Self {
        Self { cookies: BTreeMap::new(), http: server.http.clone(), origin: server.url().to_owned() }
    }

    /// Goes on at another server of the same store.
    pub(crate) fn go_to(&mut self, server: &Server) {
        (self.http, self.origin) = (server.http.clone(), server.url().to_owned());
    }

    /// Somebody who has just signed up.
    pub(crate) async fn signed_up(server: &Server, name: &str) -> Self {
        let mut browser = Self::new(server);
        let email = format!("{name}@example.org");
        let body = json!({"name": name, "email": email, "password": PASSWORD});
        browser.post("/sign-up/email", &body).await.expect(200);
        browser
    }

    /// Signs in with the right password.
    pub(crate) async fn sign_in(&mut self, name: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
        self.post("/sign-in/email", &body).await
    }

    /// A browser of its own that has a sign-in under way.
    pub(crate) async fn second_step(server: &Server, name: &str) -> Self {
        let mut browser = Self::new(server);
        let answer = browser.sign_in(name).await.expect(200).json();
        assert_eq!(answer["twoFactorRedirect"], true, "{answer}");
        browser
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let request = self.http.request("POST", &format!("/api/auth{path}")).json(body);
        self.send(request.header("origin", &self.origin)).await
    }

    pub(crate) async fn session(&mut self) -> Value {
        let request = self.http.request("GET", "/api/auth/get-session");
        self.send(request).await.expect(200).json()
    }

    /// The cookie whose name ends so.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.iter().find(|(known, _)| known.ends_with(name)).map(|(_, value)| value.clone())
    }

    /// Puts a cookie of somebody's into this browser.
    pub(crate) fn plant(&mut self, name: &str, value: &str) {
        self.cookies.insert(format!("better-auth.{name}"), value.to_owned());
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Answer {
        if !self.cookies.is_empty() {
            let all: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", all.join("; "));
        }
        let answer = Answer::read(request.send().await.unwrap()).await;
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// The `code` of a refusal with this status.
#[track_caller]
pub(crate) fn refused(answer: Answer, status: u16) -> String {
    answer.expect(status).json()["code"].as_str().expect("a code").to_owned()
}
