//! PostgreSQL servers other than the newest, alone: one that is too old, and one behind a pooler that lends sessions on.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{StoreKind, all_settings, eventually, run, store_kind, store_url};

/// The wire protocol's messages that stand here by their first byte.
const TERMINATE: u8 = b'X';
const QUERY: u8 = b'Q';
const DATA_ROW: u8 = b'D';
const READY: u8 = b'Z';

/// A message after the startup: its type, and what follows its length.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap();
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

/// Reads a client's startup message, after a refusal to speak TLS, and returns it with its length.
async fn startup(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        client.read_exact(&mut body).await?;
        // SSLRequest, in the place of a version.
        if body != 80_877_103_u32.to_be_bytes() {
            return Ok([length.to_be_bytes().as_slice(), &body].concat());
        }
        client.write_all(b"N").await?;
    }
}

/// Passes everything on between a client and the server until the client ends its session, which it keeps then.
async fn serve(
    mut client: TcpStream,
    server: String,
    left: Arc<Mutex<Vec<TcpStream>>>,
) -> std::io::Result<()> {
    let start = startup(&mut client).await?;
    let mut backend = TcpStream::connect(server).await?;
    backend.write_all(&start).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_backend, mut to_backend) = backend.split();
    let asks = async {
        loop {
            let (kind, body) = message(&mut from_client).await?;
            if kind == TERMINATE {
                return Ok::<_, std::io::Error>(());
            }
            to_backend.write_all(&framed(kind, &body)).await?;
        }
    };
    tokio::select! {
        ended = asks => ended?,
        copied = tokio::io::copy(&mut from_backend, &mut to_client) => { copied?; }
    }
    left.lock().push(backend);
    Ok(())
}

/// The one value that a query gives in a session.
async fn value(session: &mut TcpStream, query: &str) -> String {
    session.write_all(&framed(QUERY, format!("{query}\0").as_bytes())).await.unwrap();
    let mut value = None;
    loop {
        match message(session).await.unwrap() {
            // A count of columns, and the length of the first.
            (DATA_ROW, body) => value = Some(String::from_utf8(body[6..].to_vec()).unwrap()),
            (READY, _) => return value.expect("a row"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_session_that_migrated_keeps_no_setting_for_whom_a_pooler_lends_it_to() {
    if store_kind() != StoreKind::Postgres {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let direct: url::Url = store_url(folder.path()).await.parse().unwrap();
    let server = format!("{}:{}", direct.host_str().unwrap(), direct.port().unwrap_or(5432));
    let (listener, left) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(Mutex::default()));
    let mut pooled = direct.clone();
    pooled.set_host(Some("127.0.0.1")).unwrap();
    pooled.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let sessions = left.clone();
    let pooler = tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(client, server.clone(), sessions.clone()));
        }
    });
    let settings = all_settings(&[], pooled.as_str(), folder.path());
    let done = run(&["account", "list"], &settings, folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    // The one that migrated, and one at least of the pool.
    eventually("the sessions", || (left.lock().len() >= 2).then_some(())).await;
    pooler.abort();
    let mut sessions = std::mem::take(&mut *left.lock());
    for session in &mut sessions {
        let changed = value(
            session,
            "SELECT coalesce(string_agg(name, ','), '') FROM pg_settings WHERE name LIKE '%timeout' AND setting <> reset_val",
        );
        assert_eq!(changed.await, "");
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
        assert_eq!(value(session, locks).await, "0");
    }
}

#[tokio::test]
async fn a_server_older_than_version_12_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://ann@{}/readylogin", listener.local_addr().unwrap());
    let old = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            startup(&mut client).await.unwrap();
            // Nobody has to prove anything; the version; ready.
            let greeting = [
                framed(b'R', &0_u32.to_be_bytes()),
                framed(b'S', b"server_version\x0011.22\0"),
                framed(READY, b"I"),
            ];
            client.write_all(&greeting.concat()).await.unwrap();
            while message(&mut client).await.is_ok() {}
        }
    });
    let settings = all_settings(&[], &url, folder.path());
    let done = run(&["serve"], &settings, folder.path(), "").await;
    old.abort();
    assert!(done.code != Some(0) && !done.stdout.contains("listening"), "{done:?}");
    let wanted = "PostgreSQL 12 or later is needed, and the server is version 11";
    assert!(done.stderr.contains(wanted), "{}", done.stderr);
}
