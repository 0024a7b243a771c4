//! A client of the server, small and honest: HTTP/1.1 with JSON, and the socket, both over the network.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long any answer of a server on the same machine may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who listens to what a client says (`→`) and hears (`←`).
pub(super) type Listener = Box<dyn Fn(Direction, &str) -> anyhow::Result<()> + Send + Sync>;

/// Which way a message goes, seen from the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// To the server.
    Said,
    /// From the server.
    Heard,
}

/// One party of a login.
pub(super) struct Client {
    address: SocketAddr,
    listener: Listener,
}

impl Client {
    /// A client of the server at `address`, whose every message `listener` hears of.
    pub(super) fn new(address: SocketAddr, listener: Listener) -> Self {
        Self { address, listener }
    }

    /// A client to whom nobody listens.
    pub(super) fn silent(address: SocketAddr) -> Self {
        Self::new(address, Box::new(|_, _| Ok(())))
    }

    /// Calls the server and returns the JSON of its answer.
    ///
    /// # Errors
    /// Any status but 2xx.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let said = body.as_ref().map_or_else(|| what.clone(), |body| format!("{what} {body}"));
        (self.listener)(Direction::Said, &said)?;
        let mut request =
            Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let (status, text) =
            answer.with_context(|| format!("{what}: no answer in time"))?.context(what.clone())?;
        (self.listener)(Direction::Heard, format!("{} {text}", status.as_u16()).trim_end())?;
        if !status.is_success() {
            bail!("{what} was answered {status} {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{what} was answered without JSON"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(hyper::StatusCode, String)> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped: at the end of this function.
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Opens the socket.
    pub(super) async fn socket(&self) -> anyhow::Result<Socket<'_>> {
        let url = format!("ws://{}/ws", self.address);
        let opening = tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(url)).await;
        let (stream, _) =
            opening.context("the socket: no answer in time")?.context("the socket was refused")?;
        Ok(Socket { stream, listener: &self.listener })
    }
}

/// An open socket of a client.
pub(super) struct Socket<'a> {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    listener: &'a Listener,
}

impl Socket<'_> {
    /// Sends a frame.
    pub(super) async fn send(&mut self, frame: String) -> anyhow::Result<()> {
        (self.listener)(Direction::Said, &frame)?;
        Ok(self.stream.send(Message::text(frame)).await?)
    }

    /// The next frame, which must hold `text` under `key`.
    ///
    /// # Errors
    /// Another frame, none in time, or the end of the socket.
    pub(super) async fn expect(&mut self, key: &str, text: &str) -> anyhow::Result<Value> {
        let Message::Text(frame) = self.next().await? else {
            bail!("the socket closed instead of saying {text:?}")
        };
        (self.listener)(Direction::Heard, &frame)?;
        let value: Value = serde_json::from_str(&frame).context("a frame without JSON")?;
        if value[key] != text {
            bail!("the socket said {frame} instead of {text:?}");
        }
        Ok(value)
    }

    /// Waits until the server closes the socket.
    pub(super) async fn closed(mut self) -> anyhow::Result<()> {
        let last = self.next().await?;
        let Message::Close(Some(frame)) = last else {
            bail!("the socket said {last} instead of closing with a code")
        };
        (self.listener)(Direction::Heard, &format!("close {}", frame.code))
    }

    /// The next text or close; the library answers pings by itself.
    async fn next(&mut self) -> anyhow::Result<Message> {
        let next = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(message) => return Ok(message?),
                    None => bail!("the socket ended without a close"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.context("the socket: nothing came in time")?
    }
}

/// A JSON object whose fields stand in the given order, as clients write it.
pub(super) fn object(fields: &[(&str, Value)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_escaped() {
        let frame = object(&[("b", "\"ü\n".into()), ("a", true.into())]);
        assert_eq!(frame, r#"{"b":"\"ü\n","a":true}"#);
        assert_eq!(object(&[]), "{}");
    }
}
