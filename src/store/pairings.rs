//! Pairings that somebody asked about, or that were resumed after a restart; merely waiting costs no row.

use super::signals::{self, Dropped, Signal};
use super::{Error, Row, Tx, arg};
use crate::domain::ids::{AccountId, DeviceId, NodeTag, PairingId};
use crate::domain::pairing::{Answer, Ask, Asker, Browser, Effect, Event, Pairing, Refused, State};
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "uuid, os, browser, location, ip, expires_at, resumes, asks, state, account_id, asked_by, shown, asked_at, \
         ask_expires_at, device_id, answered_at, holder"
    };
}

const LOAD: &str = concat!("SELECT ", columns!(), " FROM pairings WHERE uuid = $1");
const INSERT: &str = concat!(
    "INSERT INTO pairings (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING"
);
// Only from the state that was read: of two phones that answer at once, one changes the row.
const SAVE: &str = "UPDATE pairings SET asks = $2, state = $3, account_id = $4, asked_by = $5, shown = $6, asked_at = $7, \
     ask_expires_at = $8, device_id = $9, answered_at = $10 WHERE uuid = $1 AND asks = $11 AND state = $12";
const RESUME: &str =
    "UPDATE pairings SET resumes = $2, ip = $3, holder = $4 WHERE uuid = $1 AND resumes <= $2";
const PENDING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM pairings WHERE account_id = $1 AND state = 'asked' AND shown = 1 AND ask_expires_at > $2"
);
const OVERDUE: &str = "SELECT uuid FROM pairings WHERE state = 'asked' AND ask_expires_at <= $1 ORDER BY ask_expires_at LIMIT 100";
const ANSWERED_SINCE: &str =
    "SELECT uuid, account_id, asks, state FROM pairings WHERE answered_at > $1 AND account_id IS NOT NULL";
const ASKED_SINCE: &str =
    "SELECT uuid, account_id, asks FROM pairings WHERE state = 'asked' AND shown = 1 AND asked_at > $1";
const DROP_ASKS: &str =
    "UPDATE pairings SET state = 'expired' WHERE account_id = $1 AND state = 'asked' RETURNING uuid, asks";

/// How often a conditional change is tried again after another one came in between.
const TRIES: u32 = 8;

/// A stored pairing, how often it was resumed, and where last.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) pairing: Pairing,
    pub(crate) resumes: u32,
    /// The node that it was resumed on; none while it is where it began.
    pub(crate) holder: Option<NodeTag>,
}

impl Stored {
    /// The node whose socket its browser waits on, as far as the store knows.
    pub(crate) fn holder(&self) -> NodeTag {
        self.holder.unwrap_or(self.pairing.id.tag())
    }
}

/// What happened lately to pairings, for nodes that were not told.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) answered: Vec<Answered>,
    pub(crate) asked: Vec<Put>,
}

/// An ask that was put to an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Put {
    pub(crate) account: AccountId,
    pub(crate) pairing: PairingId,
    /// Which ask of this pairing.
    pub(crate) number: u32,
}

/// An ask that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answered {
    pub(crate) ask: Put,
    pub(crate) approved: bool,
}

pub(crate) async fn load(tx: &mut Tx, id: PairingId) -> Result<Option<Stored>, Error> {
    tx.optional(LOAD, [arg(id.to_string())]).await?.map(|row| read(&row)).transpose()
}

/// Stores a pairing that has no row yet; false when it has one.
pub(crate) async fn insert(tx: &mut Tx, stored: &Stored) -> Result<bool, Error> {
    let Stored { pairing, resumes, holder } = stored;
    let browser = &pairing.browser;
    let mut args = vec![
        arg(pairing.id.to_string()),
        arg(browser.os.as_str()),
        arg(browser.browser.as_str()),
        arg(browser.location.as_str()),
        arg(browser.ip.as_str()),
        arg(pairing.expires_at),
        arg(*resumes),
    ];
    args.extend(changing(pairing));
    args.push(arg(holder.map(|tag| i64::from(tag.0))));
    Ok(tx.execute(INSERT, args).await? == 1)
}

/// Applies an event to the stored pairing, or to `fresh` when it has no row yet, and stores the outcome. `None`
/// when there is neither.
pub(crate) async fn apply(
    tx: &mut Tx,
    id: PairingId,
    fresh: Option<Stored>,
    event: Event,
    now: Timestamp,
) -> Result<Option<Result<(Stored, Effect), Refused>>, Error> {
    for _ in 0..TRIES {
        let row = load(tx, id).await?;
        let is_new = row.is_none();
        let Some(stored) = row.or_else(|| fresh.clone()) else { return Ok(None) };
        let (asks, state) = (stored.pairing.asks, state_name(&stored.pairing.state));
        let (after, effect) = match stored.pairing.clone().apply(event, now) {
            Ok(step) => step,
            Err(refused) => return Ok(Some(Err(refused))),
        };
        let is_unchanged = after == stored.pairing;
        let after = Stored { pairing: after, ..stored };
        let saved = match is_new {
            true => insert(tx, &after).await?,
            false if is_unchanged => true,
            false => save(tx, &after.pairing, asks, state).await?,
        };
        if saved {
            return Ok(Some(Ok((after, effect))));
        }
    }
    Err(Error::Failed("pairings: one row is fought over".to_owned()))
}

/// Notes that resume secret number `number` was used, from `ip` and on the node `holder`; false when a later one was
/// used already.
pub(crate) async fn resumed(
    tx: &mut Tx,
    id: PairingId,
    number: u32,
    ip: &str,
    holder: NodeTag,
) -> Result<bool, Error> {
    let args = [arg(id.to_string()), arg(number), arg(ip), arg(i64::from(holder.0))];
    Ok(tx.execute(RESUME, args).await? == 1)
}

/// What was answered since `since`, and what was asked since then and is not answered. It costs by what was, not by what waits.
pub(crate) async fn news(tx: &mut Tx, since: Timestamp) -> Result<News, Error> {
    let put = |row: &Row| {
        Ok::<_, Error>(Put {
            pairing: parse_id(&row.get::<String>(0)?)?,
            account: AccountId(row.get(1)?),
            number: u32::try_from(row.get::<i64>(2)?).unwrap_or(u32::MAX),
        })
    };
    let mut news = News::default();
    for row in tx.all(ANSWERED_SINCE, [arg(since)]).await? {
        news.answered.push(Answered { ask: put(&row)?, approved: row.get::<String>(3)? == "approved" });
    }
    for row in tx.all(ASKED_SINCE, [arg(since)]).await? {
        news.asked.push(put(&row)?);
    }
    Ok(news)
}

/// The asks that an account's phones should be showing.
pub(crate) async fn pending(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<Vec<Pairing>, Error> {
    let rows = tx.all(PENDING, [arg(account.0), arg(now)]).await?;
    rows.iter().map(|row| read(row).map(|stored| stored.pairing)).collect()
}

/// Asks whose time is over and that nobody has ended.
pub(crate) async fn overdue(tx: &mut Tx, now: Timestamp) -> Result<Vec<PairingId>, Error> {
    let rows = tx.all(OVERDUE, [arg(now)]).await?;
    rows.iter().map(|row| parse_id(&row.get::<String>(0)?)).collect()
}

/// The node whose socket a pairing's browser waits on, if the store knows the pairing.
pub(crate) async fn holder(tx: &mut Tx, id: PairingId) -> Result<Option<NodeTag>, Error> {
    Ok(load(tx, id).await?.map(|stored| stored.holder()))
}

/// Ends every pending ask of an account, and lets its browser and phones know.
pub(crate) async fn drop_asks(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    for row in tx.all(DROP_ASKS, [arg(account.0)]).await? {
        let pairing = parse_id(&row.get::<String>(0)?)?;
        let ask = u32::try_from(row.get::<i64>(1)?).unwrap_or(u32::MAX);
        let dropped = Signal::Dropped { account, pairing, ask, how: Dropped::Ended };
        signals::emit(tx, dropped, now).await?;
    }
    Ok(())
}

async fn save(tx: &mut Tx, pairing: &Pairing, asks: u32, state: &'static str) -> Result<bool, Error> {
    let mut args = vec![arg(pairing.id.to_string())];
    args.extend(changing(pairing));
    args.extend([arg(asks), arg(state)]);
    Ok(tx.execute(SAVE, args).await? == 1)
}

/// The columns that transitions change, in the order of [`SAVE`]. An answered pairing keeps what was asked out of
/// the row's sight: only the account, the device and the outcome count from then on.
fn changing(pairing: &Pairing) -> Vec<super::tx::Arg> {
    let none = None::<i64>;
    let mut columns = vec![arg(pairing.asks), arg(state_name(&pairing.state))];
    columns.extend(match &pairing.state {
        State::Ready | State::Expired => {
            [arg(none), arg(None::<String>), arg(none), arg(none), arg(none), arg(none), arg(none)]
        }
        State::Asked(ask) => [
            arg(ask.account.0),
            arg(match ask.by {
                Asker::Browser => "browser",
                Asker::Phone => "phone",
            }),
            arg(ask.shown),
            arg(ask.asked_at),
            arg(ask.expires_at),
            arg(none),
            arg(none),
        ],
        State::Answered(answer) => [
            arg(answer.account.0),
            arg(None::<String>),
            arg(none),
            arg(none),
            arg(none),
            arg(answer.device.0),
            arg(answer.at),
        ],
    });
    columns
}

fn state_name(state: &State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Asked(_) => "asked",
        State::Answered(answer) if answer.approved => "approved",
        State::Answered(_) => "refused",
        State::Expired => "expired",
    }
}

fn read(row: &Row) -> Result<Stored, Error> {
    let damaged = || Error::Failed("pairings: a damaged row".to_owned());
    let integer = |column| row.get::<Option<i64>>(column)?.ok_or_else(damaged);
    let state: String = row.get(8)?;
    let state = match state.as_str() {
        "ready" => State::Ready,
        "asked" => State::Asked(Ask {
            account: AccountId(integer(9)?),
            by: if row.get::<String>(10)? == "phone" { Asker::Phone } else { Asker::Browser },
            shown: integer(11)? != 0,
            asked_at: Timestamp(integer(12)?),
            expires_at: Timestamp(integer(13)?),
        }),
        "approved" | "refused" => State::Answered(Answer {
            account: AccountId(integer(9)?),
            device: DeviceId(integer(14)?),
            approved: state == "approved",
            at: Timestamp(integer(15)?),
        }),
        "expired" => State::Expired,
        _ => return Err(damaged()),
    };
    let small = |column| u32::try_from(row.get::<i64>(column)?).map_err(|_| damaged());
    let browser = Browser { os: row.get(1)?, browser: row.get(2)?, location: row.get(3)?, ip: row.get(4)? };
    let (id, expires_at) = (parse_id(&row.get::<String>(0)?)?, Timestamp(row.get(5)?));
    let holder =
        row.get::<Option<i64>>(16)?.map(|tag| u16::try_from(tag).map(NodeTag).map_err(|_| damaged()));
    let pairing = Pairing { id, browser, expires_at, asks: small(7)?, state };
    Ok(Stored { pairing, resumes: small(6)?, holder: holder.transpose()? })
}

fn parse_id(text: &str) -> Result<PairingId, Error> {
    text.parse().map_err(|_| Error::Failed("pairings: a damaged uuid".to_owned()))
}
