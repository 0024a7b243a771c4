//! How single settings are read: durations, sizes, lists, and the environment's overrides.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::{Deserialize, Deserializer, Error as _};

use super::Error;
use crate::crypto::seal_keys::SealKeys;
use crate::domain::account::Kind;
use crate::domain::mailbox::MailList;
use crate::domain::phone::Country;
use crate::domain::signing::Algorithm;

const PREFIX: &str = "READYLOGIN_";

/// Settings whose features come with later releases: accepted, so that one file serves
/// both, but never silently weaker than asked (see [`later`]).
const LATER: &[&str] =
    &["approval.match", "approval.signed", "cross_device.access_ttl", "cross_device.scope", "geo.database"];

/// One environment variable as a layer, so that an error names it.
struct Variable {
    name: String,
    key: String,
    value: Value,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// Lays the variables over `figment`. A value is read as what its default is (a number, a list, a text), so
/// that a key made of digits stays text. Also returns the variables that look like settings and are none.
pub(super) fn environment(
    mut figment: Figment,
    defaults: &Figment,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(Figment, Vec<String>), Error> {
    let mut unread = Vec::new();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        if !path.contains("__") {
            // Not ours; but one that begins like a section may have an underscore too few.
            let section = path.split('_').next().unwrap_or_default().to_ascii_lowercase();
            if path.contains('_') && defaults.find_value(&section).is_ok() {
                unread.push(format!("{name} (a setting has two underscores between section and key)"));
            }
            continue;
        }
        let key = path.to_ascii_lowercase().replace("__", ".");
        let default = match defaults.find_value(&key) {
            Ok(default) => default,
            Err(_) if LATER.contains(&key.as_str()) => Value::from(""),
            Err(_) => return Err(Error(format!("{name}: there is no setting {key}"))),
        };
        let Some(value) = like(&default, &text) else {
            return Err(Error(format!("{name}: {key} must be a number")));
        };
        figment = figment.merge(Variable { name, key, value });
    }
    Ok((figment, unread))
}

fn like(default: &Value, text: &str) -> Option<Value> {
    let text = text.trim();
    match default {
        Value::Num(_, number) if number.to_f64().is_some() => text.parse::<f64>().ok().map(Value::from),
        Value::Num(..) => text.parse::<u64>().ok().map(Value::from),
        Value::Array(..) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(Tag::Default, items.map(Value::from).collect()))
        }
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Dict(..) | Value::Empty(..) => {
            Some(Value::from(text))
        }
    }
}

/// Takes the settings of later releases out and lists them.
///
/// # Errors
/// One that demands what this release can't give: ignoring it would be a hole.
pub(super) fn later(figment: Figment) -> Result<(Figment, Vec<String>), Error> {
    let mut all: Dict = figment.extract().map_err(|e| Error(explain(e)))?;
    let mut given = Vec::new();
    for key in LATER {
        let Some((section, name)) = key.split_once('.') else { continue };
        let Some(Value::Dict(_, fields)) = all.get_mut(section) else { continue };
        if let Some(value) = fields.remove(name) {
            if value.as_str() == Some("required") {
                return Err(Error(format!("{key}: this release can't require it")));
            }
            given.push((*key).to_owned());
        }
        if fields.is_empty() {
            all.remove(section);
        }
    }
    if given.is_empty() {
        return Ok((figment, given));
    }
    let mut rest = Figment::new();
    for (section, value) in all {
        rest = rest.merge(figment::providers::Serialized::default(&section, value));
    }
    Ok((rest, given))
}

/// An error in words that name the setting and where it was read.
pub(super) fn explain(error: figment::Error) -> String {
    let first = error.into_iter().next();
    first.map_or_else(
        || "settings: can't be read".to_owned(),
        |e| {
            let place = e.metadata.as_ref().map(|m| format!(" (in {})", m.name)).unwrap_or_default();
            let key = e.path.join(".");
            if key.is_empty() { format!("{}{place}", e.kind) } else { format!("{key}: {}{place}", e.kind) }
        },
    )
}

pub(super) fn span<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    let span = humantime::parse_duration(text.trim())
        .map_err(|_| D::Error::custom("must be a duration such as \"8s\", \"10m\" or \"30d\""))?;
    if span.is_zero() || span > Duration::from_secs(100 * 366 * 86_400) {
        return Err(D::Error::custom("must be longer than nothing and at most 100 years"));
    }
    Ok(span)
}

const WRONG_ADDRESS: &str =
    "must be an IP address and a port, such as \"127.0.0.1:8080\"; names are not taken";

pub(super) fn address<'de, D: Deserializer<'de>>(d: D) -> Result<SocketAddr, D::Error> {
    optional_address(d)?.ok_or_else(|| D::Error::custom(WRONG_ADDRESS))
}

pub(super) fn optional_address<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SocketAddr>, D::Error> {
    let wrong = || D::Error::custom(WRONG_ADDRESS);
    let text = String::deserialize(d).map_err(|_| wrong())?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.parse().map_err(|_| wrong())).transpose()
}

pub(super) fn size<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(usize),
        Text(String),
    }
    let wrong = || D::Error::custom("must be bytes, or text such as \"64 KiB\"");
    match Size::deserialize(d).map_err(|_| wrong())? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Text(text) => {
            let text = text.trim();
            let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (number, unit) = text.split_at(unit_at);
            let unit = match unit.trim() {
                "" | "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                _ => return Err(wrong()),
            };
            number.parse::<usize>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)
        }
    }
}

pub(super) fn optional<'de, D: Deserializer<'de>, T: From<String>>(d: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(d)?;
    Ok((!text.is_empty()).then(|| T::from(text)))
}

pub(super) fn origin<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = optional(d)?;
    text.map(|t| parse_origin(&t).map_err(D::Error::custom)).transpose()
}

pub(super) fn origins<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(d)?.iter().map(|t| parse_origin(t).map_err(D::Error::custom)).collect()
}

/// `scheme://host[:port]` in lower case (RFC 6454 §6.2).
fn parse_origin(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return Err("must be of the form https://host or http://host:port".to_owned());
    }
    // An origin leaves the default port out (RFC 6454 §6.2), so must what it is compared with.
    let default_port = if text.starts_with("https://") { ":443" } else { ":80" };
    Ok(text.strip_suffix(default_port).unwrap_or(&text).to_owned())
}

pub(super) fn networks<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<ipnet::IpNet>, D::Error> {
    let read = |text: &String| {
        let address = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
        text.parse()
            .or(address)
            .map_err(|_| D::Error::custom("must be addresses or networks such as 10.0.0.0/8"))
    };
    Vec::<String>::deserialize(d)?.iter().map(read).collect()
}

pub(super) fn kinds<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Kind>, D::Error> {
    let wrong = || {
        D::Error::custom(
            "must be a list of different kinds, each \"id\" or \"id:name\" in lower-case letters",
        )
    };
    let kinds: Vec<Kind> = Vec::<String>::deserialize(d)?
        .iter()
        .map(|t| Kind::parse(t).ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    let twice = kinds
        .iter()
        .enumerate()
        .any(|(at, kind)| kinds[..at].iter().any(|k| k.id == kind.id || k.name == kind.name));
    if kinds.is_empty() || twice { Err(wrong()) } else { Ok(kinds) }
}

pub(super) fn country<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Country>, D::Error> {
    let text: Option<String> = optional(d)?;
    let wrong = || D::Error::custom("must be a country's two letters (ISO 3166), such as \"CH\"");
    text.map(|t| Country::parse(&t).ok_or_else(wrong)).transpose()
}

pub(super) fn mailbox<'de, D: Deserializer<'de>>(d: D) -> Result<Option<lettre::message::Mailbox>, D::Error> {
    let text: Option<String> = optional(d)?;
    let wrong = |_| D::Error::custom("must be a mail address, or a name and an address in angle brackets");
    text.map(|t| t.parse().map_err(wrong)).transpose()
}

/// A limit that lets something through: with 0 a feature would be off and not look like it.
pub(super) fn limit<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let wrong = || D::Error::custom("must be a number from 1 up");
    u32::deserialize(d).ok().filter(|limit| *limit > 0).ok_or_else(wrong)
}

pub(super) fn share<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let wrong = || D::Error::custom("must be a part of 1, as 0.1");
    f64::deserialize(d).ok().filter(|share| *share > 0.0 && *share <= 1.0).ok_or_else(wrong)
}

pub(super) fn mail_list<'de, D: Deserializer<'de>>(d: D) -> Result<MailList, D::Error> {
    let wrong = |entry: &str| {
        let form =
            "an entry is an address, a domain (example.org), or .example.org for a domain and all below it";
        D::Error::custom(format!("{form}; {entry:?} is none of them"))
    };
    MailList::parse(&Vec::<String>::deserialize(d)?).map_err(wrong)
}

pub(super) fn algorithm<'de, D: Deserializer<'de>>(d: D) -> Result<Algorithm, D::Error> {
    let text = String::deserialize(d)?;
    Algorithm::parse(text.trim()).ok_or_else(|| D::Error::custom("must be ES256, EdDSA, RS256 or HS256"))
}

pub(super) fn seal_keys<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SealKeys>, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(d)?);
    if text.is_empty() {
        return Ok(None);
    }
    SealKeys::parse(&text).map(Some).ok_or_else(|| D::Error::custom(SealKeys::FORM))
}

/// Where the seal key's file is when no setting says.
pub(crate) fn default_seal_file(store: &super::StoreUrl) -> PathBuf {
    match store {
        super::StoreUrl::Sqlite(path) => path.with_file_name("seal.key"),
        super::StoreUrl::Postgres(_) => PathBuf::from("data/seal.key"),
    }
}
