//! Mailboxes: one spelling for each, however an address is typed, and lists of those that mail may go to.

use super::account::Email;

/// An address that mail may be sent to before anybody knows whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// Where mail goes, and what is proven when it comes back.
    pub address: Email,
    spelling: String,
}

impl Mailbox {
    /// `None` when the domain is no name of a host (UTS 46): it could not be held against a list.
    pub fn of(email: &Email) -> Option<Self> {
        let (local, domain) = email.key().rsplit_once('@')?;
        let spelling = format!("{local}@{}", host(domain)?);
        Some(Self { address: unmistakable(email)?, spelling })
    }

    /// The same for all ways to type it: lower case, Unicode's composed form, the domain in ASCII.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    fn domain(&self) -> &str {
        self.spelling.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Letters of other scripts may be taken for ASCII ones where accounts are looked up (the Kelvin sign for a k) and not
/// where the mail arrives. So mail goes where the account's address says, unless all that differs is ASCII case.
fn unmistakable(email: &Email) -> Option<Email> {
    let is_plain = email.as_given().to_ascii_lowercase() == email.key();
    if is_plain { Some(email.clone()) } else { Email::parse(email.key()) }
}

fn host(domain: &str) -> Option<String> {
    url::Host::parse(domain).ok().map(|host| host.to_string())
}

/// Which addresses mail may, or may not, be sent to.
#[derive(Clone, Default, Debug)]
pub struct MailList(Vec<Entry>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Entry {
    Address(String),
    Domain(String),
    /// The domain and all below it.
    Tree(String),
}

impl MailList {
    /// Reads entries: an address; `example.org`, that domain and no other; `.example.org`, it and all below it.
    ///
    /// # Errors
    /// The first text that is none of these.
    pub fn parse(entries: &[String]) -> Result<Self, &str> {
        entries.iter().map(|text| Entry::parse(text).ok_or(text.as_str())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the mailbox is listed.
    pub fn holds(&self, mailbox: &Mailbox) -> bool {
        self.0.iter().any(|entry| match entry {
            Entry::Address(spelling) => mailbox.spelling == *spelling,
            Entry::Domain(domain) => mailbox.domain() == domain,
            Entry::Tree(root) => {
                let above = mailbox.domain().strip_suffix(root.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('@') {
            return Some(Self::Address(Mailbox::of(&Email::parse(text)?)?.spelling));
        }
        // What can't stand behind an @ is no domain of mail.
        let domain =
            |text: &str| Some(Mailbox::of(&Email::parse(&format!("x@{text}"))?)?.domain().to_owned());
        match text.strip_prefix('.') {
            Some(root) => domain(root).map(Self::Tree),
            None => domain(text).map(Self::Domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::of(&Email::parse(text).unwrap()).unwrap()
    }

    fn list(entries: &[&str]) -> MailList {
        let entries: Vec<String> = entries.iter().map(|text| (*text).to_owned()).collect();
        MailList::parse(&entries).unwrap()
    }

    #[test]
    fn a_mailbox_is_the_same_however_it_is_typed() {
        for (a, b) in [
            ("Ann@Example.ORG", "ann@example.org"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--BCHER-kva.example"),
            ("ann@ｅｘａｍｐｌｅ.org", "ann@example.org"),
            ("ann@0x7f.1", "ann@127.0.0.1"),
        ] {
            assert_eq!(mailbox(a).spelling(), mailbox(b).spelling(), "{a}");
        }
    }

    #[test]
    fn mail_goes_where_the_account_is_and_not_where_a_lookalike_is() {
        assert_eq!(mailbox("Ann@Example.org").address.as_given(), "Ann@Example.org");
        let lookalike = mailbox("mi\u{212a}e@example.org");
        assert_eq!(lookalike.address.as_given(), "mike@example.org");
        assert_eq!(lookalike.spelling(), "mike@example.org");
    }

    #[test]
    fn a_domain_covers_itself_and_a_dotted_one_all_below_it_too() {
        let list = list(&["example.org", ".Example.NET", "ann@example.com", "bücher.example"]);
        for inside in [
            "x@EXAMPLE.org",
            "x@example.net",
            "x@a.b.example.net",
            "ANN@example.com",
            "x@xn--bcher-kva.example",
        ] {
            assert!(list.holds(&mailbox(inside)), "{inside}");
        }
        for outside in
            ["x@a.example.org", "x@example.org.evil.test", "x@badexample.net", "bob@example.com", "x@net"]
        {
            assert!(!list.holds(&mailbox(outside)), "{outside}");
        }
    }

    #[test]
    fn what_is_neither_address_nor_domain_is_told() {
        for bad in ["", "*", "*.example.org", "example.org.", "..org", "a b", "@example.org", "http://x.org"]
        {
            assert_eq!(MailList::parse(&[bad.to_owned()]).err(), Some(bad), "{bad}");
        }
    }
}
