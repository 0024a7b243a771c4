//! Where the store and the bus are, as settings; whoever prints them sees no password.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the truth is kept. Its `Debug` shows no password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// A file of its own.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by its URL.
    Postgres(String),
}

/// How nodes reach each other. Its `Debug` shows no password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub enum BusUrl {
    /// There is one node only.
    Local,
    /// Over these NATS servers.
    Nats(Vec<async_nats::ServerAddr>),
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url));
        }
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err("must be sqlite://PATH or postgres://…".to_owned()),
        }
    }
}

impl TryFrom<String> for BusUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        if url == "local" {
            return Ok(Self::Local);
        }
        let is_one = |url: &str| url.starts_with("nats://") || url.starts_with("tls://");
        // Not what the parser says of it: it may quote a password.
        let read = |url: &str| url.parse().ok().filter(|_| is_one(url));
        let servers = url.split(',').map(|url| read(url.trim())).collect::<Option<Vec<_>>>();
        let form = "must be \"local\", or nats://host:port or tls://host:port, several separated by commas";
        servers.map(Self::Nats).ok_or_else(|| form.to_owned())
    }
}

impl std::fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Nats(_) => "nats://…",
        })
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}
