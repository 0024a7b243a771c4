//! Everything that is tested against the real server; a file per promise or surface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that can't go on fails, and says what it got"
)]

mod alike;
mod answers;
mod bad_frames;
mod bad_input;
mod browser;
mod cli;
mod cors;
mod cost;
mod counters;
mod door;
mod durable;
mod factors;
mod forged;
mod harness;
mod letters;
mod login;
mod meanwhile;
mod once;
mod races;
mod resolved;
mod resume;
mod seats;
mod smtp;
mod socket;
mod text;
mod tidy;
mod tls;
mod tokens;
