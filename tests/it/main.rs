//! Everything that is tested against the real server; a file per promise or surface.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod browser;
mod harness;
mod login;
