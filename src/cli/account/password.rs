//! Where a command takes a password from: standard input or a file, never an argument that others could list.

use std::io::{BufRead as _, IsTerminal as _, Read};
use std::path::PathBuf;

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::cli::failure::Usage;
use crate::domain::secret::Password;

/// Far more than the longest password that is accepted; a wrong file is not read to its end.
const MAX_BYTES: u64 = 16 * 1024;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from standard input; a newline at its end does not count
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from this file; a newline at its end does not count
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    pub(super) fn read(&self) -> anyhow::Result<Password> {
        let Some(file) = &self.password_file else { return from_stdin() };
        let open = std::fs::File::open(file);
        let open = open.map_err(|e| Usage(format!("--password-file {}: {e}", file.display())))?;
        read(open).with_context(|| format!("--password-file {}", file.display()))
    }
}

fn from_stdin() -> anyhow::Result<Password> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return read(stdin.lock()).context("--password-stdin");
    }
    eprint!("Password (it shows as you type): ");
    let mut line = Zeroizing::new(String::new());
    stdin.lock().read_line(&mut line)?;
    Ok(without_newline(&line))
}

fn read(from: impl Read) -> anyhow::Result<Password> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Usage("the password must be UTF-8 text".to_owned()))?;
    Ok(without_newline(text))
}

fn without_newline(text: &str) -> Password {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Password::new(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_does_not_count() {
        let of = |text: &str| read(text.as_bytes()).unwrap().expose().to_owned();
        assert_eq!(of("pass word\n"), "pass word");
        assert_eq!(of("pass word\r\n"), "pass word");
        assert_eq!(of(" pass\nword\n\n"), " pass\nword\n");
        assert_eq!(of(""), "");
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert!(read([0xff, 0xfe].as_slice()).is_err());
    }
}
