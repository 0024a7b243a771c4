//! `keys`: the keys that sign tokens, told without their private halves.

use serde_json::json;

use super::failure::words;
use super::output;
use crate::auth::Auth;
use crate::domain::time::Timestamp;
use crate::store;
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
    Rotate,
}

impl Command {
    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        match self {
            Self::List { json } => list(auth, json).await,
            Self::Rotate => rotate(auth).await,
        }
    }
}

async fn list(auth: &Auth, as_json: bool) -> anyhow::Result<()> {
    let keys = read(auth).await?;
    let states = states(&keys, auth.clock.now());
    let rows = keys.iter().zip(states).map(|(key, state)| {
        [key.kid.clone(), output::time(key.created_at), output::time(key.signs_from), state.to_owned()]
    });
    if !as_json {
        let headings = ["kid", "created", "signs from", "state"];
        return output::table(headings, &rows.collect::<Vec<_>>(), "there are no keys");
    }
    let all = rows.map(|[kid, created, from, state]| {
        json!({"kid": kid, "created_at": created, "signs_from": from, "state": state})
    });
    output::json(&all.collect())
}

async fn rotate(auth: &Auth) -> anyhow::Result<()> {
    let before = read(auth).await?;
    auth.keyring.rotate(&auth.store).await.map_err(words)?;
    let after = read(auth).await?;
    let fresh = after.iter().find(|key| before.iter().all(|old| old.kid != key.kid));
    let fresh = fresh.ok_or_else(|| anyhow::anyhow!("the new key is not in the store: try again"))?;
    output::line(&format!(
        "{} is published now and signs from {} on; running servers notice by themselves",
        fresh.kid,
        output::time(fresh.signs_from)
    ))
}

/// The keys in the order in which they sign.
async fn read(auth: &Auth) -> anyhow::Result<Vec<SigningKey>> {
    let keys = auth.store.read(|tx| Box::pin(store::keys::signing(tx))).await;
    keys.map_err(|error| words(error.into()))
}

/// What each key does at `now`; `keys` stand in the order in which they sign.
fn states(keys: &[SigningKey], now: Timestamp) -> Vec<&'static str> {
    let current = keys.iter().rposition(|key| key.signs_from <= now);
    let state = |at: usize| match current {
        Some(current) if at < current => "verifies",
        Some(current) if at == current => "signs",
        _ => "next",
    };
    (0..keys.len()).map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_key_whose_time_has_come_signs() {
        let key = |from| SigningKey {
            kid: String::new(),
            public: Vec::new(),
            sealed: None,
            created_at: Timestamp(0),
            signs_from: Timestamp(from),
        };
        let keys = [key(1), key(5), key(9)];
        assert_eq!(states(&keys, Timestamp(5)), ["verifies", "signs", "next"]);
        assert_eq!(states(&keys, Timestamp(0)), ["next", "next", "next"]);
    }
}
