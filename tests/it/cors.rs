//! Pages of other origins: those that the settings allow may call the routes, others may not.

use serde_json::json;

use crate::harness::{Answer, Server};

const APP: &str = "https://app.example";

async fn preflight(server: &Server, origin: &str) -> Answer {
    let request = server.http.request("OPTIONS", "/auth/p/login").header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "POST");
    Answer::read(request.header("Access-Control-Request-Headers", "content-type").send().await.unwrap()).await
}

#[tokio::test]
async fn an_allowed_page_may_log_in_and_import_the_client() {
    let server = Server::start(&[("SERVER__ALLOWED_ORIGINS", APP)]).await;
    let answer = preflight(&server, APP).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type,x-readylogin-step");
    assert_eq!(answer.header("access-control-allow-credentials"), "", "no cookie is ever needed");

    let ann = server.person("ann").await;
    let request =
        server.http.request("POST", "/auth/p/login").header("Origin", APP).json(&ann.body(&json!({})));
    let answer = Answer::read(request.send().await.unwrap()).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert!(answer.header("vary").contains("origin"));
    let request = server.http.request("GET", "/static/js/readylogin.js").header("Origin", APP);
    let answer = Answer::read(request.send().await.unwrap()).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
}

#[tokio::test]
async fn other_pages_are_told_nothing() {
    for settings in [&[("SERVER__ALLOWED_ORIGINS", APP)][..], &[]] {
        let server = Server::start(settings).await;
        for origin in ["https://evil.example", "null", "https://app.example.evil"] {
            let answer = preflight(&server, origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        }
    }
}
