//! The pages in a real browser: what a person sees, types and presses. Run by `tests/run browser`.

mod driver;
mod keyboard;
mod language;
mod leaving;
mod login;
mod pictures;
mod policy;
mod reconnect;
mod scan;
mod steps;
mod typed_codes;
