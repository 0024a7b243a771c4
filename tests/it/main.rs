//! Everything that is tested against the real server; a file per promise or surface.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod alike;
mod counters;
mod door;
mod factors;
mod forged;
mod harness;
mod login;
mod once;
mod seats;
mod text;
mod tls;
mod tokens;
