//! `keys`: the keys that sign tokens, told without their private halves, and the key that seals what is in the store.

use anyhow::bail;
use serde_json::json;

use super::failure::{Usage, words};
use super::output;
use crate::auth::roots::RootChange;
use crate::auth::{self, Auth, KeyChange};
use crate::domain::signing::{self, Algorithm, Turn};
use crate::domain::time::Timestamp;
use crate::store::keys::SigningKey;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show all keys: which one signs, which comes next, which only verify
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the next key; it signs once every relying party has had the time to fetch it
    #[command(
        long_about = "Makes the next signing key, of the algorithm that jwt.algorithm says. It is published at \
        once and signs after jwt.jwks_max_age, when every relying party has had the time to fetch it. The key before it \
        goes on verifying.\n\n\
        With --seal it is the seal key that is replaced, also while servers run: everything that is sealed in the store \
        is sealed again under a new key, which then stands alone in keys.seal_file. What a crash interrupts opens the \
        store all the same, and is finished by running the command again. A backup of the database still needs the seal \
        key of its time.\n\n\
        When the key stands in keys.seal, or when several machines have a file each: put a new key in front of the old \
        one, separated by a comma, on every machine, and restart the servers one after another; run this command once; \
        then take the old key away everywhere.\n\n\
        With --root it is the root key that is replaced: codes of approvals, mailed codes, backup codes, resume secrets \
        and the nodes' messages are derived from it. Running servers notice by themselves, nobody is logged out, and what \
        the old key made stays good until its own end; then the old key is deleted. Unused backup codes have no end: the \
        old key stays until their owners have made new ones. Counts of rate limits begin anew."
    )]
    Rotate {
        /// Replace the seal key instead
        #[arg(long)]
        seal: bool,
        /// Replace the root key instead
        #[arg(long, conflicts_with = "seal")]
        root: bool,
    },
    /// Take a signing key that leaked away at once; the tokens that it signed die
    #[command(
        long_about = "Takes a signing key that leaked away at once: it is published no more and verifies nothing \
        any more. Every token that it signed dies, in ReadyLogin at once and elsewhere when the published keys are \
        fetched again (jwt.jwks_max_age): people log in again, and so do phones, which keep their first token. If it was \
        the key that signs, a new one is made and signs at once.\n\n\
        Who had the key could use it to get tokens by other keys: where that may have happened, end the accounts' sessions \
        too (`readylogin account password`, `device revoke`)."
    )]
    Revoke {
        /// The key, as `readylogin keys list` shows it
        #[arg(long, allow_hyphen_values = true)]
        kid: String,
    },
    /// Print the secrets of HS256 keys for those who verify their tokens
    #[command(
        long_about = "Prints the secrets of HS256 keys as a JWK set: those that sign, will sign, or signed a token \
        that may still live. Whoever has one can verify tokens, and make them too. Other algorithms need no secret: \
        their keys are published at /.well-known/jwks.json."
    )]
    Secret {
        /// Yes, write secrets to standard output
        #[arg(long)]
        yes_show_secret: bool,
    },
}

impl Command {
    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        match self {
            Self::List { json } => list(auth, json).await,
            Self::Rotate { seal: true, .. } => rotate_seal(auth).await,
            Self::Rotate { root: true, .. } => rotate_root(auth).await,
            Self::Rotate { .. } => rotate(auth).await,
            Self::Revoke { kid } => revoke(auth, &kid).await,
            Self::Secret { yes_show_secret } => secret(auth, yes_show_secret).await,
        }
    }
}

async fn list(auth: &Auth, as_json: bool) -> anyhow::Result<()> {
    let keys = auth.signing_keys().await.map_err(words)?;
    let states = states(&keys, auth.config.jwt.algorithm, auth.clock.now());
    let rows = keys.iter().zip(states).map(|(key, state)| {
        let (created, from) = (output::time(key.created_at), output::time(key.signs_from));
        [key.kid.clone(), key.algorithm.name().to_owned(), created, from, state.to_owned()]
    });
    if !as_json {
        let headings = ["kid", "algorithm", "created", "signs from", "state"];
        return output::table(headings, &rows.collect::<Vec<_>>(), "there are no keys");
    }
    let all = rows.map(|[kid, algorithm, created, from, state]| {
        json!({"kid": kid, "algorithm": algorithm, "created_at": created, "signs_from": from, "state": state})
    });
    output::json(&all.collect())
}

async fn rotate(auth: &Auth) -> anyhow::Result<()> {
    match auth.rotate_keys().await.map_err(words)? {
        KeyChange::Made { kid, signs_from } => output::line(&format!(
            "{kid} is published now and signs from {} on; running servers notice by themselves",
            output::time(signs_from)
        )),
        KeyChange::Waits { kid, signs_from } => bail!(
            "{kid} waits already, signs from {} on: run this again after that if you want one more",
            output::time(signs_from)
        ),
        KeyChange::NotNeeded | KeyChange::Unknown => bail!("no key was made: try again"),
    }
}

async fn rotate_root(auth: &Auth) -> anyhow::Result<()> {
    match auth.rotate_root().await.map_err(words)? {
        RootChange::Made { makes_from, accounts } => {
            let codes = match accounts {
                0 => "no backup codes depend on the old key".to_owned(),
                1 => "1 account has unused backup codes of the old key, which stays until they are replaced"
                    .to_owned(),
                n => format!(
                    "{n} accounts have unused backup codes of the old key, which stays until they are replaced"
                ),
            };
            output::line(&format!(
                "a new root key is in force from {} on; running servers notice by themselves; {codes}",
                output::time(makes_from)
            ))
        }
        RootChange::Waits { makes_from } => bail!(
            "a new root key waits already, in force from {} on: run this again after that if you want one more",
            output::time(makes_from)
        ),
    }
}

async fn revoke(auth: &Auth, kid: &str) -> anyhow::Result<()> {
    match auth.revoke_key(kid).await.map_err(words)? {
        KeyChange::Made { kid: fresh, .. } => output::line(&format!(
            "{kid} is revoked and its tokens are dead: everybody logs in again, phones too; {fresh} signs from now on"
        )),
        KeyChange::NotNeeded => output::line(&format!(
            "{kid} is revoked and its tokens are dead: who had one logs in again, phones too; another key signs"
        )),
        KeyChange::Unknown | KeyChange::Waits { .. } => {
            bail!("{kid}: there is no such key: `readylogin keys list` shows them")
        }
    }
}

async fn rotate_seal(auth: &Auth) -> anyhow::Result<()> {
    let given = auth.config.keys.seal.as_ref();
    if given.is_some_and(|keys| keys.is_single()) {
        return Err(Usage(
            "keys.seal holds one key, and this command can't write it another: put a new key (32 random bytes in \
             base64) in front of it, separated by a comma, restart every server with both, and run this again"
                .to_owned(),
        )
        .into());
    }
    let done = auth.rotate_seal().await.map_err(words)?;
    let what = format!("{} of {} secrets in the store were sealed again", done.changed, done.all);
    let then = match given {
        Some(_) => "everything opens with the first key of keys.seal: take the others away on every node".to_owned(),
        None => "the seal key's file holds the new key alone: back it up, and keep the old one for as long as backups \
                 of the store that need it"
            .to_owned(),
    };
    output::line(&format!("{what}; {then}"))
}

async fn secret(auth: &Auth, is_wanted: bool) -> anyhow::Result<()> {
    if !is_wanted {
        return Err(Usage(
            "this writes secrets to standard output, with which anybody can make tokens: say --yes-show-secret"
                .to_owned(),
        )
        .into());
    }
    let secrets = auth.shared_secrets().await.map_err(words)?;
    if secrets.is_empty() {
        bail!("no key is one of HS256 (jwt.algorithm): the others are published at /.well-known/jwks.json");
    }
    output::json(&auth::jwk_set(&secrets))
}

/// What each key does at `now` where `algorithm` is the setting; `keys` stand in the order in which they sign.
fn states(keys: &[SigningKey], algorithm: Algorithm, now: Timestamp) -> Vec<&'static str> {
    let turns: Vec<Turn> = keys.iter().map(SigningKey::turn).collect();
    let signer = signing::signer(&turns, algorithm, now);
    let state = |(at, turn): (usize, &Turn)| match turn {
        _ if signer == Some(at) && turn.signs_from <= now => "signs",
        turn if turn.signs_from > now => "next",
        _ => "verifies",
    };
    turns.iter().enumerate().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_key_whose_time_has_come_signs() {
        let key = |from, algorithm| SigningKey {
            kid: String::new(),
            algorithm,
            public: Vec::new(),
            sealed: Some(Vec::new()),
            created_at: Timestamp(0),
            signs_from: Timestamp(from),
            retired: false,
        };
        let (es, ed) = (Algorithm::Es256, Algorithm::EdDsa);
        let keys = [key(1, es), key(5, es), key(9, ed)];
        assert_eq!(states(&keys, es, Timestamp(5)), ["verifies", "signs", "next"]);
        assert_eq!(states(&keys, ed, Timestamp(5)), ["verifies", "signs", "next"]);
        assert_eq!(states(&keys, ed, Timestamp(9)), ["verifies", "verifies", "signs"]);
        assert_eq!(states(&keys, es, Timestamp(0)), ["next", "next", "next"]);
    }
}
