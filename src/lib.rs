//! ReadyLogin, a realtime, WebSocket-first login broker.
//!
//! A browser opens a socket and waits; somebody asks for the login; the owner's phone answers; the answer turns into a
//! one-time code on the browser's socket; a thin HTTP endpoint exchanges it for a JWT.
//!
//! # The map
//!
//! Each module may use only those above it in this list; `ws` and `http` never use each other. A test holds the list
//! against the code.
//!
//! | module | what lives there | what it knows nothing of |
//! |---|---|---|
//! | [`domain`] | ids, accounts, factors, the pairing's state machine, claims: data and rules | tokio, SQL, JSON, the clock |
//! | [`clock`] | the only reader of time | |
//! | [`crypto`] | password hashes, JWT and keys, randomness, sealed secrets | the store |
//! | [`config`] | typed settings over the embedded `config.toml` | |
//! | `turns` | fair turns at what all requests share, by network and by account | what is behind them |
//! | `store` | SQLite or PostgreSQL, one file of SQL per aggregate | use cases |
//! | `mail` | letters to owners and their delivery out of the outbox | use cases |
//! | `auth` | the use cases, the one mint, `auth::Error` with stable codes | HTTP, sockets |
//! | `bus` | how nodes wake each other up | who listens |
//! | `broker` | the browsers that wait and the phones that answer, in memory | JSON, HTTP |
//! | `net` | listener, TLS, the client's address | accounts |
//! | `ws` | `GET /ws`: parked sockets and all of their JSON | |
//! | `http` | the routes, the pages, errors as responses | |
//! | [`app`] | builds the parts; owns the task tracker and the stop signal | |
//! | [`cli`] | the commands | |
//! | `fuzz` | with the feature of that name and in tests: what fuzz targets run | |
//!
//! # What holds everywhere
//!
//! - A token comes from `auth/mint.rs` alone, in one transaction that checks everything.
//! - The store decides; mailboxes and the bus only wake somebody up.
//! - A secret has a type without `Display`; time and chance are arguments in [`domain`].
//! - Registration is a guard: who drops it is deregistered.

pub mod app;
mod auth;
mod broker;
mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod domain;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod http;
mod mail;
mod net;
mod store;
mod turns;
mod ws;
