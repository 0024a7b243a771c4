//! Seal keys as they are configured: one, or several during a rotation.

use zeroize::Zeroizing;

use super::seal::SealKey;

/// One seal key, or several while the first of them takes the others' place.
#[derive(Clone, Debug)]
pub struct SealKeys(pub(super) Vec<SealKey>);

impl SealKeys {
    /// What [`SealKeys::parse`] takes, in words.
    pub(crate) const FORM: &str =
        "must be 32 bytes in hexadecimal or base64, or several such keys separated by commas or spaces";

    /// Reads keys separated by commas or white space; at least one, and a key that stands twice counts once.
    pub fn parse(text: &str) -> Option<Self> {
        let mut keys: Vec<SealKey> = Vec::new();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            let key = SealKey::parse(word)?;
            if keys.iter().all(|known| known.fingerprint() != key.fingerprint()) {
                keys.push(key);
            }
        }
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whether there is nothing to go over to.
    pub(crate) fn is_single(&self) -> bool {
        self.0.len() == 1
    }

    /// A new key, and nothing else.
    pub(super) fn generate() -> Self {
        Self(vec![SealKey::generate()])
    }

    /// A new key in front of these.
    pub(crate) fn with_a_new_one_first(&self) -> Self {
        Self(std::iter::once(SealKey::generate()).chain(self.0.iter().cloned()).collect())
    }

    /// The first one alone.
    pub(crate) fn first_alone(&self) -> Self {
        Self(self.0.iter().take(1).cloned().collect())
    }

    /// As [`SealKeys::parse`] reads it, a line for each.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in &self.0 {
            text.push_str(&key.to_text());
            text.push('\n');
        }
        text
    }
}
