//! The pages speak the reader's language, or the one that was chosen.

use super::driver::Window;
use super::pictures::Size;
use super::steps::server;

async fn language(page: &Window) -> String {
    page.script("return document.documentElement.lang", &[]).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_french_reader_reads_french_to_the_end() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = Window::open_in("fr", &server, Size::Phone).await;
    phone.goto("/phone").await;
    phone.says("#signin-title", "Préparer ce téléphone").await;
    assert_eq!(language(&phone).await, "fr");
    phone.sign_in(&ann).await;
    phone.says("#codes-title", "Vos codes de secours").await;
    phone.picture("french-1-backup-codes").await;
    phone.click("#codes-kept").await;

    let page = Window::open_in("fr", &server, Size::Desktop).await;
    page.goto("/").await;
    page.says("#login-title", "Connexion").await;
    page.says("#status", "Connecté").await;
    page.picture("french-2-form").await;
    page.log_in(&ann).await;
    page.says("#waiting-title", "Regardez votre téléphone").await;
    page.picture("french-3-asked").await;
    phone.says(".ask .approve", "Approuver").await;
    phone.picture("french-4-ask").await;
    phone.approve().await;
    page.says("#result-title", "Vous êtes connecté").await;
    page.picture("french-5-token").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_chosen_language_is_kept() {
    let server = server(&[]).await;
    let page = Window::open_in("de", &server, Size::Desktop).await;
    page.goto("/").await;
    page.says("#login-title", "Log in").await;
    assert_eq!(language(&page).await, "en", "German is not spoken here");
    page.click("#languages [lang=fr]").await;
    page.says("#login-title", "Connexion").await;
    page.goto("/phone").await;
    page.says("#signin-title", "Préparer ce téléphone").await;
    assert_eq!(language(&page).await, "fr");
    page.close().await;
}

#[tokio::test]
async fn no_text_is_missing_in_either_language() {
    let server = server(&[]).await;
    let page = Window::open(&server, Size::Desktop).await;
    page.goto("/").await;
    page.shows("#login-title").await;
    let script = "return Promise.all(['en', 'fr'].map((tag) => \
                  import(`/static/js/lang/${tag}.js`))).then(([en, fr]) => { \
                  const holes = (text) => (text.match(/\\{\\w+\\}/g) ?? []).sort().join(); \
                  const keys = new Set([...Object.keys(en.default), ...Object.keys(fr.default)]); \
                  return [...keys].filter((key) => !en.default[key] || !fr.default[key] \
                    || holes(en.default[key]) !== holes(fr.default[key])); });";
    assert_eq!(page.script(script, &[]).await, serde_json::json!([]));
    page.close().await;
}
