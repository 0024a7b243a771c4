//! Builds the parts, owns the task tracker and the stop signal.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use lettre::Address;
use lettre::message::Mailbox;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::broker::Broker;
use crate::bus::{Bus, Nats};
use crate::clock::Clock;
use crate::config::{self, BusUrl, Config, Log, LogFormat, default_seal_file};
use crate::crypto::seals::Seals;
use crate::http::{self, Http};
use crate::mail::Courier;
use crate::net::{self, Connections, Origins};
use crate::store::{self, Store};
use crate::ws::{self, Front};

/// How long the store may take for what is written last: one that does not answer is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A server that is bound and serves.
pub struct Server {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    url: String,
    auth: Arc<Auth>,
    broker: Arc<Broker>,
    tracker: TaskTracker,
    /// No new connections; those there are finish.
    stop: CancellationToken,
    /// The last connection is gone: what looks after them ends too.
    ended: CancellationToken,
    failed: CancellationToken,
}

impl Server {
    /// Binds `server.listen`, opens the store and begins to serve.
    ///
    /// # Errors
    /// The address is taken, the store is away or sealed under another key, a TLS file can't be read.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let listener = bind(config.server.listen, "server.listen").await?;
        Self::serve(config, clock, listener).await
    }

    /// Serves on a listener that is bound already.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn serve(config: Config, clock: Clock, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let tls = match (&config.server.tls.cert, &config.server.tls.key) {
            (Some(cert), Some(key)) => Some(net::acceptor(cert, key)?),
            _ => None,
        };
        let bound = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
        let url = config.server.public_url.clone().unwrap_or_else(|| bound.clone());
        let config = Arc::new(config);
        let auth = Arc::new(open(config.clone(), clock, &url).await?);
        auth.begin_to_serve().await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), store = ?config.store.url, public_url = url, "serving");
        let bus = match &config.bus.url {
            BusUrl::Local => Bus::local(),
            BusUrl::Nats(servers) => {
                Bus::over(Nats::connect(&config.bus, servers, auth.root().clone()).await?)
            }
        };
        let broker = Broker::new(auth.clone(), &bus);
        let (tracker, stop, ended) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let http = parts(auth.clone(), broker.clone(), &url, address);
        let router = router(&config, &http, &tracker);
        let metrics = match config.metrics.listen {
            Some(at) => Some(bind(at, "metrics.listen").await?),
            None => None,
        };
        let connections = Connections {
            tls,
            header_timeout: config.server.header_timeout,
            write_timeout: config.server.write_timeout,
            crowd: net::Crowd::new(
                auth.limits.scaled(config.server.per_source),
                net::free_connections(),
                config.server.trusted_proxies.clone().into(),
            ),
            tracker: tracker.clone(),
            stop: stop.clone(),
        };
        let server = Self {
            address,
            metrics: metrics.as_ref().map(TcpListener::local_addr).transpose()?,
            url: bound,
            auth,
            broker,
            tracker,
            stop,
            ended,
            failed: CancellationToken::new(),
        };
        if let Some(listener) = metrics {
            // Until the end, so that a monitor sees the drain.
            let how = Connections { tls: None, stop: server.ended.clone(), ..connections.clone() };
            let alone = http::with_common_headers(http::metrics_alone(http), false);
            server.essential("metrics", &server.ended, net::serve(listener, alone, how));
        }
        server.essential("accept loop", &server.stop, net::serve(listener, router, connections));
        server.look_after(bus);
        Ok(server)
    }

    /// Starts what goes on beside requests and sockets.
    fn look_after(&self, bus: Bus) {
        let mailer = self.auth.clone();
        self.essential("courier", &self.ended, async move {
            mailer.courier.run(&mailer.store, &mailer.clock).await
        });
        self.essential("bus", &self.ended, async move { bus.run().await });
        let counter = self.auth.clone();
        self.essential("limits", &self.ended, async move { counter.limits.share(&counter.store).await });
        let [sweeper, keeper, cleaner] = std::array::from_fn(|_| self.broker.clone());
        self.essential("sweep", &self.ended, async move { sweeper.sweep().await });
        self.essential("housekeeping", &self.ended, async move { keeper.keep_house().await });
        self.essential("clean-up", &self.ended, async move { cleaner.clean_up().await });
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that serves metrics and nothing else, if there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The URL of that address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until `stop` resolves, then drains: new sockets are refused, waiting ones told to come back, requests
    /// finished.
    ///
    /// # Errors
    /// A part that the server can't do without has died.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let died = tokio::select! {
            () = stop => false,
            () = self.failed.cancelled() => true,
        };
        self.drain().await;
        anyhow::ensure!(!died, "a part of the server has died; the log says which");
        Ok(())
    }

    async fn drain(self) {
        let patience = self.auth.config.server.drain;
        let whole = async {
            // Meanwhile requests are served, and balancers hear that this node is not ready.
            self.broker.drain(patience / 2).await;
            self.stop.cancel();
            self.tracker.close();
            self.tracker.wait().await;
        };
        if tokio::time::timeout(patience, whole).await.is_err() {
            self.stop.cancel();
            tracing::warn!("some connections did not finish in time");
        }
        self.ended.cancel();
        match tokio::time::timeout(LAST_WORDS, self.leave_to_others()).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(error = %e, "what was counted last is lost"),
            Err(_) => tracing::warn!("what was counted last is lost: the store does not answer"),
        }
        self.auth.store.close().await;
    }

    /// What other nodes, and the next start, go on with.
    async fn leave_to_others(&self) -> Result<(), store::Error> {
        self.auth.limits.flush(&self.auth.store).await?;
        self.auth.courier.let_go(&self.auth.store, self.auth.clock.now()).await?;
        self.broker.end_clean_up().await
    }

    /// Spawns what the server can't do without: when it ends before `end`, the server stops.
    fn essential(
        &self,
        name: &'static str,
        end: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (end, failed) = (end.clone(), self.failed.clone());
        let work = tokio::spawn(task);
        tokio::spawn(async move {
            let abort = work.abort_handle();
            tokio::select! {
                () = end.cancelled() => abort.abort(),
                ended = work => {
                    if !end.is_cancelled() {
                        tracing::error!(part = name, panicked = ended.is_err(), "an essential part has died");
                        failed.cancel();
                    }
                }
            }
        });
    }
}

async fn bind(at: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(at).await.with_context(|| format!("{setting}: {at} can't be bound"))
}

/// Opens the store and the keys for a command.
pub(crate) async fn open_auth(config: Arc<Config>, clock: Clock) -> anyhow::Result<Auth> {
    let url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{}", config.server.listen));
    open(config, clock, &url).await
}

/// Closes what [`open_auth`] opened, once everything is committed.
pub(crate) async fn close(auth: Auth) {
    auth.store.close().await;
}

/// Sends log lines to standard error.
///
/// # Errors
/// `log.level` is no level and no filter.
pub fn init_log(log: &Log) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    // A lone word that is no level would be read as the name of a part, and silence all others.
    let is_word = log.level.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_level =
        ["error", "warn", "info", "debug", "trace", "off"].iter().any(|l| log.level.eq_ignore_ascii_case(l));
    anyhow::ensure!(
        !is_word || is_level,
        "log.level: {:?} is none of error, warn, info, debug, trace",
        log.level
    );
    let filter =
        EnvFilter::try_new(&log.level).with_context(|| format!("log.level: {:?} is no level", log.level))?;
    // Whatever the filter says: below this level tungstenite writes down whole frames, passwords and tokens in them, and
    // the bus's client its URL with the password.
    let tells_secrets = |target: &str| target.contains("tungstenite") || target.starts_with("async_nats");
    let tells_none =
        filter_fn(move |event| !tells_secrets(event.target()) || *event.level() <= tracing::Level::INFO);
    let kept = tracing_subscriber::registry().with(filter).with(tells_none);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second call, as in tests, keeps the first one's choice.
    let _ = match log.format {
        LogFormat::Json => kept.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => kept.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
    };
    Ok(())
}

async fn open(config: Arc<Config>, clock: Clock, url: &str) -> anyhow::Result<Auth> {
    let store = Store::open(&config.store.url, config.store.connections, config.mail.queue)
        .await
        .with_context(|| format!("store.url: {:?} can't be opened", config.store.url))?;
    let seal = match &config.keys.seal {
        Some(keys) => Seals::given(keys.clone()),
        None => seal_from_file(&config, &store).await?,
    };
    let issuer = config.jwt.issuer.clone().unwrap_or_else(|| url.to_owned());
    let courier = Courier::new(&config.mail, sender(&config, url)?)?;
    Ok(Auth::open(config, clock, store, seal, issuer, courier).await?)
}

/// Who writes letters: as the settings say, or `no-reply` at the public URL's host.
fn sender(config: &Config, url: &str) -> anyhow::Result<Mailbox> {
    if let Some(from) = &config.mail.from {
        return Ok(from.clone());
    }
    let host = url.split("://").nth(1).and_then(|rest| rest.split([':', '/']).next()).unwrap_or_default();
    let address = Address::new("no-reply", host).or_else(|_| Address::new("no-reply", "localhost"))?;
    Ok(Mailbox::new(Some("ReadyLogin".to_owned()), address))
}

/// Reads the seal keys' file, or makes it for a store in which nothing is sealed yet.
async fn seal_from_file(config: &Config, store: &Store) -> anyhow::Result<Seals> {
    let default = default_seal_file(&config.store.url);
    let file: &Path = config.keys.seal_file.as_ref().unwrap_or(&default);
    let unusable = |why: &dyn std::fmt::Display| {
        config::Error::unusable("keys.seal_file", format_args!("{}: {why}", file.display()))
    };
    let is_sealed = store.read(|tx| Box::pin(async move { crate::store::keys::is_sealed(tx).await })).await?;
    if is_sealed && !file.exists() {
        return Err(unusable(&"missing, and the store is sealed with it: put it back from its backup").into());
    }
    Seals::from_file(file).map_err(|e| unusable(&e).into())
}

/// What the routes share.
fn parts(auth: Arc<Auth>, broker: Arc<Broker>, url: &str, address: SocketAddr) -> Http {
    let config = auth.config.clone();
    let listed = |allowed: &[String]| Arc::new(origins(&config, url, address, allowed));
    Http {
        public_url: url.into(),
        trusted_proxies: config.server.trusted_proxies.clone().into(),
        origins: listed(&config.server.allowed_origins),
        account_origins: listed(&config.server.account_origins),
        auth,
        broker,
    }
}

fn origins(config: &Config, url: &str, address: SocketAddr, allowed: &[String]) -> Origins {
    let is_local = config.server.public_url.is_none() && address.ip().is_loopback();
    // Without a public URL, `localhost` in the address bar means the same loopback listener.
    let alias = is_local
        .then(|| format!("{}://localhost:{}", url.split(':').next().unwrap_or("http"), address.port()));
    Origins::new(std::iter::once(url.to_owned()).chain(alias), allowed)
}

fn router(config: &Config, http: &Http, tracker: &TaskTracker) -> axum::Router {
    let front = Front {
        broker: http.broker.clone(),
        origins: http.origins.clone(),
        trusted_proxies: http.trusted_proxies.clone(),
        tracker: tracker.clone(),
        // Those who wait must still be able to exchange their code, so sockets may not take the last handle.
        total: (config.socket.total > 0).then_some(config.socket.total).or_else(net::free_files),
        origin_logged: Arc::new(AtomicU64::new(u64::MAX)),
    };
    let allowed = &config.server.allowed_origins;
    let routes = http::with_cors(http::routes(http.clone()).merge(ws::routes(front)), allowed);
    let routes = routes.merge(http::two_factor_routes(http.clone(), allowed));
    let routes = http::with_common_headers(routes, http.public_url.starts_with("https://"));
    http::with_turns(routes, http.trusted_proxies.clone())
}
