//! The server as a process of its own: for what a signal does, and for commands.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{Http, PATIENCE, Socket};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_readylogin");

/// A running `readylogin`.
pub(crate) struct Process {
    child: Child,
    /// Held, so that the process can go on printing.
    _lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
    pub(crate) http: Http,
}

impl Process {
    /// Starts the command and waits for its `listening on` line. `settings` are whole environment variables.
    pub(crate) async fn start(arguments: &[&str], settings: &[(String, String)], folder: &Path) -> Self {
        Self::listening(command(arguments, settings, folder)).await
    }

    /// The same with standard error in a file.
    pub(crate) async fn start_logging(
        arguments: &[&str],
        settings: &[(String, String)],
        folder: &Path,
        log: &Path,
    ) -> Self {
        let mut command = command(arguments, settings, folder);
        command.stderr(std::fs::File::create(log).unwrap());
        Self::listening(command).await
    }

    /// The same with so many file handles and not one more.
    pub(crate) async fn start_with_files(files: u32, settings: &[(String, String)], folder: &Path) -> Self {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files} && exec {BINARY:?} serve")]);
        Self::listening(placed(limited, settings, folder)).await
    }

    /// The same, again and again until it comes up: its store may be away just now.
    pub(crate) async fn start_patiently(settings: &[(String, String)], folder: &Path) -> Self {
        let patience = tokio::time::timeout(PATIENCE * 2, async {
            loop {
                let mut command = command(&["serve"], settings, folder);
                let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
                if let Ok(Some(first)) = lines.next_line().await {
                    let url = first.strip_prefix("listening on ").expect("a first line").to_owned();
                    return Self { child, _lines: lines, http: Http::new(&url), url };
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
        patience.await.expect("the server comes up in time")
    }

    async fn listening(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a first line in time").unwrap();
        let first = first.expect("a first line");
        let url =
            first.strip_prefix("listening on ").unwrap_or_else(|| panic!("first line: {first}")).to_owned();
        Self { child, _lines: lines, http: Http::new(&url), url }
    }

    pub(crate) async fn socket(&self) -> Socket {
        Socket::open(&self.url).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// `kill -9`: no chance to say goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal by name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().await.unwrap().success());
    }

    /// Waits for the end and returns the exit code.
    pub(crate) async fn wait(mut self) -> Option<i32> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time");
        status.unwrap().code()
    }
}

/// What a command that ends by itself left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end with this standard input.
pub(crate) async fn run(
    arguments: &[&str],
    settings: &[(String, String)],
    folder: &Path,
    input: &str,
) -> Finished {
    let mut command = command(arguments, settings, folder);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no input may be gone already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output =
        tokio::time::timeout(PATIENCE * 3, child.wait_with_output()).await.expect("it ends in time").unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `serve`, which must fail, to its end: as the last words of a command of this machine.
pub(crate) async fn serve_under(words: &[&str], settings: &[(String, String)], folder: &Path) -> Finished {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args([BINARY, "serve"]);
    let command = placed(command, settings, folder).output();
    let output = tokio::time::timeout(PATIENCE, command).await.expect("it ends in time").unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(arguments: &[&str], settings: &[(String, String)], folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    placed(command, settings, folder)
}

/// A command in a folder, with these settings and no others.
fn placed(mut command: Command, settings: &[(String, String)], folder: &Path) -> Command {
    command.current_dir(folder).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("READYLOGIN_")) {
        command.env_remove(name);
    }
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}
