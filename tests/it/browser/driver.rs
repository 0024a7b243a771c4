//! A browser window: what a person can do in one, and what a test may look into.

use std::str::FromStr;
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::pictures::{self, Size};
use crate::harness::{PATIENCE, Server};

/// How soon a condition that did not hold is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// No sandbox, because containers seldom allow one; no calls home, because nobody asked for them.
const ARGUMENTS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=Translate,OptimizationHints,MediaRouter,AutofillServerCommunication",
];

/// One window of a browser with a profile of its own.
pub(super) struct Window {
    client: Client,
    url: String,
    size: Size,
}

/// A command that only this family of drivers knows.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// The driver's address.
fn driver() -> String {
    std::env::var("READYLOGIN_TEST_WEBDRIVER")
        .expect("READYLOGIN_TEST_WEBDRIVER names no driver: run tests/run browser")
}

impl Window {
    /// A window whose owner reads English.
    pub(super) async fn open(server: &Server, size: Size) -> Self {
        Self::open_in("en", server, size).await
    }

    /// A window whose owner reads this language, in Paris.
    pub(super) async fn open_in(language: &str, server: &Server, size: Size) -> Self {
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&argument| argument.to_owned()).collect();
        arguments.push(format!("--lang={language}"));
        let options = json!({"args": arguments, "prefs": {"intl.accept_languages": language}});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted.as_object().unwrap().clone());
        let client = builder.connect(&driver()).await.expect("the driver opens a browser");
        let window = Self { client, url: server.url().to_owned(), size };
        window.resize(size).await;
        window.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "Europe/Paris"})).await;
        window
    }

    /// The size it was opened with.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Opens a page of the server, or any address.
    pub(super) async fn goto(&self, path: &str) {
        let address = if path.starts_with('/') { format!("{}{path}", self.url) } else { path.to_owned() };
        self.client.goto(&address).await.unwrap();
    }

    pub(super) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    pub(super) async fn resize(&self, size: Size) {
        let (width, height) = size.pixels();
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Opens a copy of the page in a new tab, with what the tab has stored, and goes there.
    pub(super) async fn duplicate(&self) {
        let before = self.client.windows().await.unwrap();
        self.script("window.open(location.href)", &[]).await;
        let opened = async || self.client.windows().await.unwrap().into_iter().find(|w| !before.contains(w));
        let tab = self.until("a new tab", opened).await;
        self.client.switch_to_window(tab).await.unwrap();
    }

    /// Goes back to the first tab.
    pub(super) async fn first_tab(&self) {
        let tabs = self.client.windows().await.unwrap();
        self.client.switch_to_window(tabs[0].clone()).await.unwrap();
    }

    /// Light or dark, as the owner's system asks for it.
    pub(super) async fn colours(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// A command of the browser's own protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.client.issue_cmd(Extension { path: "goog/cdp/execute", body }).await.unwrap()
    }

    pub(super) async fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.client.execute(script, arguments.to_vec()).await.unwrap()
    }

    /// Waits until something can be seen, and returns its text, or what is typed in it.
    pub(super) async fn shows(&self, css: &str) -> String {
        self.until(&format!("{css} shows"), async || self.seen(css).await).await
    }

    /// Waits until something can be seen and says this, perhaps among other words.
    pub(super) async fn says(&self, css: &str, words: &str) {
        let holds = async || self.seen(css).await.filter(|text| text.contains(words));
        self.until(&format!("{css} says “{words}”"), holds).await;
    }

    /// Waits until something can't be seen any more.
    pub(super) async fn hides(&self, css: &str) {
        self.until(&format!("{css} hides"), async || self.seen(css).await.is_none().then_some(())).await;
    }

    /// Waits for the state of the page's connection.
    pub(super) async fn state(&self, state: &str) {
        self.shows(&format!("#status[data-state=\"{state}\"]")).await;
    }

    /// What can be seen at this moment, or nothing.
    pub(super) async fn seen(&self, css: &str) -> Option<String> {
        let script = "const found = document.querySelector(arguments[0]); \
                      return found?.checkVisibility() ? found.value || found.innerText || '' : null;";
        self.script(script, &[json!(css)]).await.as_str().map(str::to_owned)
    }

    pub(super) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into a field, in the place of what was there.
    pub(super) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(super) async fn choose(&self, css: &str, value: &str) {
        self.find(css).await.select_by_value(value).await.unwrap();
    }

    pub(super) async fn attribute(&self, css: &str, name: &str) -> String {
        self.find(css).await.attr(name).await.unwrap().unwrap_or_default()
    }

    async fn find(&self, css: &str) -> Element {
        self.shows(css).await;
        self.client.find(Locator::Css(css)).await.unwrap()
    }

    /// Presses a key, wherever the keyboard is.
    pub(super) async fn press(&self, key: Key) {
        self.strike(char::from(key)).await;
    }

    /// Types wherever the keyboard is.
    pub(super) async fn write(&self, text: &str) {
        for letter in text.chars() {
            self.strike(letter).await;
        }
    }

    async fn strike(&self, value: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Whether the keyboard is there.
    pub(super) async fn is_focused(&self, css: &str) -> bool {
        let script = "return document.activeElement.matches(arguments[0]);";
        self.script(script, &[json!(css)]).await == true
    }

    /// Waits until the keyboard is there.
    pub(super) async fn focuses(&self, css: &str) {
        self.until(&format!("{css} has the focus"), async || self.is_focused(css).await.then_some(())).await;
    }

    /// From now on the states of the page's connection are written down; see [`Window::went_through`].
    pub(super) async fn watch_states(&self) {
        let script = "const status = document.getElementById('status'); \
                      window.seenStates = []; \
                      new MutationObserver(() => window.seenStates.push(status.dataset.state)) \
                        .observe(status, { attributeFilter: ['data-state'] });";
        self.script(script, &[]).await;
    }

    /// Waits until the page has been in this state since [`Window::watch_states`].
    pub(super) async fn went_through(&self, state: &str) {
        let script = "return window.seenStates.includes(arguments[0]);";
        let holds = async || (self.script(script, &[json!(state)]).await == true).then_some(());
        self.until(&format!("the state {state} was there"), holds).await;
    }

    /// Waits for a condition; says what the page shows when it does not come.
    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if let Ok(found) = tokio::time::timeout(PATIENCE, looking).await {
            return found;
        }
        let page = self.script("return document.body.innerText", &[]).await;
        pictures::failure(self).await;
        panic!("not in time: {what}. The page: {page}\nIts console: {:?}", self.console().await);
    }

    /// Everything the browser has written to its console since it was last asked.
    pub(super) async fn console(&self) -> Vec<Value> {
        let entries = Extension { path: "se/log", body: json!({"type": "browser"}) };
        self.client.issue_cmd(entries).await.unwrap().as_array().unwrap().clone()
    }

    /// Nothing was blocked by the page's policy, and no script failed. A refused request or a lost connection is
    /// no fault of the page.
    pub(super) async fn expect_no_complaints(&self) {
        let console = self.console().await;
        let complaints: Vec<&Value> = console
            .iter()
            .filter(|entry| {
                let message = entry["message"].as_str().unwrap_or_default();
                let severe = entry["level"] == "SEVERE" && entry["source"] != "network";
                let lost = message.contains("WebSocket connection to");
                (severe && !lost)
                    || message.contains("Content Security Policy")
                    || message.contains("Uncaught")
            })
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// Ends the browser, which must have had nothing to complain about.
    pub(super) async fn close(self) {
        self.expect_no_complaints().await;
        self.client.close().await.unwrap();
    }
}
