//! Pure data and rules: no tokio, no sqlx, no JSON, no clock, no randomness of its own.

pub mod account;
pub mod claims;
pub mod device;
pub mod factor;
pub mod ids;
pub mod language;
pub mod mailbox;
pub mod networks;
pub mod pairing;
pub mod phone;
pub mod secret;
pub mod signing;
pub mod source;
pub mod text;
pub mod time;
pub mod typed;
