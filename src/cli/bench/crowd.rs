//! Many browsers that wait: bare TCP streams with a hand-written upgrade and one frame each, so that ten thousand of
//! them cost this side next to nothing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many browsers open at the same time.
const AT_ONCE: usize = 128;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the server's answer and its first frame.
const BUFFER: usize = 4096;

const READY: &str =
    r#"{"action":"readyLogin","os":"Linux","browser":"Firefox","location":"Lausanne, Switzerland"}"#;

/// Browsers whose connections are ready.
pub(super) struct Crowd {
    address: SocketAddr,
    waiting: Vec<TcpStream>,
}

impl Crowd {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, waiting: Vec::new() }
    }

    /// Lets `more` browsers open and wait; tells now and then how many of them do.
    pub(super) async fn grow(&mut self, more: u32, tell: impl Fn(usize)) -> anyhow::Result<()> {
        let before = self.waiting.len();
        let address = self.address;
        let mut opening = stream::iter((0..more).map(|_| open(address))).buffer_unordered(AT_ONCE);
        while let Some(browser) = opening.next().await {
            self.waiting.push(browser.context("a browser could not open its socket")?);
            let open = self.waiting.len() - before;
            if open.is_multiple_of(250) {
                tell(open);
            }
        }
        Ok(())
    }
}

async fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    tokio::time::timeout(PATIENCE, converse(address)).await.context("no answer in time")?
}

async fn converse(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The key is the example of RFC 6455 §1.3: nothing here depends on its being random.
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut buffer = vec![0; BUFFER];
    let head =
        read_until(&mut stream, &mut buffer, |seen| position(seen, b"\r\n\r\n").map(|at| at + 4)).await?;
    if !buffer.starts_with(b"HTTP/1.1 101 ") {
        bail!("the upgrade was answered {:?}", String::from_utf8_lossy(&buffer[..head]).lines().next());
    }
    stream.write_all(&masked_text(READY)).await?;
    let frame = read_until(&mut stream, &mut buffer, frame_len).await?;
    if position(&buffer[..frame], b"Connection ready").is_none() {
        bail!("readyLogin was answered {:?}", String::from_utf8_lossy(&buffer[..frame]));
    }
    Ok(stream)
}

/// Reads until `complete` says how long the message is. The server says nothing more until it is answered.
async fn read_until(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    complete: impl Fn(&[u8]) -> Option<usize>,
) -> anyhow::Result<usize> {
    let mut filled = 0;
    loop {
        if let Some(len) = complete(&buffer[..filled]) {
            return Ok(len);
        }
        match stream.read(&mut buffer[filled..]).await? {
            0 => bail!("the server hung up after {:?}", String::from_utf8_lossy(&buffer[..filled])),
            read => filled += read,
        }
    }
}

/// A short text frame (RFC 6455 §5.2). A mask of zeros leaves the text as it is, and is a mask.
fn masked_text(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX).min(125);
    let mut frame = vec![0x81, 0x80 | len, 0, 0, 0, 0];
    frame.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
    frame
}

/// How long the unmasked frame at the beginning of `seen` is, once it is there as a whole.
fn frame_len(seen: &[u8]) -> Option<usize> {
    let len = match seen {
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [_, len @ ..=125, ..] => 2 + usize::from(*len),
        _ => return None,
    };
    (seen.len() >= len).then_some(len)
}

fn position(seen: &[u8], mark: &[u8]) -> Option<usize> {
    seen.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_frame_fits_the_short_form() {
        let frame = masked_text(READY);
        assert_eq!(frame.len(), 6 + READY.len());
        assert!(frame.ends_with(READY.as_bytes()));
    }

    #[test]
    fn a_frame_is_complete_when_its_last_byte_is_there() {
        assert_eq!(frame_len(&[0x81, 2, b'h', b'i']), Some(4));
        assert_eq!(frame_len(&[0x81, 2, b'h']), None);
        assert_eq!(frame_len(&[0x81, 126, 0]), None);
        assert_eq!(frame_len(&[&[0x81, 126, 0, 130][..], &[0; 130]].concat()), Some(134));
    }
}
