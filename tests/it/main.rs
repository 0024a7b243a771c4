//! Everything that is tested against the real server; a file per promise or surface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that can't go on fails, and says what it got"
)]

mod algorithms;
mod alike;
mod answers;
mod audit;
mod authenticator;
mod bad_bodies;
mod bad_frames;
mod bad_input;
mod browser;
mod chaos;
mod clean_up;
mod cli;
mod clients;
mod cluster;
mod code_owners;
mod compose;
mod cors;
mod cost;
mod counters;
mod device_login;
mod disk;
mod docs;
mod documents;
mod door;
mod durable;
mod echoes;
mod ending_devices;
mod export;
mod factor_counters;
mod factor_upkeep;
mod factors;
mod first_proof;
mod forged;
mod freshening;
mod frozen;
mod hang_up;
mod harness;
mod import;
mod letters;
mod limits;
mod login;
mod mail_accounts;
mod mail_auth;
mod mail_bodies;
mod mail_limits;
mod mail_queue;
mod mail_recovery;
mod mail_words;
mod mailed_codes;
mod meanwhile;
mod metrics;
mod nodes;
mod once;
mod over_is_over;
mod postgres_server;
mod races;
mod refresh;
mod refresh_families;
mod registration;
mod resolved;
mod resume;
mod revoked;
mod root;
mod seal;
mod seats;
mod sessions;
mod smtp;
mod socket;
mod step_value;
mod store_away;
mod text;
mod tidy;
mod timing;
mod tls;
mod tokens;
mod turns;
mod two_factor;
mod two_factor_races;
mod two_step;
mod typed_forms;
mod upgrade;
