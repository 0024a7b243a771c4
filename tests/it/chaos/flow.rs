//! One person's logins, again and again: a browser, a phone and an HTTP client that put up with whatever happens.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::history::{Event, History};
use super::{Chance, World};
use crate::harness::{Http, PASSWORD, Person, Socket};

/// How long somebody waits for an answer before trying elsewhere.
const PATIENCE: Duration = Duration::from_secs(8);
/// Breath between two tries.
const BREATH: Duration = Duration::from_millis(50);

pub(super) fn address(person: usize) -> String {
    format!("person{person}@example.org")
}

/// Somebody with an account and a phone that may approve.
#[derive(Clone)]
pub(super) struct Somebody {
    number: usize,
    phone_token: String,
}

/// Everybody gets an account and a phone while nothing is broken yet.
pub(super) async fn settle_in(world: &World, count: usize) -> Vec<Somebody> {
    let http = Http::new(&world.urls.lock()[0].clone());
    let mut people = Vec::new();
    for number in 0..count {
        let person = Person::register(&http, "p", &address(number)).await;
        let token = person.post("login", &json!({"name_device": "Pixel"})).await.token();
        let device = crate::harness::current_device(&http, &token).await;
        let body = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
        http.post_as(&token, "/2fa/method/mobile", &body).await.expect(200);
        people.push(Somebody { number, phone_token: token });
    }
    people
}

/// Starts the person's phone and logins.
pub(super) fn begin(
    flows: &mut JoinSet<()>,
    world: &Arc<World>,
    history: &Arc<History>,
    who: Somebody,
    chance: &Chance,
) {
    let phone =
        Phone { world: world.clone(), history: history.clone(), who: who.clone(), chance: chance.clone() };
    let browser = Browser { world: world.clone(), history: history.clone(), who, chance: chance.clone() };
    // The phone answers for as long as its owner's last login goes on.
    flows.spawn(async move {
        tokio::select! {
            () = phone.run() => unreachable!("a phone never ends by itself"),
            () = browser.run() => {}
        }
    });
}

/// A frame within the time that somebody is willing to wait; `None` when the socket is lost or silent.
async fn heard(socket: &mut Socket) -> Option<Value> {
    tokio::time::timeout(PATIENCE, socket.next_text()).await.ok().flatten()
}

struct Phone {
    world: Arc<World>,
    history: Arc<History>,
    who: Somebody,
    chance: Chance,
}

impl Phone {
    async fn run(mut self) {
        loop {
            self.stay_online().await;
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Until the socket is lost.
    async fn stay_online(&mut self) -> Option<()> {
        let url = self.world.some(&mut self.chance);
        let mut socket = tokio::time::timeout(PATIENCE, Socket::try_open(&url, &[])).await.ok()?.ok()?;
        socket.try_send(&json!({"action": "ready", "authToken": self.who.phone_token})).await?;
        let mut answered: Option<(String, bool)> = None;
        loop {
            // A phone that hears nothing for a while looks for another node, as one whose network is gone would.
            let frame = heard(&mut socket).await?;
            if frame["action"] == "ask_mobile_connection" {
                let uuid = frame["uuid"].as_str()?.to_owned();
                // Always the same for one uuid: it may be asked about again.
                let yes = !uuid.ends_with(['0', '4', '8', 'c']);
                self.history.note(Event::Answered { uuid: uuid.clone(), person: self.who.number, yes });
                let answer = json!({"action": "responseMobileConnection", "authToken": self.who.phone_token, "uuid": uuid, "response": yes});
                socket.try_send(&answer).await?;
                answered = Some((uuid, yes));
            } else if frame["message"] == "Message sent"
                && let Some((uuid, yes)) = answered.take()
            {
                self.history.note(Event::Acknowledged { uuid, yes });
            } else if frame["error"] == "busy" {
                // The ask is still open: come back and be asked again.
                return None;
            }
        }
    }
}

struct Browser {
    world: Arc<World>,
    history: Arc<History>,
    who: Somebody,
    chance: Chance,
}

/// What a browser knows of its pairing.
struct Waiting {
    uuid: String,
    /// The newest secret that it was given.
    resume: Value,
}

enum Outcome {
    Told(Option<String>),
    Expired,
    /// The socket is lost; come back.
    Lost,
}

impl Browser {
    async fn run(mut self) {
        while !self.world.is_over() {
            self.log_in().await;
            tokio::time::sleep(self.chance.between(0, 200)).await;
        }
    }

    async fn log_in(&mut self) {
        let (mut socket, mut waiting) = loop {
            if let Some(begun) = self.hello().await {
                break begun;
            }
            tokio::time::sleep(BREATH).await;
        };
        let uuid = waiting.uuid.clone();
        self.history.note(Event::Begun { person: self.who.number, uuid: uuid.clone() });
        let mut asked = false;
        loop {
            match self.wait(&mut socket, &uuid, &mut asked).await {
                Outcome::Told(code) => {
                    self.history.note(Event::Told { uuid, code: code.clone() });
                    if let Some(code) = code {
                        self.exchange(&code).await;
                    }
                    return;
                }
                Outcome::Expired => return self.history.note(Event::Expired { uuid }),
                Outcome::Lost => {}
            }
            socket = loop {
                match self.resume(&mut waiting).await {
                    Some(Ok(socket)) => break socket,
                    Some(Err(())) => return self.history.note(Event::Expired { uuid }),
                    None => tokio::time::sleep(BREATH).await,
                }
            };
        }
    }

    async fn open(&mut self) -> Option<Socket> {
        let url = self.world.some(&mut self.chance);
        tokio::time::timeout(PATIENCE, Socket::try_open(&url, &[])).await.ok()?.ok()
    }

    async fn hello(&mut self) -> Option<(Socket, Waiting)> {
        let mut socket = self.open().await?;
        let hello = json!({"action": "readyLogin", "os": "Linux", "browser": "Firefox", "location": "Paris"});
        socket.try_send(&hello).await?;
        let reply = heard(&mut socket).await?;
        let uuid = reply["uuid"].as_str()?.to_owned();
        Some((socket, Waiting { uuid, resume: reply["resume"].clone() }))
    }

    /// A new socket for the same pairing; `Err` when the server says that it is over.
    async fn resume(&mut self, waiting: &mut Waiting) -> Option<Result<Socket, ()>> {
        let mut socket = self.open().await?;
        let frame = json!({"action": "resumeLogin", "uuid": waiting.uuid, "resume": waiting.resume});
        socket.try_send(&frame).await?;
        let reply = heard(&mut socket).await?;
        if reply["error"] == "expired" {
            return Some(Err(()));
        }
        // Busy: try again.
        reply["uuid"].as_str()?;
        waiting.resume = reply["resume"].clone();
        Some(Ok(socket))
    }

    async fn wait(&mut self, socket: &mut Socket, uuid: &str, asked: &mut bool) -> Outcome {
        loop {
            if !*asked {
                let ask = json!({"action": "askMobileConnection", "uuid": uuid, "type": "p",
                                 "email": address(self.who.number), "password": PASSWORD});
                if socket.try_send(&ask).await.is_none() {
                    return Outcome::Lost;
                }
            }
            let Some(frame) = heard(socket).await else { return Outcome::Lost };
            match (frame["action"].as_str(), frame["error"].as_str()) {
                (Some("response_mobile_connection"), _) => {
                    let code = frame["code"].as_str().filter(|code| !code.is_empty());
                    let is_yes = frame["response"] == true;
                    assert_eq!(is_yes, code.is_some(), "{frame}");
                    return Outcome::Told(code.map(str::to_owned));
                }
                (_, Some("expired")) => return Outcome::Expired,
                (_, Some("busy")) => tokio::time::sleep(BREATH).await,
                (_, Some("already_answered")) => *asked = true,
                (_, Some(other)) => panic!("{other}: {frame}"),
                _ if frame["message"] == "Message sent" => *asked = true,
                _ => {}
            }
        }
    }

    /// Exchanges a code on two nodes at once, until somebody has a token or nobody can get one any more.
    async fn exchange(&mut self, code: &str) {
        let mut is_unknown = false;
        loop {
            let (first, second) = (self.world.some(&mut self.chance), self.world.some(&mut self.chance));
            let (one, other) =
                tokio::join!(self.try_exchange(&first, code), self.try_exchange(&second, code));
            let mut is_spent = false;
            let mut has_token = false;
            for outcome in [one, other] {
                match outcome {
                    Exchange::Token(email) => {
                        has_token = true;
                        self.history.note(Event::Token { code: code.to_owned(), email });
                    }
                    Exchange::Spent => is_spent = true,
                    Exchange::Lost => {
                        is_unknown = true;
                        self.history.note(Event::Unknown { code: code.to_owned() });
                    }
                    Exchange::Later => {}
                }
            }
            match (has_token, is_spent) {
                (true, _) => return,
                (false, true) if is_unknown => return,
                (false, true) => return self.history.note(Event::Fruitless { code: code.to_owned() }),
                (false, false) => tokio::time::sleep(BREATH).await,
            }
        }
    }

    async fn try_exchange(&self, url: &str, code: &str) -> Exchange {
        let body = json!({"email": address(self.who.number), "password": PASSWORD, "token_2fa": code});
        let request = Http::new(url).request("POST", "/auth/p/mobile_2fa").json(&body).timeout(PATIENCE);
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Nobody was there to hear it.
            Err(e) if e.is_connect() => return Exchange::Later,
            Err(_) => return Exchange::Lost,
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.json::<Value>().await else { return Exchange::Lost };
        match status {
            200 => Exchange::Token(email_of(body["token"].as_str().unwrap())),
            400 => Exchange::Spent,
            // Away in the middle: it may have been done or not.
            503 => Exchange::Lost,
            _ => panic!("{status}: {body}"),
        }
    }
}

enum Exchange {
    Token(String),
    Spent,
    Lost,
    Later,
}

/// Whose token this is.
fn email_of(token: &str) -> String {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["patient"].as_str().unwrap().to_owned()
}
