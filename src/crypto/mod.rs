//! Cryptography: password hashes, signed tokens and their keys, randomness, and what is sealed at rest.

pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod password;
pub(crate) mod random;
pub(crate) mod root;
pub mod seal;
pub(crate) mod seal_file;
pub mod seal_keys;
pub mod seals;
pub(crate) mod totp;
pub mod words;
