//! A TCP proxy in front of the bus, or of PostgreSQL, that can be cut.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards to a port of this machine, while it is not cut.
pub(crate) struct Proxy {
    port: u16,
    cut: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(watch::Sender::new(false));
        let state = cut.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(stream, to, state.subscribe()));
            }
        });
        Self { port, cut }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends what goes through it and lets nothing more through, or lets it through again.
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn forward(mut from: TcpStream, to: u16, mut cut: watch::Receiver<bool>) {
    if *cut.borrow_and_update() {
        return;
    }
    let Ok(mut there) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut from, &mut there) => {}
        _ = cut.wait_for(|cut| *cut) => {}
    }
}
