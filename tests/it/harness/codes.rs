//! Codes that a server has mailed, and how people ask for them.

use serde_json::{Value, json};

use super::{Mail, PATIENCE, Person, Server, mails, text_pairs};

impl Mail {
    /// Its only run of six digits, which stands alone on its line.
    pub(crate) fn code(&self) -> Option<String> {
        let runs: Vec<&str> =
            self.text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 6).collect();
        assert!(runs.len() <= 1, "{self:?}");
        let code = runs.first()?;
        assert!(self.text.lines().any(|line| line == *code), "{self:?}");
        Some((*code).to_owned())
    }
}

/// Every letter to an address, oldest first, once nothing waits for delivery any more.
pub(crate) async fn letters_to(server: &Server, address: &str) -> Vec<Mail> {
    let delivered = async {
        while !text_pairs(server, "SELECT recipient, subject FROM outbox").await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.expect("the letters are delivered in time");
    let mut found = mails(server);
    found.retain(|mail| mail.to.eq_ignore_ascii_case(address));
    found
}

/// The code in the newest letter to an address that has one.
pub(crate) async fn mailed_code(server: &Server, address: &str) -> String {
    let letters = letters_to(server, address).await;
    letters.iter().rev().find_map(Mail::code).unwrap_or_else(|| panic!("no code for {address}: {letters:?}"))
}

/// Another code of the same form.
pub(crate) fn wrong(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

impl Person {
    /// Turns mailed codes on in a session that has just proven something; returns the answer.
    pub(crate) async fn turn_mail_on(&self, server: &Server, token: &str) -> Value {
        let body = json!({"method_2fa": "EMAIL"});
        server.http.post_as(token, "/2fa/method/email", &body).await.expect(200).json()
    }

    /// Asks for a login code and reads it.
    pub(crate) async fn login_code(&self, server: &Server) -> String {
        let asked = server.http.post("/auth/sending_email", &json!({"email": self.email})).await;
        assert_eq!(asked.expect(200).json(), json!({"email": "send"}));
        mailed_code(server, &self.email).await
    }
}
