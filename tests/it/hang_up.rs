//! A client that hangs up before it is answered: what it tried is checked and counted as if it had stayed.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{Answer, PASSWORD, PATIENCE, Server, await_number};

/// Hashes slow enough that the server sees the end of the connection before it has computed one.
const SETTINGS: &[(&str, &str)] =
    &[("LIMITS__FACTOR", "1"), ("PASSWORD__MEMORY_KIB", "16384"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];

/// Sends a request and closes the connection at once.
async fn hang_up(server: &Server, source: &str, path: &str, body: &Value) {
    let (address, body) = (server.url().strip_prefix("http://").unwrap(), body.to_string());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: {}\r\nX-Forwarded-For: {source}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.url(),
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
}

/// Posts until the server answers 429; until then it must answer otherwise than with a failure of its own.
async fn until_throttled(server: &Server, source: &str, path: &str, body: &Value) {
    let look = async {
        loop {
            let request = server.http.request("POST", path).header("x-forwarded-for", source);
            let request = request.header("origin", server.url()).json(body);
            let answer = Answer::read(request.send().await.unwrap()).await;
            if answer.status == 429 {
                return;
            }
            assert!(answer.status < 500, "{answer:?}");
        }
    };
    let found = tokio::time::timeout(PATIENCE, look).await;
    assert!(found.is_ok(), "{path}: what clients tried that hung up is not counted");
}

#[tokio::test]
async fn wrong_passwords_whose_client_hangs_up_count_on_every_surface() {
    let server = Server::start(SETTINGS).await;
    let ann = server.person("ann").await;
    let email = ann.email.as_str();
    let surfaces = [
        ("192.0.2.1", "/auth/p/login", "email"),
        ("192.0.2.2", "/api/v1/auth/login", "identifier"),
        ("192.0.2.3", "/users/two_step_verification_login", "username"),
        ("192.0.2.4", "/api/auth/sign-in/email", "email"),
    ];
    for (at, (source, path, name)) in surfaces.iter().enumerate() {
        let body = |password: &str| {
            let mut body = json!({"password": password, "provider": "email"});
            body[*name] = json!(email);
            body
        };
        for _ in 0..10 {
            hang_up(&server, source, path, &body("wrong password")).await;
        }
        until_throttled(&server, source, path, &body(PASSWORD)).await;
        // Recorded, too, as if the client had stayed.
        let failures = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM audit WHERE event = 'password' AND outcome = 'bad_credentials'";
        let expected = 10 * (i64::try_from(at).unwrap() + 1);
        await_number(server.settings(), failures, |rows| rows == expected).await;
    }
}
