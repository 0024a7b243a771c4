//! The door: which requests come in, how the others are turned away, and what every answer carries.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use crate::harness::{Answer, PASSWORD, PATIENCE, Server, Socket};

const HANDSHAKE: &[(&str, &str)] = &[
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Writes bytes to the server, and reads what it says until it closes.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_to_end(stream).await
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer is an end too.
    let _ = read.expect("the server closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn login_request(headers: &str, body: &str) -> String {
    format!(
        "POST /auth/p/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

async fn origin(server: &Server, origins: &[&str]) -> Result<(), u16> {
    let headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
    match Socket::try_open(server.url(), &headers).await {
        Ok(_) => Ok(()),
        Err(tungstenite::Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn only_pages_of_listed_origins_open_sockets() {
    let allowed = "https://app.example,http://other.example:8080";
    let server = Server::start(&[("SERVER__ALLOWED_ORIGINS", allowed)]).await;
    let port = server.url().rsplit(':').next().unwrap();
    let own = server.url().to_owned();
    let localhost = format!("http://localhost:{port}");
    for good in [&own, &localhost, "https://app.example", "HTTPS://APP.EXAMPLE", "http://other.example:8080"]
    {
        assert_eq!(origin(&server, &[good]).await, Ok(()), "{good}");
    }
    assert_eq!(origin(&server, &[]).await, Ok(()), "a native phone");
    let other_port = format!("http://localhost:{}", port.parse::<u16>().unwrap() - 1);
    for bad in [
        "null",
        "",
        "https://evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil",
        "https://evil-app.example",
        "https://app.example/",
        "file://",
        &format!("https://localhost:{port}"),
        &format!("{own}.evil"),
        &other_port,
    ] {
        assert_eq!(origin(&server, &[bad]).await, Err(403), "{bad}");
    }
    assert_eq!(origin(&server, &[&own, "https://evil.example"]).await, Err(403), "two of them");
}

#[tokio::test]
async fn with_a_public_url_only_that_is_one_s_own() {
    let server = Server::start(&[("SERVER__PUBLIC_URL", "https://login.example")]).await;
    let port = server.url().rsplit(':').next().unwrap();
    assert_eq!(origin(&server, &["https://login.example"]).await, Ok(()));
    assert_eq!(origin(&server, &[server.url()]).await, Err(403));
    assert_eq!(origin(&server, &[&format!("http://localhost:{port}")]).await, Err(403));
}

#[tokio::test]
async fn what_is_no_handshake_is_told_to_upgrade() {
    let server = Server::start(&[]).await;
    let request = |without: usize, instead: Option<&'static str>| {
        let mut request = server.http.request("GET", "/ws");
        for (at, (name, value)) in HANDSHAKE.iter().enumerate() {
            match (at == without, instead) {
                (true, None) => {}
                (true, Some(other)) => request = request.header(*name, other),
                (false, _) => request = request.header(*name, *value),
            }
        }
        request
    };
    for (without, instead) in
        [(0, None), (1, None), (2, None), (3, None), (1, Some("h2c")), (2, Some("8")), (3, Some("short"))]
    {
        let answer = Answer::read(request(without, instead).send().await.unwrap()).await.expect(426);
        assert_eq!((answer.header("upgrade"), answer.header("sec-websocket-version")), ("websocket", "13"));
    }
    let post = server.http.post("/ws", &json!({})).await.expect(405);
    assert_eq!(post.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn a_head_or_a_body_that_dawdles_is_cut_off() {
    let settings = [("SERVER__HEADER_TIMEOUT", "1s"), ("SERVER__BODY_TIMEOUT", "1s")];
    let server = Server::start(&settings).await;
    assert_eq!(raw(&server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await, "");
    assert_eq!(raw(&server, b"").await, "", "a connection on which nothing is said");
    let slow = raw(&server, login_request("Content-Length: 1000\r\n", "{\"email\":").as_bytes()).await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    // After an answer, too, nobody waits for ever for the next request.
    let idle = raw(&server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    // One byte now and then is no way around it.
    let address = server.url().strip_prefix("http://").unwrap();
    let (read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let drip = tokio::spawn(async move {
        write.write_all(login_request("Content-Length: 1000\r\n", "").as_bytes()).await.unwrap();
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    let mut read = read;
    let _ = tokio::time::timeout(PATIENCE, read.read_to_end(&mut answer)).await.expect("it is cut off");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    drip.abort();
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_told_so() {
    let server = Server::start(&[]).await;
    let login = |padding: usize| json!({"email": "a@b.c", "password": PASSWORD, "x": "x".repeat(padding)});
    assert_eq!(server.http.post("/auth/p/login", &login(60_000)).await.status, 401);
    for size in [70_000, 1_000_000] {
        let answer = server.http.post("/auth/p/login", &login(size)).await.expect(413);
        assert_eq!(answer.json()["error"], "too_large");
    }
    // Without a Content-Length it is counted as it comes.
    let chunk = "10000\r\n".to_owned() + &"x".repeat(65_536) + "\r\n";
    let body = chunk.repeat(3) + "0\r\n\r\n";
    let answer = raw(&server, login_request("Transfer-Encoding: chunked\r\n", &body).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn only_json_is_read() {
    let server = Server::start(&[]).await;
    let body = json!({"email": "a@b.c", "password": PASSWORD}).to_string();
    let send = async |headers: &[(&str, &str)]| {
        let mut request = server.http.request("POST", "/auth/p/login").body(body.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.send().await.unwrap()).await
    };
    for good in ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"] {
        send(&[("content-type", good)]).await.expect(401);
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", "*/*"] {
        assert_eq!(send(&[("content-type", bad)]).await.refusal(415), "Send application/json");
    }
    send(&[]).await.expect(415);
    send(&[("content-type", "application/json"), ("content-encoding", "gzip")]).await.expect(415);
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told() {
    let server = Server::start(&[]).await;
    let send = async |body: String| {
        let request = server.http.request("POST", "/auth/p/login").header("content-type", "application/json");
        Answer::read(request.body(body).send().await.unwrap()).await
    };
    let nested = format!(
        r#"{{"email":"a","password":"b","x":{}1{}}}"#,
        "[".repeat(50_000 / 2),
        "]".repeat(50_000 / 2)
    );
    for bad in
        ["", " ", "{", "nonsense", "{\"email\":\"a\",}", "\u{feff}{}", "{\"email\":\"\\ud800\"}", &nested]
    {
        assert_eq!(send(bad.to_owned()).await.refusal(400), "Invalid JSON input", "{bad:.40}");
    }
    for wrong in [
        "{}",
        "[]",
        "null",
        r#"{"email":"a"}"#,
        r#"{"email":"a","password":null}"#,
        r#"{"email":"a","password":["b"]}"#,
        r#"{"email":"a","email":"b","password":"c"}"#,
        r#"{"email":"a","password":"c","password":"c"}"#,
    ] {
        assert_eq!(send(wrong.to_owned()).await.expect(400).json()["error"], "bad_field", "{wrong}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start(&[]).await;
    for (method, path, allow) in [
        ("GET", "/auth/p/login", "POST"),
        ("PUT", "/auth/p/register", "POST"),
        ("DELETE", "/dashboard/devices", "GET,HEAD"),
        ("PATCH", "/dashboard/2fa/device/1", "GET,HEAD,POST,DELETE"),
        ("POST", "/", "GET,HEAD"),
        ("POST", "/.well-known/jwks.json", "GET,HEAD"),
    ] {
        let answer = server.http.send(method, path, None, None).await.expect(405);
        let sorted = |list: &str| {
            let mut list: Vec<_> = list.split(',').map(|word| word.trim().to_owned()).collect();
            list.sort();
            list
        };
        assert_eq!(sorted(answer.header("allow")), sorted(allow), "{method} {path}");
        assert_eq!(answer.json()["error"], "method_not_allowed");
    }
    for path in
        ["/nowhere", "/auth", "/auth/p", "/auth/p/login/", "//", "/static/../Cargo.toml", "/static/%2e%2e/x"]
    {
        assert_eq!(server.http.get(path).await.expect(404).json()["error"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn requests_that_two_parsers_may_read_in_two_ways_are_refused() {
    let server = Server::start(&[]).await;
    let body = json!({"email": "a@b.c", "password": PASSWORD}).to_string();
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let check = async |headers: &str, body: &str, what: &str| {
        let answer = raw(&server, login_request(headers, body).as_bytes()).await;
        let statuses: Vec<_> =
            answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
        assert_eq!(statuses, ["400"], "{what}: {answer}");
    };
    let sound = raw(&server, login_request(&length, &body).as_bytes()).await;
    assert!(sound.starts_with("HTTP/1.1 401"), "{sound}");
    let sound = raw(&server, login_request(chunked, &chunk).as_bytes()).await;
    assert!(sound.starts_with("HTTP/1.1 401"), "{sound}");
    check(&format!("{length}Content-Length: 3\r\n"), &body, "two lengths").await;
    check("Content-Length: 3, 4\r\n", &body, "a list of lengths").await;
    check("Content-Length: +72\r\n", &body, "a signed length").await;
    check("Content-Length: -1\r\n", &body, "a negative length").await;
    check("Transfer-Encoding: chunked, identity\r\n", &chunk, "chunks that are not last").await;
    check("Transfer-Encoding: xchunked\r\n", &chunk, "another encoding").await;
    check(chunked, &format!("zz\r\n{body}\r\n0\r\n\r\n"), "a chunk without a size").await;
    check(chunked, &format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n"), "a size beyond all sizes").await;
    check(&format!("Content-Length : {}\r\n", body.len()), &body, "a space before the colon").await;
    check("X-Folded: a\r\n b\r\n", "", "a folded header").await;
}

#[tokio::test]
async fn a_length_beside_chunks_hides_no_second_request() {
    let server = Server::start(&[]).await;
    // Read by its chunks, as RFC 9112 section 6.3 allows, and then the connection closes whatever else is in it.
    let (chunks, hidden) = ("0\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let length = format!("Content-Length: {}\r\n", chunks.len() + hidden.len());
    for [first, second] in
        [[length.as_str(), "Transfer-Encoding: chunked\r\n"], ["Transfer-Encoding: chunked\r\n", &length]]
    {
        let head = format!(
            "POST /auth/p/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{first}{second}\r\n"
        );
        let answer = raw(&server, format!("{head}{chunks}{hidden}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let server = Server::start(&[]).await;
    let huge = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(100_000));
    let answer = raw(&server, huge.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(500));
    let answer = raw(&server, many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// One answer of every sort.
async fn all_sorts(server: &Server) -> Vec<Answer> {
    let ann = server.person("ann").await;
    let http = &server.http;
    let empty = json!({});
    vec![
        ann.post("login", &empty).await.expect(200),
        ann.post("login", &json!({"password": "wrong password"})).await.expect(401),
        http.get("/dashboard/devices").await.expect(401),
        http.get_as(&ann.token, "/dashboard/devices").await.expect(200),
        http.post("/auth/p/login", &empty).await.expect(400),
        http.get("/auth/p/login").await.expect(405),
        http.get("/nowhere").await.expect(404),
        http.get("/ws").await.expect(426),
        http.get("/healthz").await.expect(200),
        http.get("/readyz").await.expect(200),
        http.get("/settings.json").await.expect(200),
        http.get("/static/nowhere.js").await.expect(404),
        http.post_as(&ann.token, "/auth/creation_backup_code", &empty).await.expect(400),
        http.delete_as(&ann.token, "/dashboard/account").await.expect(204),
    ]
}

#[tokio::test]
async fn every_answer_is_kept_by_nobody_and_says_what_it_is() {
    let server = Server::start(&[]).await;
    for answer in all_sorts(&server).await {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        assert!(!answer.header("content-type").is_empty(), "{answer:?}");
        assert_eq!(answer.header("strict-transport-security"), "", "{answer:?}");
        assert_eq!(answer.header("server"), "");
    }
}

#[tokio::test]
async fn behind_https_every_answer_says_so() {
    let server = Server::start(&[("SERVER__PUBLIC_URL", "https://login.example")]).await;
    for answer in all_sorts(&server).await.into_iter().chain([server.http.get("/").await]) {
        assert!(answer.header("strict-transport-security").starts_with("max-age=31536000"), "{answer:?}");
    }
}

#[tokio::test]
async fn pages_run_their_own_scripts_only() {
    let server = Server::start(&[]).await;
    for page in ["/", "/phone"] {
        let answer = server.http.get(page).await.expect(200);
        let policy = answer.header("content-security-policy").to_owned();
        let rules: Vec<Vec<&str>> = policy.split(';').map(|rule| rule.split_whitespace().collect()).collect();
        for rule in
            [vec!["default-src", "'none'"], vec!["script-src", "'self'"], vec!["frame-ancestors", "'none'"]]
        {
            assert!(rules.contains(&rule), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-type").starts_with("text/html"));
        let inline =
            |text: &str| text.contains("<script>") || text.contains(" style=") || text.contains(" onclick=");
        assert!(!inline(&answer.text), "{page} has something inline");
    }
    assert_eq!(server.http.get("/healthz").await.json(), json!({"status": "ok"}) as Value);
}

/// A connection on which the server has answered, and which stays open.
async fn connected(server: &Server) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).await.unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = [0; 512];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer or the end");
    matches!(read, Ok(length) if length > 0).then_some(stream)
}

#[tokio::test]
async fn a_source_has_so_many_connections_of_any_kind_and_gets_them_back() {
    let server = Server::start(&[("LIMITS__FACTOR", "1"), ("SERVER__PER_SOURCE", "3")]).await;
    let socket = server.socket().await;
    let (first, second) = (connected(&server).await, connected(&server).await);
    assert!(first.is_some() && second.is_some());
    assert!(connected(&server).await.is_none(), "a fourth beside a socket and two others");
    drop(socket);
    let look = async { while connected(&server).await.is_none() {} };
    tokio::time::timeout(PATIENCE, look).await.expect("a place is given back");
}

#[tokio::test]
async fn a_declared_proxy_has_as_many_connections_as_it_likes() {
    let settings =
        [("LIMITS__FACTOR", "1"), ("SERVER__PER_SOURCE", "2"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start(&settings).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(connected(&server).await.expect("served"));
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let server = Server::start(&[("SERVER__WRITE_TIMEOUT", "1s")]).await;
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).await.unwrap();
    let requests = "GET /static/js/login_socket.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3000);
    // The server stops reading once its answers are not read, and closes a while later: then writing fails.
    let ask = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, ask).await.expect("it is cut off");
    server.http.get("/healthz").await.expect(200);
}
