//! Typed settings over the embedded, commented `config.toml`; read and validated once, at start.

mod read;
mod registration;
mod smtp;
mod urls;

pub(crate) use read::default_seal_file;
pub use registration::Registration;
pub use smtp::{Protection, Relay};
pub use urls::{BusUrl, StoreUrl};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

use crate::domain::account::Kind;
use crate::domain::factor::LockPolicy;
use crate::domain::mailbox::MailList;
use crate::domain::phone::Country;
use crate::domain::secret::MetricsToken;
use crate::domain::signing::Algorithm;

/// The commented file that holds every setting with its default.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The fewest characters of `metrics.token`.
const METRICS_TOKEN_MIN: usize = 16;

/// The file that is read from the working directory when `--config` names none.
pub const FILE_NAME: &str = "config.toml";

/// All settings; the comments stand in `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "every field is explained in config.toml, which shows its default")]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub bus: Bus,
    pub mail: Mail,
    pub accounts: Accounts,
    pub pairing: Pairing,
    pub ticket: Lifetime,
    pub device: Device,
    pub session: Session,
    pub refresh: Refresh,
    pub lock: Lock,
    pub otp: Lifetime,
    pub mail_code: MailCode,
    pub two_factor: TwoFactor,
    pub two_step: TwoStep,
    pub password: Password,
    pub socket: Socket,
    pub limits: Limits,
    pub jwt: Jwt,
    pub keys: Keys,
    pub audit: Audit,
    pub log: Log,
    pub metrics: Metrics,
    /// Settings that were given and that this release does not act on.
    #[serde(skip)]
    pub without_effect: Vec<String>,
}

macro_rules! sections {
    ($($name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            #[doc = concat!("Section `[", stringify!($name), "]` of `config.toml`.")]
            #[derive(Clone, Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[expect(missing_docs, reason = "every field is explained in config.toml, which shows its default")]
            pub struct $name { $($(#[$attr])* pub $field: $kind,)* }
        )*
    };
}

sections! {
    Server {
        #[serde(deserialize_with = "read::address")]
        listen: SocketAddr,
        #[serde(deserialize_with = "read::origin")]
        public_url: Option<String>,
        #[serde(deserialize_with = "read::origins")]
        allowed_origins: Vec<String>,
        #[serde(deserialize_with = "read::origins")]
        account_origins: Vec<String>,
        #[serde(deserialize_with = "read::networks")]
        trusted_proxies: Vec<ipnet::IpNet>,
        #[serde(deserialize_with = "read::span")]
        header_timeout: Duration,
        #[serde(deserialize_with = "read::span")]
        body_timeout: Duration,
        #[serde(deserialize_with = "read::span")]
        write_timeout: Duration,
        #[serde(deserialize_with = "read::limit")]
        per_source: u32,
        #[serde(deserialize_with = "read::size")]
        max_body: usize,
        #[serde(deserialize_with = "read::span")]
        drain: Duration,
        tls: Tls,
    }
    Tls {
        #[serde(deserialize_with = "read::optional")]
        cert: Option<PathBuf>,
        #[serde(deserialize_with = "read::optional")]
        key: Option<PathBuf>,
    }
    Store {
        url: StoreUrl,
        connections: u32,
    }
    Bus {
        url: BusUrl,
        #[serde(deserialize_with = "read::optional")]
        ca: Option<PathBuf>,
        #[serde(deserialize_with = "read::optional")]
        cert: Option<PathBuf>,
        #[serde(deserialize_with = "read::optional")]
        key: Option<PathBuf>,
        #[serde(deserialize_with = "read::optional")]
        credentials: Option<PathBuf>,
    }
    Mail {
        folder: PathBuf,
        #[serde(deserialize_with = "smtp::relay")]
        smtp_url: Option<Relay>,
        #[serde(deserialize_with = "read::optional")]
        smtp_ca: Option<PathBuf>,
        #[serde(deserialize_with = "read::mailbox")]
        from: Option<lettre::message::Mailbox>,
        #[serde(deserialize_with = "read::span")]
        timeout: Duration,
        #[serde(deserialize_with = "read::span")]
        give_up: Duration,
        queue: u32,
    }
    Audit {
        #[serde(deserialize_with = "read::span")]
        keep: Duration,
    }
    Accounts {
        #[serde(deserialize_with = "registration::read")]
        registration: Registration,
        #[serde(deserialize_with = "read::kinds")]
        kinds: Vec<Kind>,
        #[serde(deserialize_with = "read::country")]
        phone_country: Option<Country>,
    }
    Pairing {
        #[serde(deserialize_with = "read::span")]
        ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        ask_ttl: Duration,
        asks_per_account: u32,
        #[serde(deserialize_with = "read::span")]
        refusal_wait: Duration,
    }
    Lifetime {
        #[serde(deserialize_with = "read::span")]
        ttl: Duration,
    }
    Device {
        #[serde(deserialize_with = "read::span")]
        session_ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        max_ttl: Duration,
    }
    Session {
        #[serde(deserialize_with = "read::span")]
        ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        max_ttl: Duration,
    }
    Refresh {
        #[serde(deserialize_with = "read::span")]
        ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        grace: Duration,
        #[serde(deserialize_with = "read::span")]
        retry: Duration,
    }
    Lock {
        after: u32,
        #[serde(rename = "for", deserialize_with = "read::span")]
        block_for: Duration,
        disable_after: u32,
    }
    MailCode {
        #[serde(deserialize_with = "read::span")]
        ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        auth_ttl: Duration,
        #[serde(deserialize_with = "read::mail_list")]
        allow: MailList,
        #[serde(deserialize_with = "read::mail_list")]
        block: MailList,
        #[serde(deserialize_with = "read::limit")]
        per_source_10m: u32,
        #[serde(deserialize_with = "read::limit")]
        per_source_1d: u32,
        #[serde(deserialize_with = "read::limit")]
        per_address_5m: u32,
        #[serde(deserialize_with = "read::limit")]
        per_address_1d: u32,
        #[serde(deserialize_with = "read::limit")]
        total_1m: u32,
        #[serde(deserialize_with = "read::limit")]
        total_1h: u32,
        #[serde(deserialize_with = "read::limit")]
        total_1d: u32,
        #[serde(deserialize_with = "read::share")]
        network_share: f64,
        #[serde(deserialize_with = "read::share")]
        general_share: f64,
    }
    TwoFactor {
        #[serde(deserialize_with = "read::span")]
        otp_ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        cookie_ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        trust_ttl: Duration,
        cookie_prefix: String,
        issuer: String,
    }
    TwoStep {
        unknown_user: u16,
        step_value: StepValue,
    }
    Password {
        memory_kib: u32,
        iterations: u32,
        parallelism: u32,
        threads: usize,
        queue: usize,
    }
    Socket {
        #[serde(deserialize_with = "read::size")]
        max_message: usize,
        per_source: u32,
        total: usize,
        #[serde(deserialize_with = "read::span")]
        ping_every: Duration,
        #[serde(deserialize_with = "read::span")]
        first_message: Duration,
    }
    Limits {
        factor: f64,
    }
    Jwt {
        #[serde(deserialize_with = "read::algorithm")]
        algorithm: Algorithm,
        #[serde(deserialize_with = "read::optional")]
        issuer: Option<String>,
        audience: String,
        #[serde(deserialize_with = "read::span")]
        access_ttl: Duration,
        #[serde(deserialize_with = "read::span")]
        jwks_max_age: Duration,
    }
    Keys {
        #[serde(deserialize_with = "read::seal_keys")]
        seal: Option<crate::crypto::seal_keys::SealKeys>,
        #[serde(deserialize_with = "read::optional")]
        seal_file: Option<PathBuf>,
    }
    Metrics {
        #[serde(deserialize_with = "read::optional_address")]
        listen: Option<SocketAddr>,
        #[serde(deserialize_with = "read::optional")]
        token: Option<MetricsToken>,
    }
    Log {
        level: String,
        format: LogFormat,
    }
}

/// Whether the second call of `/users` must show the value that the first answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepValue {
    /// A few guesses of clients without it are judged.
    Optional,
    /// Clients without it are refused.
    Required,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A setting that can't be used; the text names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// A setting that looked right and turned out not to be, once it was used.
    pub(crate) fn unusable(setting: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("{setting}: {why}"))
    }
}

impl Config {
    /// Reads the defaults, then `file`, then the environment's `READYLOGIN_…__…` variables.
    ///
    /// # Errors
    /// The first setting that is unknown, of the wrong form, or not allowed together with another.
    pub fn load(
        file: Option<&std::path::Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let defaults = Figment::from(Toml::string(DEFAULTS));
        let mut figment = defaults.clone();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(Error(format!("{}: there is no such settings file", file.display())));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let (figment, unread) = read::environment(figment, &defaults, environment)?;
        let (figment, later) = read::later(figment)?;
        let mut config: Self = figment.extract().map_err(|e| Error(read::explain(e)))?;
        config.without_effect = [later, unread].concat();
        config.validate()?;
        config.accounts.check()?;
        Ok(config)
    }

    /// What must hold between settings.
    fn validate(&self) -> Result<(), Error> {
        let fail = |text: &str| Err(Error(text.to_owned()));
        let loopback = self.server.listen.ip().is_loopback();
        if self.server.tls.cert.is_some() != self.server.tls.key.is_some() {
            return fail("server.tls: cert and key come together");
        }
        if !loopback && self.server.tls.cert.is_none() && self.server.trusted_proxies.is_empty() {
            return fail(
                "server.listen: this is not a loopback address: set server.tls.cert and server.tls.key, \
                 or name the proxy that ends TLS in server.trusted_proxies",
            );
        }
        if !self.limits.factor.is_finite() || self.limits.factor < 0.0 {
            return fail("limits.factor: must be a number from 0 up");
        }
        if self.limits.factor == 0.0 && !loopback {
            return fail("limits.factor: 0 (no limits) is allowed on a loopback server.listen only");
        }
        if self.lock.after == 0 || self.lock.disable_after < self.lock.after {
            return fail("lock.after: must be at least 1 and at most lock.disable_after");
        }
        if argon2::Params::new(
            self.password.memory_kib,
            self.password.iterations,
            self.password.parallelism,
            None,
        )
        .is_err()
        {
            return fail(
                "password.memory_kib, .iterations, .parallelism: not parameters of argon2id (RFC 9106 §3.1)",
            );
        }
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.two_factor.cookie_prefix.is_empty() || !self.two_factor.cookie_prefix.chars().all(is_token) {
            return fail("two_factor.cookie_prefix: must be letters, digits, '-', '_' and '.'");
        }
        if self.two_factor.issuer.is_empty() || self.two_factor.issuer.contains(':') {
            return fail("two_factor.issuer: must be a name without a colon");
        }
        if ![401, 404].contains(&self.two_step.unknown_user) {
            return fail("two_step.unknown_user: must be 401 or 404");
        }
        if self.mail.queue == 0 {
            return fail("mail.queue: at least 1");
        }
        if self.metrics.token.as_ref().is_some_and(|token| token.expose().len() < METRICS_TOKEN_MIN) {
            return fail("metrics.token: at least 16 characters");
        }
        if self.metrics.listen.is_some_and(|at| !at.ip().is_loopback()) && self.metrics.token.is_none() {
            return fail("metrics.listen: this is not a loopback address: set metrics.token as well");
        }
        if self.bus.cert.is_some() != self.bus.key.is_some() {
            return fail("bus.cert and bus.key come together");
        }
        if self.store.connections == 0 || self.socket.max_message < 512 || self.server.max_body < 1024 {
            return fail(
                "store.connections: at least 1; socket.max_message: at least 512; server.max_body: at least 1 KiB",
            );
        }
        Ok(())
    }

    /// The consequences of failures (docs/protocol.md, "Failed second factors").
    pub fn lock_policy(&self) -> LockPolicy {
        let Lock { after, block_for, disable_after } = self.lock;
        LockPolicy { after, block_for, disable_after }
    }

    /// The kind whose path segment is `id`.
    pub fn kind(&self, id: &str) -> Option<&Kind> {
        self.accounts.kinds.iter().find(|kind| kind.id == id)
    }
}

#[cfg(test)]
mod tests;
