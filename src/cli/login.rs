//! One login as its two parties take it, step by step: the owner's phone and a browser (docs/protocol.md, "The
//! socket").

use anyhow::Context as _;
use hyper::Method;
use serde_json::Value;

use super::client::{Client, Socket, object};
use crate::domain::secret::Password;

/// An account of a demonstration.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) kind: &'static str,
    pub(super) email: &'static str,
    pub(super) password: Password,
}

impl Owner {
    fn password(&self) -> Value {
        self.password.expose().into()
    }
}

/// A phone that is bound to its owner's account and ready to be asked.
pub(super) struct Phone<'a> {
    client: &'a Client,
    socket: Socket<'a>,
    token: String,
}

impl<'a> Phone<'a> {
    /// Logs a phone in, makes it an approving device, and brings it online.
    pub(super) async fn bind(client: &'a Client, owner: &Owner) -> anyhow::Result<Self> {
        let login = object(&[
            ("email", owner.email.into()),
            ("password", owner.password()),
            ("name_device", "Scripted phone".into()),
        ]);
        let path = format!("/auth/{}/login", owner.kind);
        let answer = client.call(Method::POST, &path, None, Some(login)).await?;
        let token = text(&answer, "token")?;

        let devices = client.call(Method::GET, "/dashboard/devices", Some(&token), None).await?;
        let device =
            devices["devices"].as_array().and_then(|all| all.iter().find(|device| device["current"] == true));
        let device = text(device.context("no device is the current one")?, "id")?;

        let bind = object(&[("method_2fa", "MOBILE".into()), ("trusted_device_id", device.into())]);
        let answer = client.call(Method::POST, "/2fa/method/mobile", Some(&token), Some(bind)).await?;
        let token = text(&answer, "token")?;

        let mut socket = client.socket().await?;
        socket.send(object(&[("action", "ready".into()), ("authToken", token.as_str().into())])).await?;
        let ready = socket.expect("message", "Connection ready").await?;
        let token = text(&ready, "token").unwrap_or(token);
        Ok(Self { client, socket, token })
    }

    /// Waits until the phone is asked; returns which pairing asks.
    pub(super) async fn asked(&mut self) -> anyhow::Result<String> {
        let ask = self.socket.expect("action", "ask_mobile_connection").await?;
        text(&ask, "uuid")
    }

    /// Approves.
    pub(super) async fn approve(&mut self, uuid: &str) -> anyhow::Result<()> {
        let answer = object(&[
            ("action", "responseMobileConnection".into()),
            ("authToken", self.token.as_str().into()),
            ("uuid", uuid.into()),
            ("response", true.into()),
        ]);
        self.socket.send(answer).await?;
        self.socket.expect("message", "Message sent").await.map(drop)
    }

    /// Turns approval by phone off again, so that another phone can be set up.
    pub(super) async fn unbind(self) -> anyhow::Result<()> {
        self.client.call(Method::DELETE, "/dashboard/2fa/MOBILE", Some(&self.token), None).await.map(drop)
    }
}

/// A browser that waits for an approval.
pub(super) struct Browser<'a> {
    client: &'a Client,
    socket: Socket<'a>,
    uuid: String,
}

impl<'a> Browser<'a> {
    /// Opens the socket and begins to wait.
    pub(super) async fn open(client: &'a Client) -> anyhow::Result<Self> {
        let mut socket = client.socket().await?;
        let ready = object(&[
            ("action", "readyLogin".into()),
            ("os", "Linux".into()),
            ("browser", "Firefox".into()),
            ("location", "Lausanne, Switzerland".into()),
        ]);
        socket.send(ready).await?;
        let reply = socket.expect("message", "Connection ready").await?;
        Ok(Self { client, socket, uuid: text(&reply, "uuid")? })
    }

    /// Has the owner's phones asked.
    pub(super) async fn ask(&mut self, owner: &Owner) -> anyhow::Result<()> {
        let ask = object(&[
            ("action", "askMobileConnection".into()),
            ("uuid", self.uuid.as_str().into()),
            ("type", owner.kind.into()),
            ("email", owner.email.into()),
            ("password", owner.password()),
        ]);
        self.socket.send(ask).await?;
        self.socket.expect("message", "Message sent").await.map(drop)
    }

    /// Waits for the phone's answer; returns the one-time code.
    pub(super) async fn answered(&mut self) -> anyhow::Result<String> {
        let answer = self.socket.expect("action", "response_mobile_connection").await?;
        text(&answer, "code")
    }

    /// Exchanges the code for a token, once the server has closed the socket.
    pub(super) async fn exchange(self, owner: &Owner, code: &str) -> anyhow::Result<String> {
        self.socket.closed().await?;
        let exchange = object(&[
            ("email", owner.email.into()),
            ("password", owner.password()),
            ("token_2fa", code.into()),
            ("name_device", "Scripted browser".into()),
        ]);
        let path = format!("/auth/{}/mobile_2fa", owner.kind);
        let answer = self.client.call(Method::POST, &path, None, Some(exchange)).await?;
        text(&answer, "token")
    }
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    let text = value[key].as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).with_context(|| format!("the answer has no {key}"))
}
