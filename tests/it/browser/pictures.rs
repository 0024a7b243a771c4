//! Pictures of the pages for people to look at, at both widths, light and dark; and what a machine can see in them.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::json;

use super::driver::Window;

/// How large a window is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Phone,
    Desktop,
    /// The narrowest that must do.
    Narrow,
}

impl Size {
    pub(super) fn pixels(self) -> (u32, u32) {
        match self {
            Self::Phone => (390, 844),
            Self::Desktop => (1280, 800),
            Self::Narrow => (320, 568),
        }
    }
}

/// Where pictures are kept, if anywhere.
fn folder() -> Option<PathBuf> {
    std::env::var_os("READYLOGIN_TEST_SCREENSHOTS").map(PathBuf::from)
}

impl Window {
    /// Checks the page at every width, light and dark, keeps the pictures, and returns to its own size.
    pub(super) async fn picture(&self, name: &str) {
        self.resize(Size::Narrow).await;
        self.expect_to_fit(name).await;
        for (width, picture_of) in [("phone", Size::Phone), ("desktop", Size::Desktop)] {
            self.resize(picture_of).await;
            self.expect_to_fit(name).await;
            for scheme in ["light", "dark"] {
                self.colours(scheme).await;
                self.expect_contrast(name).await;
                self.keep(&format!("{name}-{width}-{scheme}")).await;
            }
        }
        self.colours("light").await;
        self.resize(self.size()).await;
    }

    /// Keeps a picture of the page as it goes to paper.
    pub(super) async fn print(&self, name: &str) {
        self.keep(name).await;
    }

    /// Nothing is cut off or has to be scrolled to the side.
    async fn expect_to_fit(&self, name: &str) {
        let script = "const width = document.documentElement.clientWidth; \
            return [...document.body.querySelectorAll('*')] \
              .filter((e) => e.checkVisibility() && !e.closest('.visually-hidden')) \
              .filter((e) => e.getBoundingClientRect().right > width + 0.5) \
              .map((e) => `${e.tagName}#${e.id} ends at ${e.getBoundingClientRect().right} of ${width}`);";
        let cut = self.script(script, &[]).await;
        assert_eq!(cut, json!([]), "{name}");
    }

    /// Every text stands out from what is behind it, 4.5 to 1 (WCAG 2.2, 1.4.3).
    async fn expect_contrast(&self, name: &str) {
        let faint = self.script(include_str!("contrast.js"), &[]).await;
        assert_eq!(faint, json!([]), "{name}");
    }

    async fn keep(&self, name: &str) {
        let Some(folder) = folder() else { return };
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", whole).await;
        let data = picture["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        tokio::fs::write(folder.join(format!("{name}.png")), bytes).await.unwrap();
    }
}

/// What a page looked like when a test gave up on it.
pub(super) async fn failure(window: &Window) {
    let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
    window.keep(&format!("failed-{test}")).await;
}
