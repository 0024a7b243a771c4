//! The pages in a real browser: what a person sees, types and presses. Run by `tests/run browser`.

mod account;
mod docs;
mod driver;
mod factors;
mod keyboard;
mod language;
mod leaving;
mod login;
mod mail;
mod own_data;
mod pictures;
mod policy;
mod proofs;
mod reconnect;
mod scan;
mod steps;
mod typed_codes;
