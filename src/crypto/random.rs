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
    drawn(len, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
}

/// `len` characters drawn evenly from `[a-zA-Z0-9]` without those that people take for each other: 5.8 bits each.
pub(crate) fn readable(len: usize) -> String {
    drawn(len, b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")
}

/// A number below `bound`, which is not zero; each as likely as the next.
pub(crate) fn below(bound: usize) -> usize {
    // Rejecting what is beyond the largest multiple keeps the draw even.
    let limit = usize::MAX - usize::MAX % bound;
    loop {
        let fresh = usize::from_ne_bytes(bytes());
        if fresh < limit {
            return fresh % bound;
        }
    }
}

fn drawn(len: usize, set: &[u8]) -> String {
    // Rejecting what is beyond the largest multiple keeps the draw even.
    let limit = 256 - 256 % set.len();
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let fresh = bytes::<16>().into_iter().map(usize::from).filter(|byte| *byte < limit);
        let fresh = fresh.map(|byte| char::from(set[byte % set.len()]));
        text.extend(fresh.take(len - text.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_a_bound_is_any_of_them_and_no_other() {
        for bound in [1, 2, 3, 10] {
            let mut seen = vec![false; bound];
            (0..1000).for_each(|_| seen[below(bound)] = true);
            assert!(seen.iter().all(|seen| *seen), "{bound}: {seen:?}");
        }
    }
}
