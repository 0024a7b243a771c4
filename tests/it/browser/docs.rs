//! The documents in a browser: they fit every width, are readable in both colour schemes, and need no script.

use fantoccini::key::Key;

use super::pictures::Size;
use super::steps::{desktop, server};

#[tokio::test]
async fn documents_fit_and_are_readable_at_every_width() {
    let server = server(&[]).await;
    let page = desktop(&server).await;
    page.click("footer [href='/docs']").await;
    page.says("h1", "Documents").await;
    page.picture("docs-1-index").await;
    for (path, heading, name) in
        [("/docs/security", "Security", "docs-2-security"), ("/docs/settings", "Settings", "docs-3-settings")]
    {
        page.goto(path).await;
        page.says("h1", heading).await;
        page.picture(name).await;
    }
    page.expect_no_complaints().await;
    page.close().await;
}

#[tokio::test]
async fn no_word_of_any_document_sticks_out_of_the_narrowest_screen() {
    let server = server(&[]).await;
    let page = desktop(&server).await;
    page.goto("/docs").await;
    let links =
        "return [...document.querySelectorAll('.documents a')].map((link) => link.getAttribute('href'))";
    let documents = page.script(links, &[]).await;
    page.resize(Size::Narrow).await;
    for path in documents.as_array().unwrap().iter().map(|path| path.as_str().unwrap()) {
        page.goto(path).await;
        page.shows("h1").await;
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.script(overflow, &[]).await, 0, "{path}");
    }
    page.close().await;
}

#[tokio::test]
async fn a_keyboard_skips_the_table_of_contents() {
    let server = server(&[]).await;
    let page = desktop(&server).await;
    page.goto("/docs/security").await;
    page.press(Key::Tab).await;
    assert_eq!(page.script("return document.activeElement.className", &[]).await, "skip");
    page.press(Key::Enter).await;
    page.press(Key::Tab).await;
    let inside = "return document.activeElement.closest('article') !== null";
    assert_eq!(page.script(inside, &[]).await, true);
    page.close().await;
}
