//! What was said and heard, and whether it keeps the promises.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;

/// Something that one of those who use the servers did or heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A browser of this person waits.
    Begun { person: usize, uuid: String },
    /// The phone sent its answer.
    Answered { uuid: String, person: usize, yes: bool },
    /// The phone heard that its answer was taken.
    Acknowledged { uuid: String, yes: bool },
    /// The browser heard the outcome; without a code it was a refusal.
    Told { uuid: String, code: Option<String> },
    /// The browser heard that it is over.
    Expired { uuid: String },
    /// A client exchanged a code, and got a token of this account.
    Token { code: String, email: String },
    /// A client does not know what became of its exchange: the connection was lost.
    Unknown { code: String },
    /// Everybody gave up: no exchange succeeded, and none was lost.
    Fruitless { code: String },
}

#[derive(Default)]
pub(super) struct History(Mutex<Vec<Event>>);

/// What came of it all.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Figures {
    pub(super) begun: u32,
    pub(super) approved: u32,
    pub(super) refused: u32,
    pub(super) acknowledged: u32,
    pub(super) tokens: u32,
    /// Exchanges whose answer got lost.
    pub(super) unknown: u32,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begun, approved, refused, acknowledged, tokens, unknown } = self;
        write!(
            f,
            "{begun} logins begun, {acknowledged} answers acknowledged, {approved} approvals and {refused} refusals \
             told, {tokens} tokens, {unknown} answers of exchanges lost; approvals lost: 0, codes redeemed twice: 0"
        )
    }
}

/// What is known of one pairing.
#[derive(Default)]
struct Pairing {
    person: Option<usize>,
    answers: Vec<(usize, bool)>,
    acknowledged: Option<bool>,
    told: Vec<Option<String>>,
    expired: bool,
}

impl History {
    pub(super) fn note(&self, event: Event) {
        self.0.lock().push(event);
    }

    /// The last of it, for reading.
    pub(super) fn tail(&self) -> String {
        let events = self.0.lock();
        let last = events.iter().rev().take(80).rev();
        last.map(|event| format!("{event:?}\n")).collect()
    }

    /// The figures, or every promise that was broken.
    pub(super) fn judge(&self) -> Result<Figures, Vec<String>> {
        let events = self.0.lock();
        let (mut pairings, mut figures) = (HashMap::<&str, Pairing>::new(), Figures::default());
        let (mut tokens, mut unknown) = (HashMap::<&str, Vec<&str>>::new(), HashMap::<&str, u32>::new());
        let mut broken = Vec::new();
        for event in events.iter() {
            match event {
                Event::Begun { person, uuid } => pairings.entry(uuid).or_default().person = Some(*person),
                Event::Answered { uuid, person, yes } => {
                    pairings.entry(uuid).or_default().answers.push((*person, *yes));
                }
                Event::Acknowledged { uuid, yes } => {
                    pairings.entry(uuid).or_default().acknowledged = Some(*yes);
                    figures.acknowledged += 1;
                }
                Event::Told { uuid, code } => pairings.entry(uuid).or_default().told.push(code.clone()),
                Event::Expired { uuid } => pairings.entry(uuid).or_default().expired = true,
                Event::Token { code, email } => tokens.entry(code).or_default().push(email),
                Event::Unknown { code } => *unknown.entry(code).or_default() += 1,
                Event::Fruitless { code } => broken.push(format!("the code {code} opened nothing")),
            }
        }
        let mut owners = HashMap::new();
        for (uuid, pairing) in &pairings {
            figures.begun += 1;
            broken.extend(pairing.judge().into_iter().map(|why| format!("{uuid}: {why}")));
            for told in &pairing.told {
                match told {
                    Some(code) => {
                        figures.approved += 1;
                        owners.insert(code.as_str(), pairing.person);
                    }
                    None => figures.refused += 1,
                }
            }
        }
        figures.unknown = unknown.values().sum();
        for (code, emails) in &tokens {
            figures.tokens += 1;
            let owner = owners.get(code).copied().flatten().map(super::flow::address);
            if emails.len() > 1 {
                broken.push(format!("the code {code} was redeemed {} times", emails.len()));
            }
            if emails.iter().any(|email| Some(*email) != owner.as_deref()) {
                broken.push(format!("the code {code} of {owner:?} opened {emails:?}"));
            }
        }
        if broken.is_empty() { Ok(figures) } else { Err(broken) }
    }
}

impl Pairing {
    fn judge(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut say = |is_broken: bool, why: &str| {
            if is_broken {
                broken.push(why.to_owned());
            }
        };
        let said = |yes: bool| self.answers.iter().any(|answer| answer.1 == yes);
        say(self.acknowledged == Some(true) && self.expired, "an acknowledged approval was lost");
        say(
            self.acknowledged == Some(true) && self.told.iter().any(Option::is_none),
            "an acknowledged yes became a no",
        );
        say(
            self.acknowledged == Some(false) && self.told.iter().any(Option::is_some),
            "an acknowledged no became a yes",
        );
        say(self.told.iter().any(Option::is_some) && !said(true), "approved, and nobody said yes");
        say(self.told.iter().any(Option::is_none) && !said(false), "refused, and nobody said no");
        say(
            self.answers.iter().any(|answer| Some(answer.0) != self.person),
            "somebody else's phone was asked",
        );
        let mut codes: Vec<_> = self.told.iter().flatten().collect();
        codes.dedup();
        say(codes.len() > 1, "two codes for one approval");
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(events: &[Event]) -> Result<Figures, Vec<String>> {
        let history = History::default();
        events.iter().for_each(|event| history.note(event.clone()));
        history.judge()
    }

    #[test]
    fn a_judge_that_sees_nothing_would_be_worth_nothing() {
        let uuid = || "u".to_owned();
        let code = || "c".to_owned();
        let begun = Event::Begun { person: 1, uuid: uuid() };
        let yes = Event::Answered { uuid: uuid(), person: 1, yes: true };
        let heard = Event::Acknowledged { uuid: uuid(), yes: true };
        let told = Event::Told { uuid: uuid(), code: Some(code()) };
        let token = Event::Token { code: code(), email: super::super::flow::address(1) };
        let good = [begun.clone(), yes.clone(), heard.clone(), told.clone(), token.clone()];
        assert_eq!(judged(&good).unwrap().tokens, 1);
        for (bad, why) in [
            (vec![begun.clone(), yes.clone(), heard.clone(), Event::Expired { uuid: uuid() }], "was lost"),
            (
                vec![begun.clone(), yes.clone(), heard, Event::Told { uuid: uuid(), code: None }],
                "became a no",
            ),
            (vec![begun.clone(), told.clone()], "nobody said yes"),
            ([&good[..], &[token]].concat(), "redeemed 2 times"),
            ([&good[..4], &[Event::Token { code: code(), email: "x".to_owned() }]].concat(), "opened"),
            (vec![begun.clone(), Event::Answered { uuid: uuid(), person: 2, yes: true }], "else's phone"),
            (vec![begun, yes, told, Event::Told { uuid: uuid(), code: Some("d".to_owned()) }], "two codes"),
        ] {
            let broken = judged(&bad).unwrap_err();
            assert!(broken.iter().any(|text| text.contains(why)), "{why}: {broken:?}");
        }
    }
}
