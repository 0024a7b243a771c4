//! People with accounts and phones, and the steps of a login in their words.

use serde_json::{Value, json};

use super::{Answer, Http, Place, Server, Socket, execute};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// An account and its owner.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) kind: &'static str,
    pub(crate) email: String,
    /// The token of the registration.
    pub(crate) token: String,
    http: Http,
}

/// A phone that may approve.
pub(crate) struct Phone {
    /// Its first token: upstream's phones keep it for ever.
    pub(crate) token: String,
    pub(crate) device: String,
    pub(crate) backup_codes: Vec<String>,
    pub(crate) socket: Socket,
}

impl Server {
    /// Registers a patient.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.person_of("p", name).await
    }

    /// Registers somebody of a kind.
    pub(crate) async fn person_of(&self, kind: &'static str, name: &str) -> Person {
        Person::register(&self.http, kind, &format!("{name}@example.org")).await
    }

    /// Registers a patient whose address counts as proven: such owners get notices, too.
    pub(crate) async fn proven_person(&self, name: &str) -> Person {
        let person = self.person(name).await;
        self.prove_address(&person.email).await;
        person
    }

    /// Makes an address count as proven without the mail that would prove it.
    pub(crate) async fn prove_address(&self, email: &str) {
        let proven = "UPDATE accounts SET verified = 1, verified_at = created_at WHERE email = ";
        execute(self.settings(), format!("{proven}'{email}'")).await;
    }

    /// The same as [`Server::person_with_phone`] with a proven address.
    pub(crate) async fn proven_person_with_phone(&self, name: &str) -> (Person, Phone) {
        let person = self.proven_person(name).await;
        let phone = person.bind_phone(self).await;
        (person, phone)
    }

    /// A patient with an approving phone that is online, and that phone.
    pub(crate) async fn person_with_phone(&self, name: &str) -> (Person, Phone) {
        let person = self.person(name).await;
        let phone = person.bind_phone(self).await;
        (person, phone)
    }
}

impl Person {
    pub(crate) async fn register(http: &Http, kind: &'static str, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "name": "Somebody"});
        let token = http.post(&format!("/auth/{kind}/register"), &body).await.token();
        Self { kind, email: email.to_owned(), token, http: http.clone() }
    }

    /// Somebody who has an account already, and no token yet.
    pub(crate) fn known(http: &Http, kind: &'static str, email: &str) -> Self {
        Self { kind, email: email.to_owned(), token: String::new(), http: http.clone() }
    }

    /// The same person at another server on the same store.
    pub(crate) fn at(&self, place: &impl Place) -> Self {
        Self { http: place.http().clone(), ..self.clone() }
    }

    /// Email, password and more.
    pub(crate) fn body(&self, more: &Value) -> Value {
        let mut body = json!({"email": self.email, "password": PASSWORD});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    /// `POST /auth/{kind}/{route}` with email, password and more.
    pub(crate) async fn post(&self, route: &str, more: &Value) -> Answer {
        self.http.post(&format!("/auth/{}/{route}", self.kind), &self.body(more)).await
    }

    /// Exchanges a code for a token.
    pub(crate) async fn exchange(&self, code: &str) -> Answer {
        self.post("mobile_2fa", &json!({"token_2fa": code})).await
    }

    /// The frame that asks for a login.
    pub(crate) fn ask_frame(&self, uuid: &Value) -> Value {
        json!({"action": "askMobileConnection", "uuid": uuid, "type": self.kind, "email": self.email, "password": PASSWORD})
    }

    /// Logs a first phone in, makes it approving and brings it online. Works while no second factor is on.
    pub(crate) async fn bind_phone(&self, place: &impl Place) -> Phone {
        let token = self.post("login", &json!({"name_device": "Pixel"})).await.token();
        self.bind_with(place, token).await
    }

    /// Logs a further phone in by a backup code, makes it approving and brings it online.
    pub(crate) async fn bind_another_phone(&self, place: &impl Place, backup_code: &str) -> Phone {
        let body = json!({"backup_code": backup_code, "name_device": "Fairphone"});
        let token = self.post("backup_code_2fa", &body).await.token();
        self.bind_with(place, token).await
    }

    /// Makes the device of a login approving and brings it online.
    pub(crate) async fn bind_with(&self, place: &impl Place, token: String) -> Phone {
        let device = current_device(place.http(), &token).await;
        let body = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
        let bound = place.http().post_as(&token, "/2fa/method/mobile", &body).await.expect(200).json();
        assert_eq!(bound["methods"], json!(["MOBILE"]));
        let codes = bound["backup_codes"].as_array().cloned().unwrap_or_default();
        let backup_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        let socket = ready(place, &token).await;
        Phone { token, device, backup_codes, socket }
    }

    /// The token of a device that may not approve, logged in by a backup code.
    pub(crate) async fn laptop(&self, backup_code: &str) -> String {
        let body = json!({"backup_code": backup_code, "name_device": "Laptop"});
        self.post("backup_code_2fa", &body).await.token()
    }

    /// A browser that has asked for this person's login, and its pairing's uuid.
    pub(crate) async fn asking_browser(&self, place: &impl Place) -> (Socket, Value) {
        let mut browser = place.socket().await;
        let uuid = browser.ready_login().await["uuid"].clone();
        let reply = browser.call(&self.ask_frame(&uuid)).await;
        assert_eq!(reply["message"], "Message sent", "{reply}");
        (browser, uuid)
    }
}

/// The id of the device that a token belongs to.
pub(crate) async fn current_device(http: &Http, token: &str) -> String {
    let devices = http.get_as(token, "/dashboard/devices").await.expect(200).json();
    let devices = devices["devices"].as_array().unwrap();
    let current = devices.iter().find(|device| device["current"] == true).expect("a current device");
    current["id"].as_str().unwrap().to_owned()
}

async fn ready(place: &impl Place, token: &str) -> Socket {
    let mut socket = place.socket().await;
    let reply = socket.call(&json!({"action": "ready", "authToken": token})).await;
    assert_eq!(reply["message"], "Connection ready", "{reply}");
    socket
}

impl Phone {
    /// The answer's frame.
    pub(crate) fn answer_frame(&self, uuid: &Value, response: bool) -> Value {
        json!({"action": "responseMobileConnection", "authToken": self.token, "uuid": uuid, "response": response})
    }

    /// Waits for the ask, answers it, and checks that the answer was taken.
    pub(crate) async fn answer(&mut self, uuid: &Value, response: bool) {
        let ask = self.socket.expect("ask_mobile_connection").await;
        assert_eq!(ask["uuid"], *uuid);
        let reply = self.socket.call(&self.answer_frame(uuid, response)).await;
        assert_eq!(reply["message"], "Message sent", "{reply}");
    }

    /// A login that this phone approved: its code, not yet exchanged.
    pub(crate) async fn approved_code(&mut self, server: &Server, owner: &Person) -> String {
        let (mut browser, uuid) = owner.asking_browser(server).await;
        self.answer(&uuid, true).await;
        browser.expect_code().await
    }

    /// Comes online again, perhaps at another server.
    pub(crate) async fn reconnect(&mut self, place: &impl Place) {
        self.socket = ready(place, &self.token).await;
    }
}

impl Socket {
    /// The code of an approval, after which the server closes.
    pub(crate) async fn expect_code(&mut self) -> String {
        let answer = self.expect("response_mobile_connection").await;
        assert_eq!(answer["response"], true, "{answer}");
        self.expect_close(1000).await;
        answer["code"].as_str().unwrap().to_owned()
    }
}
