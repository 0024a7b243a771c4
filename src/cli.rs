//! The command line: which commands there are, where their settings come from, and how they end.

mod account;
mod bench;
mod client;
mod demo;
mod device;
mod failure;
mod frames;
mod keys;
mod login;
mod output;
mod serve;
mod temporary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::app;
use crate::auth::Auth;
use crate::clock::Clock;
use crate::config::{Config, FILE_NAME};

/// A self-hosted, realtime, WebSocket-first login broker: a browser waits on a socket, the owner's phone is asked,
/// the answer becomes a one-time code, the code becomes a JWT.
#[derive(Debug, Parser)]
#[command(
    name = "readylogin",
    version,
    after_help = "Without a command the server runs. Every setting can also be given as an environment variable:\n\
                  READYLOGIN_SERVER__LISTEN=127.0.0.1:9000 stands for listen in section [server].\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage or a setting that can't be used."
)]
struct Cli {
    /// The settings file [default: config.toml in the working directory, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; the same as giving no command
    #[command(long_about = "Runs the server; the same as giving no command.\n\n\
        The first line on standard output is `listening on http://ADDR`; the log goes to standard error. SIGTERM or \
        SIGINT lets requests and sockets finish and ends it; a second one ends it at once.")]
    Serve,
    Demo(demo::Args),
    /// Add, list, change and remove accounts
    #[command(subcommand)]
    Account(account::Command),
    /// List and revoke the devices of an account
    #[command(subcommand)]
    Device(device::Command),
    /// List, rotate and revoke the keys that sign tokens; replace the seal key
    #[command(subcommand)]
    Keys(keys::Command),
    Bench(bench::Args),
}

/// How long a command that is done waits for hashing threads that nobody needs any more.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// Parses the arguments, runs the command, tells on standard error what went wrong.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Nobody left to tell when even this can't be printed.
            let _ = told.print();
            return if told.use_stderr() { failure::WRONG_USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match block_on(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(error),
    }
}

fn block_on(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system gives no threads: raise the limit of processes (ulimit -u)")?;
    let outcome = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let file = cli.config.as_deref();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => Box::pin(serve::run(settings(file)?)).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Bench(args) => Box::pin(bench::run(args)).await,
        Command::Account(command) => {
            let command = command.checked()?;
            let auth = open(settings(file)?).await?;
            let outcome = command.run(&auth).await;
            app::close(auth).await;
            outcome
        }
        Command::Device(command) => {
            let auth = open(settings(file)?).await?;
            let outcome = command.run(&auth).await;
            app::close(auth).await;
            outcome
        }
        Command::Keys(command) => {
            let auth = open(settings(file)?).await?;
            let outcome = command.run(&auth).await;
            app::close(auth).await;
            outcome
        }
    }
}

/// The settings of a command: the defaults, the file, the environment.
fn settings(file: Option<&Path>) -> anyhow::Result<Config> {
    let default = Path::new(FILE_NAME);
    let file = file.or_else(|| default.is_file().then_some(default));
    // A variable that is not Unicode is no setting of ours, or one whose value is then refused by its name.
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    Ok(Config::load(file, environment)?)
}

/// Begins the log on standard error.
fn init_log(config: &Config) -> anyhow::Result<()> {
    Ok(app::init_log(&config.log).map_err(|error| failure::Usage(error.to_string()))?)
}

/// The store and the keys, for a command that works beside a running server.
async fn open(mut config: Config) -> anyhow::Result<Auth> {
    // A command's own output is its result; the log is for what goes wrong.
    "warn".clone_into(&mut config.log.level);
    init_log(&config)?;
    app::open_auth(Arc::new(config), Clock::system()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|told| told.kind())
    }

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_server_runs() {
        assert!(parse("readylogin").unwrap().command.is_none());
    }

    #[test]
    fn the_settings_file_may_stand_anywhere() {
        for line in [
            "readylogin --config a.toml serve",
            "readylogin account list --config a.toml",
            "readylogin --config a.toml",
        ] {
            assert_eq!(parse(line).unwrap().config.as_deref(), Some(Path::new("a.toml")), "{line}");
        }
    }

    #[test]
    fn a_password_is_never_an_argument_and_comes_from_one_place() {
        let add = "readylogin account add --kind p --email a@b.c";
        assert!(parse(&format!("{add} --password-stdin")).is_ok());
        assert!(parse(&format!("{add} --password-file f")).is_ok());
        for wrong in ["", " --password secret", " --password-stdin --password-file f"] {
            assert!(parse(&format!("{add}{wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_explains_itself() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
