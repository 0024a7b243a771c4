//! A client of `/ws`: send, expect, expect nothing before a reply.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};

use super::PATIENCE;

pub(crate) struct Socket {
    inner: WebSocketStream<Box<dyn Stream>>,
}

/// What a socket goes over: TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Socket {
    pub(crate) async fn open(url: &str) -> Self {
        Self::try_open(url, &[]).await.expect("the handshake succeeds")
    }

    /// A handshake with further headers; the error holds the refusal.
    pub(crate) async fn try_open(
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let address = format!("{}/ws", url.replacen("http", "ws", 1));
        let mut request = address.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let host = request.uri().authority().unwrap().to_string();
        let stream = TcpStream::connect(host).await.map_err(tungstenite::Error::Io)?;
        let _ = stream.set_nodelay(true);
        let (inner, _) =
            tokio_tungstenite::client_async(request, Box::new(stream) as Box<dyn Stream>).await?;
        Ok(Self { inner })
    }

    /// A socket over a connection that is there already, perhaps over TLS; `url` as in `wss://host:port`.
    pub(crate) async fn over(stream: impl Stream + 'static, url: &str) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (inner, _) = tokio_tungstenite::client_async(format!("{url}/ws"), stream).await.unwrap();
        Self { inner }
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.inner.send(message).await.unwrap();
    }

    /// Sends a frame; `None` when the socket is gone.
    pub(crate) async fn try_send(&mut self, frame: &Value) -> Option<()> {
        self.inner.send(Message::text(frame.to_string())).await.ok()
    }

    /// The next text frame; pings are answered by the way.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected a text frame, got {other:?}"),
        }
    }

    /// The next text frame, or nothing when the socket ends first.
    pub(crate) async fn next_text(&mut self) -> Option<Value> {
        loop {
            let next =
                tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a frame or the end in time");
            match next {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).ok(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_) | Err(_)) | None => return None,
            }
        }
    }

    /// Sends a frame and returns the next one.
    pub(crate) async fn call(&mut self, frame: &Value) -> Value {
        self.send(frame).await;
        self.receive().await
    }

    /// Sends a frame and returns the code of the refusal.
    pub(crate) async fn refused(&mut self, frame: &Value) -> String {
        let reply = self.call(frame).await;
        reply["error"].as_str().unwrap_or_else(|| panic!("expected a refusal, got {reply}")).to_owned()
    }

    /// The next frame, which must be this action.
    pub(crate) async fn expect(&mut self, action: &str) -> Value {
        let frame = self.receive().await;
        assert_eq!(frame["action"], action, "{frame}");
        frame
    }

    /// The next frame, which must be this message.
    pub(crate) async fn expect_message(&mut self, message: &str) -> Value {
        let frame = self.receive().await;
        assert_eq!(frame["message"], message, "{frame}");
        frame
    }

    /// The server is heard of next by a ping, which is answered.
    pub(crate) async fn expect_ping(&mut self) {
        let next = tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a ping in time");
        assert!(matches!(next, Some(Ok(Message::Ping(_)))), "{next:?}");
        self.inner.flush().await.unwrap();
    }

    /// The socket is open and nothing waits to be read, though its client has said nothing yet: the next thing is the reply to
    /// a ping.
    pub(crate) async fn expect_pong(&mut self) {
        self.send_raw(Message::Ping(tungstenite::Bytes::new())).await;
        let next = tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a pong in time");
        assert!(matches!(next, Some(Ok(Message::Pong(_)))), "{next:?}");
    }

    /// Nothing waits to be read: the next frame is the reply to a message that the server does not know.
    pub(crate) async fn expect_nothing_more(&mut self) {
        assert_eq!(self.refused(&json!({"action": "nothing more"})).await, "unknown_action");
    }

    /// The server closes with this code.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        match self.next().await {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), code, "{frame:?}"),
            other => panic!("expected close {code}, got {other:?}"),
        }
    }

    /// The last text frame before the server closes, if there is one.
    pub(crate) async fn last_word(&mut self) -> Option<Value> {
        let mut last = None;
        while let Message::Text(text) = self.next().await {
            last = Some(serde_json::from_str(&text).unwrap());
        }
        last
    }

    /// The socket ends, with or without a close frame.
    pub(crate) async fn expect_end(&mut self) {
        loop {
            match tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("the socket ends") {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Goes away without a word, as a browser that loses its network.
    pub(crate) fn vanish(self) {
        drop(self);
    }

    /// `readyLogin`; returns the reply.
    pub(crate) async fn ready_login(&mut self) -> Value {
        let frame = json!({"action": "readyLogin", "os": "Linux", "browser": "Firefox", "location": "Paris"});
        let reply = self.call(&frame).await;
        assert_eq!(reply["message"], "Connection ready", "{reply}");
        reply
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a frame in time");
            match next.expect("the socket is open").expect("a sound frame") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }
}
