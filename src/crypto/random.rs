//! Randomness from the operating system, in the few shapes the project needs.

use uuid::Uuid;

/// `N` random bytes. The system's source can't fail on the supported platforms once it is up; if it does,
/// going on would be worse than stopping.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "no randomness, no security: there is nothing sensible to do")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A random UUID (version 4).
pub(crate) fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}

/// `len` characters drawn evenly from `[a-zA-Z0-9]`.
pub(crate) fn alphanumeric(len: usize) -> String {
    const SET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = String::with_capacity(len);
    while text.len() < len {
        // 248 is the largest multiple of 62 in a byte: rejecting the rest keeps the draw even.
        let fresh =
            bytes::<16>().into_iter().filter(|b| *b < 248).map(|b| char::from(SET[usize::from(b % 62)]));
        text.extend(fresh.take(len - text.len()));
    }
    text
}
