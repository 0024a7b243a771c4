//! Resume secrets: how a browser proves that a pairing is its own, on any node, also after a restart
//! (docs/protocol.md, "Resuming").
//!
//! A secret proves itself: it carries its number, the pairing's end and what the browser said of itself, under a
//! MAC. Number *n* is good until number *n + 1* was used; that is remembered in the pairing's row. A pairing that nobody
//! asked gets one when its browser comes back elsewhere, or for the second time.

use super::approval::{Outcome, note_over, outcome};
use super::{Auth, Error};
use crate::crypto::seal::base64url;
use crate::domain::ids::{NodeTag, PairingId};
use crate::domain::pairing::{Browser, Pairing};
use crate::domain::secret::ResumeSecret;
use crate::domain::time::Timestamp;
use crate::store::pairings::{self, Stored};
use crate::store::{self, Tx};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a verified resume secret says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ResumeToken {
    pub(crate) pairing: PairingId,
    pub(crate) number: u32,
    pub(crate) expires_at: Timestamp,
    pub(crate) os: String,
    pub(crate) browser: String,
    pub(crate) location: String,
}

const MAC_BYTES: usize = 32;

impl Auth {
    /// The secret that takes `stored` over the next time.
    pub(crate) fn resume_secret(&self, stored: &Stored) -> ResumeSecret {
        let Stored { pairing, resumes, .. } = stored;
        let mut bytes = Vec::with_capacity(160);
        bytes.extend((resumes + 1).to_be_bytes());
        bytes.extend(pairing.expires_at.0.to_be_bytes());
        for text in [&pairing.browser.os, &pairing.browser.browser, &pairing.browser.location] {
            bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(self.root.mac("resume", &[pairing.id.0.as_bytes(), &bytes]));
        ResumeSecret::new(base64url(&bytes))
    }

    /// Reads a secret that this server made for this pairing.
    pub(crate) fn read_resume_secret(&self, id: PairingId, secret: &ResumeSecret) -> Option<ResumeToken> {
        let bytes = URL_SAFE_NO_PAD.decode(secret.expose()).ok()?;
        let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        if !self.root.verify("resume", &[id.0.as_bytes(), body], mac) {
            return None;
        }
        let (number, rest) = body.split_first_chunk::<4>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (os, rest) = text(rest)?;
        let (browser, rest) = text(rest)?;
        let (location, _) = text(rest)?;
        let (number, expires_at) = (u32::from_be_bytes(*number), Timestamp(i64::from_be_bytes(*expires_at)));
        Some(ResumeToken { pairing: id, number, expires_at, os, browser, location })
    }

    /// Uses a secret on the pairing's row, for a browser that came back to the node `here`; also says which node held it
    /// before. `None` when there is no row and none is needed: the pairing is this node's own, and its browser comes back
    /// for the first time.
    ///
    /// # Errors
    /// `Expired` for a secret that a later one has replaced, and for a pairing that is over.
    pub(crate) async fn resume(
        &self,
        token: ResumeToken,
        ip: String,
        here: NodeTag,
    ) -> Result<Option<(Stored, Outcome, NodeTag)>, Error> {
        let (now, root, told_for) = (self.now(), self.root.clone(), self.config.ticket.ttl);
        let unit = async move |tx: &mut Tx| {
            let Some(taken) = take_over(tx, &token, ip, here, now).await? else { return Ok(None) };
            let Some((stored, before)) = taken else { return Ok(Some(Err(Error::Expired))) };
            Ok(Some(match outcome(tx, &stored.pairing, &root, now, told_for).await? {
                Outcome::Over => {
                    note_over(tx, &stored.pairing, &root, now).await?;
                    Err(Error::Expired)
                }
                told @ (Outcome::Waiting | Outcome::Approved(_) | Outcome::Refused) => {
                    Ok((stored, told, before))
                }
            }))
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?.transpose()
    }
}

/// The outer `None`: no row. The inner: a later secret was used.
async fn take_over(
    tx: &mut Tx,
    token: &ResumeToken,
    ip: String,
    here: NodeTag,
    now: Timestamp,
) -> Result<Option<Option<(Stored, NodeTag)>>, store::Error> {
    let id = token.pairing;
    let mut row = pairings::load(tx, id).await?;
    // At home a first return needs no row: there is no earlier secret that it could kill. From the second one on the
    // row says so on every node, also after a crash.
    let needs_row = id.tag() != here || token.number > 1;
    if row.is_none() && needs_row && now < token.expires_at {
        let fresh = token.fresh(ip.clone(), Some(here));
        match pairings::insert(tx, &fresh).await? {
            true => return Ok(Some(Some((fresh, id.tag())))),
            // Another node was quicker; its row decides.
            false => row = pairings::load(tx, id).await?,
        }
    }
    let Some(mut row) = row else { return Ok(None) };
    let before = row.holder();
    let taken = pairings::resumed(tx, id, token.number, &ip, here).await?;
    (row.resumes, row.holder, row.pairing.browser.ip) = (token.number, Some(here), ip);
    Ok(Some(taken.then_some((row, before))))
}

impl ResumeToken {
    /// The pairing as its secret remembers it, seen from where the browser is now.
    pub(crate) fn fresh(&self, ip: String, holder: Option<NodeTag>) -> Stored {
        let Self { os, browser, location, .. } = self.clone();
        let browser = Browser { os, browser, location, ip };
        let pairing = Pairing::ready(self.pairing, browser, self.expires_at);
        Stored { pairing, resumes: self.number, holder }
    }
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}
