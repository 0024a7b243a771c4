//! What the pages may load and run: their own files, nothing else.

use super::steps::{desktop, server};

#[tokio::test]
async fn an_injected_script_does_not_run() {
    let server = server(&[]).await;
    let page = desktop(&server).await;
    page.expect_no_complaints().await;
    let inject = "const script = document.createElement('script'); \
                  script.textContent = 'window.injected = true'; \
                  document.body.append(script); \
                  return window.injected ?? false;";
    assert_eq!(page.script(inject, &[]).await, false);
    let blocked = serde_json::to_string(&page.console().await).unwrap();
    assert!(blocked.contains("Content Security Policy"), "{blocked}");
    page.close().await;
}
