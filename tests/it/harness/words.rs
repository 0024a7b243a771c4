//! Words that a server has mailed, and how people ask for them and show them.

use serde_json::{Value, json};

use super::{Answer, Http, Mail, Server, letters_to};

/// The claims of an access token, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

impl Mail {
    /// Its three words, which stand alone on their line, in lower case.
    pub(crate) fn words(&self) -> Option<String> {
        let is_word = |word: &str| !word.is_empty() && word.chars().all(char::is_lowercase);
        let lines: Vec<&str> = self
            .text
            .lines()
            .filter(|line| line.split(' ').count() == 3 && line.split(' ').all(is_word))
            .collect();
        assert!(lines.len() <= 1, "{self:?}");
        lines.first().map(|line| (*line).to_owned())
    }
}

/// How many mails with words an address got.
pub(crate) async fn words_mailed(server: &Server, address: &str) -> usize {
    letters_to(server, address).await.iter().filter(|letter| letter.words().is_some()).count()
}

/// The words in the newest letter to an address that has some.
pub(crate) async fn mailed_words(server: &Server, address: &str) -> String {
    let letters = letters_to(server, address).await;
    letters
        .iter()
        .rev()
        .find_map(Mail::words)
        .unwrap_or_else(|| panic!("no words for {address}: {letters:?}"))
}

impl Http {
    /// Asks for words.
    pub(crate) async fn ask_words(&self, address: &str) -> Answer {
        self.post("/auth/send-mail-login-code-v2", &json!({"mail": address, "locale": "en"})).await
    }

    /// Shows words.
    pub(crate) async fn show_words(&self, words: &str, token: &str) -> Answer {
        let body = json!({"receivedCode": words, "mailLoginToken": token});
        self.post("/auth/sign-in-by-mail-code", &body).await
    }

    /// `POST /auth/mail-auth/{route}` with a proof and more.
    pub(crate) async fn mail_auth(&self, route: &str, proof: &str, more: &Value) -> Answer {
        let mut body = json!({"mailAuthToken": proof});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post(&format!("/auth/mail-auth/{route}"), &body).await
    }
}

impl Answer {
    /// A token of the answer, by its name; 32 letters and digits.
    #[track_caller]
    pub(crate) fn mail_token(self, name: &str) -> String {
        let token = self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned();
        assert!(token.len() == 32 && token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
        token
    }
}

impl Server {
    /// Asks for words and reads them: the token that waits for them, and the words.
    pub(crate) async fn words(&self, address: &str) -> (String, String) {
        let token = self.http.ask_words(address).await.expect(200).mail_token("mailLoginToken");
        (token, mailed_words(self, address).await)
    }

    /// A proof of the address.
    pub(crate) async fn mail_proof(&self, address: &str) -> String {
        let (token, words) = self.words(address).await;
        self.http.show_words(&words, &token).await.expect(200).mail_token("mailAuthToken")
    }
}
