//! Telephone numbers in one form (E.164), and the identifiers by which people name their accounts.

use std::fmt;

use phonenumber::Metadata;
use phonenumber::metadata::DATABASE;

use super::account::Email;

/// The longest text that is read as a number; with its punctuation no real one comes near.
const MAX_TEXT: usize = 64;

/// A country by its ISO 3166 code, whose numbers may be given without a country code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Country(phonenumber::country::Id);

impl Country {
    /// Reads `CH` or `ch`; `None` for a country that has no numbering plan of its own.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.trim().to_ascii_uppercase().parse::<phonenumber::country::Id>().ok()?;
        DATABASE.by_id(id.as_ref()).map(|_| Self(id))
    }
}

/// A telephone number that could be dialled, in E.164: `+41791234567`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Reads a number however it is punctuated. One that begins with neither `+` nor `00` is of the country `at_home`;
    /// where there is none it must begin with its country code all the same.
    pub fn parse(text: &str, at_home: Option<Country>) -> Option<Self> {
        let kept = without_punctuation(text)?;
        let abroad = kept.strip_prefix('+').or_else(|| kept.strip_prefix("00"));
        let digits = abroad.unwrap_or(&kept);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        match at_home.filter(|_| abroad.is_none()) {
            Some(country) => national(digits, country),
            None => international(digits),
        }
        // The one form must be read as itself, or what is stored is not found.
        .filter(|phone| international(&phone.0[1..]).as_ref() == Some(phone))
    }

    /// `+`, the country code, the national number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn without_punctuation(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let is_punctuation = |c: char| c.is_whitespace() || "-().,/\u{2010}\u{2011}\u{2012}\u{2013}".contains(c);
    Some(text.chars().filter(|c| !is_punctuation(*c)).collect())
}

/// Digits that begin with a country code.
fn international(digits: &str) -> Option<Phone> {
    // No code begins with another one (ITU-T E.164), and none with a zero.
    let (code, rest) = (1..=3).filter(|_| !digits.starts_with('0')).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let code = code.parse().ok()?;
        DATABASE.by_code(&code).map(|_| (code, rest))
    })?;
    // `+41 (0)79 …`: the zero is dialled at home only. Other prefixes are not written so, and may be part of a number.
    let with_zero =
        plans(code).into_iter().filter_map(Metadata::national_prefix).find(|p| p.starts_with('0'));
    let stripped = with_zero.and_then(|prefix| rest.strip_prefix(prefix));
    stripped.and_then(|rest| dialled(code, rest)).or_else(|| dialled(code, rest))
}

/// Digits as they are dialled in a country.
fn national(digits: &str, country: Country) -> Option<Phone> {
    let plan = DATABASE.by_id(country.0.as_ref())?;
    let code = plan.country_code();
    let stripped = plan.national_prefix().and_then(|prefix| digits.strip_prefix(prefix));
    // With carriers' codes and what else a country has of its own.
    let by_its_rules = || {
        let number = phonenumber::parse(Some(country.0), digits).ok()?;
        dialled(number.code().value(), &number.national().to_string())
    };
    stripped
        .and_then(|rest| dialled(code, rest))
        .or_else(|| dialled(code, digits))
        .or_else(|| digits.strip_prefix(&code.to_string()).and_then(|rest| dialled(code, rest)))
        .or_else(by_its_rules)
}

/// The number, if one of its country may be so long. Possible, not assigned: numbering plans change faster than this
/// program is replaced.
fn dialled(code: u16, national: &str) -> Option<Phone> {
    let length = u16::try_from(national.len()).ok()?;
    let is_possible = plans(code).into_iter().any(|plan| has_numbers_of(plan, length));
    let e164 = format!("+{code}{national}");
    // E.164 §6.1: at most fifteen digits.
    (is_possible && e164.len() <= 16).then_some(Phone(e164))
}

/// The numbering plans that share a country code.
fn plans(code: u16) -> Vec<&'static Metadata> {
    DATABASE.by_code(&code).unwrap_or_default()
}

/// Whether somebody's number of some sort is so long in a numbering plan.
fn has_numbers_of(plan: &Metadata, length: u16) -> bool {
    let sorts = plan.descriptors();
    let sorts = [
        sorts.fixed_line(),
        sorts.mobile(),
        sorts.toll_free(),
        sorts.premium_rate(),
        sorts.shared_cost(),
        sorts.personal_number(),
        sorts.voip(),
        sorts.pager(),
        sorts.uan(),
    ];
    sorts.into_iter().flatten().any(|sort| sort.possible_length().contains(&length))
}

/// What somebody names an account by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identifier {
    /// Its address.
    Email(Email),
    /// Its telephone number.
    Phone(Phone),
    /// A text that is neither: nobody's, and looked for like any other.
    Nobodys,
}

impl Identifier {
    /// Reads an address, which has an `@`, or a telephone number.
    pub fn parse(text: &str, at_home: Option<Country>) -> Self {
        if text.contains('@') {
            return Self::address(text);
        }
        Phone::parse(text, at_home).map_or(Self::Nobodys, Self::Phone)
    }

    /// Reads an address, for surfaces that know nothing else.
    pub fn address(text: &str) -> Self {
        Email::parse(text).map_or(Self::Nobodys, Self::Email)
    }

    /// The form that is compared and indexed; of what is nobody's one that no account can have.
    pub fn key(&self) -> &str {
        match self {
            Self::Email(email) => email.key(),
            Self::Phone(phone) => phone.as_str(),
            Self::Nobodys => "nobody",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(country: &str, text: &str) -> Option<String> {
        let country = (!country.is_empty()).then(|| Country::parse(country).unwrap());
        Phone::parse(text, country).map(|phone| phone.as_str().to_owned())
    }

    #[test]
    fn a_number_has_one_form_however_it_is_written() {
        for (country, spellings, form) in [
            (
                "CH",
                &["+41 79 123 45 67", "0041 (79) 123-45.67", "079/123 45 67", "0791234567", "41791234567"][..],
                "+41791234567",
            ),
            ("", &["+41791234567", "+41 (0)79 123 45 67", "41 79 123 45 67"], "+41791234567"),
            (
                "FR",
                &["06 12 34 56 78", "+33 6 12 34 56 78", "0033612345678", "+33 (0)6.12.34.56.78"],
                "+33612345678",
            ),
            ("CH", &["+33 6\u{a0}12\u{202f}34\u{2011}56 78"], "+33612345678"),
            ("US", &["(202) 555-0123", "1 202 555 0123", "+1-202-555-0123"], "+12025550123"),
            // Their leading zero is part of the number.
            ("IT", &["06 6982 1234", "+39 06 6982 1234"], "+390669821234"),
            ("BJ", &["+229 01 97 12 34 56"], "+2290197123456"),
            // Begins with what is a prefix elsewhere in its country.
            ("RU", &["8 800 123-45-67", "+7 800 123-45-67", "800 1234567"], "+78001234567"),
            ("DE", &["030 123456", "+49 (0)30 123456", "0049 30 123456"], "+4930123456"),
            ("BR", &["0 15 21 2345-6789", "+55 21 2345-6789"], "+552123456789"),
        ] {
            for text in spellings {
                assert_eq!(at(country, text).as_deref(), Some(form), "{country} {text}");
            }
        }
    }

    #[test]
    fn every_country_s_own_numbers_are_known_at_home_and_abroad() {
        assert!(DATABASE.iter().count() > 200);
        for plan in DATABASE.iter() {
            let sorts = [plan.descriptors().mobile(), plan.descriptors().fixed_line()];
            for number in sorts.into_iter().flatten().filter_map(|sort| sort.example()) {
                let form = format!("+{}{number}", plan.country_code());
                assert_eq!(at("", &form).as_ref(), Some(&form), "{}", plan.id());
                let Some(country) = Country::parse(plan.id()) else { continue };
                let at_home = format!("{}{number}", plan.national_prefix().unwrap_or_default());
                let read = Phone::parse(&at_home, Some(country)).map(|phone| phone.as_str().to_owned());
                assert_eq!(read, Some(form), "{} {at_home}", plan.id());
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(2000))]

        #[test]
        fn what_is_kept_is_read_as_itself_wherever_one_is_at_home(text in "[+]?[0-9]{1,16}", at in 0..5_usize) {
            let at_home = ["", "CH", "US", "IT", "RU"][at];
            if let Some(form) = super::tests::at(at_home, &text) {
                for country in ["", "CH", "US", "IT", "RU"] {
                    proptest::prop_assert_eq!(super::tests::at(country, &form), Some(form.clone()));
                }
            }
        }

        #[test]
        fn no_text_is_too_much_for_it(text in ".{0,80}", number in "[-+0-9 ().x/;=#]{0,40}") {
            for text in [text, number] {
                super::tests::at("", &text);
                super::tests::at("FR", &text);
            }
        }
    }

    #[test]
    fn what_is_no_possible_number_is_none() {
        let long = "1".repeat(10_000);
        for text in [
            "",
            "+",
            "00",
            "12",
            "call me",
            "+1234567890123456",
            "12+34567",
            "++41791234567",
            "+41791234567;ext=5",
            "+41 79 123 45 67 x89",
            "+999 123 456",
            "0791234567",
            "tel:+41791234567",
            "1-800-FLOWERS",
            "+41",
            "+0791234567",
            "٠٧٩١٢٣٤٥٦٧",
            "+41\u{202e}791234567",
            "+41791234567\0",
            &long,
        ] {
            assert_eq!(at("", text), None, "{text}");
        }
        assert_eq!(at("CH", "123"), None);
    }

    #[test]
    fn countries_are_known_by_their_code() {
        assert_eq!(Country::parse(" ch "), Country::parse("CH"));
        for none in ["", "Switzerland", "XX", "001", "C"] {
            assert_eq!(Country::parse(none), None, "{none}");
        }
    }

    #[test]
    fn an_identifier_is_an_address_a_number_or_nobodys() {
        let country = Country::parse("CH");
        assert!(matches!(Identifier::parse("Ann@Example.org", country), Identifier::Email(_)));
        assert_eq!(Identifier::parse("079 123 45 67", country).key(), "+41791234567");
        for none in ["", "ann", "Ann <ann@example.org>", "\"ann\"@example.org", "ann@example.org.", "+41"] {
            assert_eq!(Identifier::parse(none, country), Identifier::Nobodys, "{none}");
        }
        assert_eq!(Identifier::address("+41791234567"), Identifier::Nobodys);
    }
}
