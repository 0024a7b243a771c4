//! `account import`: accounts of another system, a line of JSON each, added in batches.

mod line;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;

use crate::auth::Auth;
use crate::auth::import::Imported;
use crate::cli::failure::{Usage, words};
use crate::cli::output;

/// What stands below the options in the command's help.
pub(super) const FORMAT: &str = "\
Each line is a JSON object such as

  {\"kind\":\"p\",\"email\":\"maria@example.org\",\"hash\":\"$2b$12$…\"}

and may also have name, phone, verified (true or false), language (en, de, fr, es) and created_at \
(2024-01-31T12:00:00Z). Hashes: argon2, bcrypt, scrypt, pbkdf2 with SHA-256 or SHA-512, as PHC strings or as passlib, \
Django and better-auth write them. Each is verified as it is and becomes argon2id at its owner's next login.

An address that has an account of its kind is left as it is. Lines that can't be read are told by number, the others \
are added all the same, and the exit code is then 1. A running server lets the new accounts log in at once.";

/// Accounts in one transaction: enough to share its cost, few enough to let others have their turn.
const BATCH: usize = 1000;
/// The longest line that is read.
const MAX_LINE: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    /// The file to read; `-` for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        let mut lines: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            let file = File::open(&self.file);
            let file = file.map_err(|e| Usage(format!("{}: {e}", self.file.display())))?;
            Box::new(BufReader::with_capacity(1 << 20, file))
        };
        let mut run = Run::new(auth, self.dry_run);
        let outcome = run.all(&mut lines).await;
        run.clear_progress();
        output::line(&run.summary())?;
        outcome?;
        match run.refused {
            0 => Ok(()),
            1 => anyhow::bail!("a line was refused; it is named above"),
            n => anyhow::bail!("{n} lines were refused; they are named above"),
        }
    }
}

/// An import under way.
struct Run<'a> {
    auth: &'a Auth,
    dry_run: bool,
    /// Whether somebody watches.
    is_watched: bool,
    /// Accounts on their way, with the numbers of their lines.
    batch: Vec<(u64, Imported)>,
    /// The line that each address was first in.
    first: HashMap<(String, String), u64>,
    line: u64,
    added: u64,
    taken: u64,
    refused: u64,
}

impl<'a> Run<'a> {
    fn new(auth: &'a Auth, dry_run: bool) -> Self {
        Self {
            auth,
            dry_run,
            is_watched: std::io::stderr().is_terminal(),
            batch: Vec::with_capacity(BATCH),
            first: HashMap::new(),
            line: 0,
            added: 0,
            taken: 0,
            refused: 0,
        }
    }

    async fn all(&mut self, lines: &mut dyn BufRead) -> anyhow::Result<()> {
        let mut text = Vec::new();
        loop {
            self.line += 1;
            let read = next(lines, &mut text).with_context(|| format!("line {}", self.line))?;
            let outcome = match read {
                Next::End => break,
                Next::TooLong => Err("is longer than 64 KiB".to_owned()),
                Next::Line if text.iter().all(u8::is_ascii_whitespace) => continue,
                Next::Line => line::read(&text, &self.auth.config),
            };
            match outcome {
                Ok(account) => self.take(account),
                Err(why) => self.refuse(&why),
            }
            if self.batch.len() >= BATCH {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    fn take(&mut self, account: Imported) {
        match self.first.entry((account.kind.clone(), account.email.key().to_owned())) {
            Entry::Occupied(first) => {
                let why = format!("email: stands in line {} already", first.get());
                self.refuse(&why);
            }
            Entry::Vacant(free) => {
                free.insert(self.line);
                self.batch.push((self.line, account));
            }
        }
    }

    fn refuse(&mut self, why: &str) {
        self.refused += 1;
        self.tell(self.line, why);
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let named = |(line, account): &(u64, Imported)| {
            (*line, format!("{} {} has an account already", account.kind, account.email.as_given()))
        };
        let names: Vec<_> = batch.iter().map(named).collect();
        let accounts = batch.into_iter().map(|(_, account)| account).collect();
        let outcome = if self.dry_run {
            self.auth.try_import(accounts).await
        } else {
            self.auth.import(accounts).await
        };
        for (added, (line, name)) in outcome.map_err(words)?.into_iter().zip(names) {
            if added {
                self.added += 1;
            } else {
                self.taken += 1;
                self.tell(line, &name);
            }
        }
        if self.is_watched {
            eprint!("\r{} lines", self.line);
        }
        Ok(())
    }

    fn tell(&self, line: u64, what: &str) {
        self.clear_progress();
        eprintln!("line {line}: {what}");
    }

    fn clear_progress(&self) {
        if self.is_watched {
            eprint!("\r\x1b[K");
        }
    }

    fn summary(&self) -> String {
        let verb = if self.dry_run { "would be added" } else { "added" };
        let Self { added, taken, refused, .. } = self;
        format!("{added} {verb}, {taken} skipped because the address has an account, {refused} refused")
    }
}

enum Next {
    Line,
    TooLong,
    End,
}

/// Reads the next line into `text`, and of one that is too long only the beginning.
fn next(lines: &mut dyn BufRead, text: &mut Vec<u8>) -> std::io::Result<Next> {
    text.clear();
    let read = (&mut *lines).take(MAX_LINE).read_until(b'\n', text)?;
    if read == 0 {
        return Ok(Next::End);
    }
    if text.ends_with(b"\n") || (read as u64) < MAX_LINE {
        return Ok(Next::Line);
    }
    lines.skip_until(b'\n')?;
    Ok(Next::TooLong)
}
