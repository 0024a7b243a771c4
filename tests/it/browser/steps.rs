//! The steps of a login in two windows, in the words of the people who take them.

use readylogin::clock::Clock;

use super::driver::Window;
use super::pictures::Size;
use crate::harness::{PASSWORD, Person, Server};

/// A server on the system's clock, which is the browsers' too.
pub(super) async fn server(settings: &[(&str, &str)]) -> Server {
    Server::start_with(settings, Clock::system()).await
}

/// A phone's window that was set up on `/phone` and waits for logins.
pub(super) async fn phone_of(person: &Person, server: &Server) -> Window {
    let phone = Window::open(server, Size::Phone).await;
    phone.goto("/phone").await;
    phone.sign_in(person).await;
    phone.click("#codes-kept").await;
    phone.state("ready").await;
    phone
}

/// A desktop's window with the page that logs in, connected.
pub(super) async fn desktop(server: &Server) -> Window {
    let desktop = Window::open(server, Size::Desktop).await;
    desktop.goto("/").await;
    desktop.state("ready").await;
    desktop
}

impl Window {
    /// Fills `/phone`'s form and sends it.
    pub(super) async fn sign_in(&self, person: &Person) {
        self.fill("#email", &person.email).await;
        self.fill("#password", PASSWORD).await;
        self.fill("#device-name", "Ann's phone").await;
        self.click("#submit").await;
    }

    /// Fills the form of `/` and sends it.
    pub(super) async fn log_in(&self, person: &Person) {
        self.log_in_with(person, PASSWORD).await;
    }

    pub(super) async fn log_in_with(&self, person: &Person, password: &str) {
        self.fill("#email", &person.email).await;
        self.fill("#password", password).await;
        self.click("#submit").await;
    }

    /// Approves the one login that waits.
    pub(super) async fn approve(&self) {
        self.click(".ask .approve").await;
        self.hides(".ask").await;
    }

    /// The token that `/` shows in the end.
    pub(super) async fn token(&self) -> String {
        self.state("done").await;
        self.shows("#token").await
    }
}
