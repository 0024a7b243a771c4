//! Everything that is kept about an account, for its owner: one document, all of one moment.

use std::net::IpAddr;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::json;

use super::bearer::{Demand, Owner};
use super::change::OPERATOR;
use super::limits::EXPORTS_PER_SOURCE;
use super::{Auth, Error};
use crate::domain::ids::AccountId;
use crate::domain::secret::Password;
use crate::domain::time::Timestamp;
use crate::store::export::{self, Fact, LEFT_OUT, LeftOut, Record, Section};
use crate::store::sessions::Live;
use crate::store::{self, Tx, accounts, audit};

/// An account's data at one moment.
#[derive(Debug)]
pub(crate) struct Export {
    at: Timestamp,
    sections: Vec<Section>,
}

impl Auth {
    /// Everything that is kept about the session's account, except secrets.
    ///
    /// # Errors
    /// `StaleProof`: it hands out all that a thief of the session could want to know. `TooManyRequests`.
    pub(crate) async fn export_own(
        &self,
        live: &Live,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<Export, Error> {
        self.limits.count(EXPORTS_PER_SOURCE, source)?;
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            collect(tx, live.account, &source, now).await.map(Ok)
        };
        let demand = Demand::Fresh(password);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
    }

    /// The same for an operator, whom an owner has asked.
    ///
    /// # Errors
    /// `NotFound` when the account is gone.
    pub(crate) async fn export_account(&self, account: AccountId) -> Result<Export, Error> {
        let now = self.now();
        let unit = async move |tx: &mut Tx| match accounts::lock(tx, account).await? {
            Some(account) => collect(tx, account.id, OPERATOR, now).await.map(Ok),
            None => Ok(Err(Error::NotFound)),
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?
    }
}

/// Reads under the account's lock, so that nothing changes meanwhile; that it was read is on record, and in the export.
async fn collect(
    tx: &mut Tx,
    account: AccountId,
    source: &str,
    now: Timestamp,
) -> Result<Export, store::Error> {
    let account_id = Some(account);
    let entry = audit::Entry {
        event: "account.export",
        outcome: "ok",
        account: account_id,
        device: None,
        pairing: None,
        source,
    };
    audit::record(tx, entry, now).await?;
    Ok(Export { at: now, sections: export::of(tx, account).await? })
}

impl Export {
    /// The document that owners and operators get, for people and programs.
    ///
    /// # Errors
    /// Only if memory for it is not to be had.
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|e| Error::internal(e.to_string()))
    }
}

/// The account's own row is one object, everything else a list of them.
impl Serialize for Export {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut document = to.serialize_map(None)?;
        document.serialize_entry("format", "readylogin-export-1")?;
        document.serialize_entry("exported_at", &iso(self.at))?;
        for Section { name, records } in &self.sections {
            let rows: Vec<Row<'_>> = records.iter().map(Row).collect();
            match rows.as_slice() {
                [own] if *name == "account" => document.serialize_entry(name, own)?,
                all => document.serialize_entry(name, all)?,
            }
        }
        document.serialize_entry("left_out", &LEFT_OUT.map(left_out))?;
        document.end()
    }
}

struct Row<'a>(&'a Record);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, fact)| (name, value(fact))))
    }
}

fn value(fact: &Fact) -> serde_json::Value {
    match fact {
        Fact::Nothing => serde_json::Value::Null,
        Fact::Text(text) => json!(text),
        Fact::Number(number) => json!(number),
        Fact::Flag(flag) => json!(flag),
        Fact::Time(at) => json!(iso(*at)),
    }
}

fn left_out(left: LeftOut) -> serde_json::Value {
    json!({"table": left.table, "columns": left.columns, "why": left.why})
}

/// ISO 8601 with milliseconds, UTC.
fn iso(at: Timestamp) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + at.since(Timestamp(0));
    humantime::format_rfc3339_millis(at).to_string()
}
