//! What is bound to an account, as a letter lists it for an owner who may not have bound it.

use super::letter::quotable;
use super::templates::{labels, method_name};
use crate::domain::factor::Method;
use crate::domain::language::Language;

/// What is bound to an account whose address was proven for the first time. Names are as clients chose them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Bound {
    /// Phones that approve logins.
    pub(crate) phones: Vec<String>,
    /// Other devices that are logged in.
    pub(crate) devices: Vec<String>,
    /// Devices that are not asked for a second factor.
    pub(crate) trusted: Vec<String>,
    pub(crate) methods: Vec<Method>,
}

/// The most names that one line of a letter tells.
const NAMES: usize = 20;

impl Bound {
    /// A line for each sort of thing that is there.
    pub(super) fn lines(&self, language: Language) -> Vec<String> {
        let labels = labels(language).bound;
        let methods = self.methods.iter().map(|method| method_name(language, *method).to_owned()).collect();
        [
            (labels.phones, quoted(&self.phones)),
            (labels.devices, quoted(&self.devices)),
            (labels.trusted, quoted(&self.trusted)),
            (labels.factors, methods),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(label, names)| format!("{label} {}", names.join(", ")))
        .collect()
    }
}

fn quoted(names: &[String]) -> Vec<String> {
    let mut quoted: Vec<_> = names.iter().take(NAMES).map(|name| format!("\"{}\"", quotable(name))).collect();
    if names.len() > NAMES {
        quoted.push("…".to_owned());
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sort_of_thing_that_is_bound_has_a_line() {
        let bound = Bound {
            phones: vec!["Pixel".to_owned(), "<b>&\" 482913\r\n".to_owned()],
            devices: vec!["Laptop".to_owned(); NAMES + 1],
            trusted: vec![],
            methods: vec![Method::Email, Method::Mobile],
        };
        let lines = bound.lines(Language::En);
        assert_eq!(lines[0], "Phones that may approve: \"Pixel\", \"<b>& 48291…3\"");
        assert!(lines[1].starts_with("Logged in: \"Laptop\"") && lines[1].ends_with("\"Laptop\", …"));
        assert_eq!(lines[1].matches("Laptop").count(), NAMES);
        assert_eq!(lines[2..], ["Second factors: codes by mail, approval by phone"]);
        assert!(Bound::default().lines(Language::De).is_empty());
    }
}
