//! For which kinds of accounts strangers may register.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{Accounts, Error, Kind};

/// Whether, and as what, strangers may make accounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registration {
    /// Only operators make accounts.
    Closed,
    /// Anybody may, as the first kind and no other: what later kinds may do is not for everybody.
    Open,
    /// Anybody may, as one of these kinds.
    Kinds(Vec<String>),
}

pub(super) fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Registration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        List(Vec<String>),
    }
    let wrong = "must be \"closed\", \"open\" (the first kind) or a list of kinds";
    let list = match Form::deserialize(d).map_err(|_| D::Error::custom(wrong))? {
        Form::Text(text) => match text.trim() {
            "closed" => return Ok(Registration::Closed),
            "open" => return Ok(Registration::Open),
            list => list.split(',').map(|kind| kind.trim().to_owned()).collect::<Vec<_>>(),
        },
        Form::List(list) => list,
    };
    if list.is_empty() || list.iter().any(String::is_empty) {
        return Err(D::Error::custom(wrong));
    }
    Ok(Registration::Kinds(list))
}

impl Accounts {
    /// Whether strangers may register as this kind.
    pub fn is_open_for(&self, kind: &str) -> bool {
        match &self.registration {
            Registration::Closed => false,
            Registration::Open => self.kinds.first().is_some_and(|first| first.id == kind),
            Registration::Kinds(open) => open.iter().any(|known| known == kind),
        }
    }

    /// The kind that a stranger registers as who names none: the first that is open.
    pub fn kind_to_register(&self) -> Option<&Kind> {
        self.kinds.iter().find(|kind| self.is_open_for(&kind.id)).or(self.kinds.first())
    }

    /// Whether every kind that is open is one.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Registration::Kinds(open) = &self.registration else { return Ok(()) };
        match open.iter().find(|open| !self.kinds.iter().any(|kind| kind.id == **open)) {
            Some(kind) => Err(Error(format!("accounts.registration: {kind:?} is none of accounts.kinds"))),
            None => Ok(()),
        }
    }
}
