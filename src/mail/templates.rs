//! What letters say, a file for each language. Words in braces are filled in: `{device}`, `{method}`, `{code}`,
//! `{minutes}`, `{left}`; which of them a letter has is the same in every language.

mod de;
mod en;
mod es;
mod fr;

use crate::domain::factor::Method;
use crate::domain::language::Language;

/// A letter: its subject, what happened (paragraphs by empty lines), and what to do if it was not the owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    pub(super) subject: &'static str,
    pub(super) what: &'static str,
    pub(super) advice: &'static str,
}

/// A second factor in the reader's language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Methods {
    email: &'static str,
    mobile: &'static str,
    authenticator: &'static str,
    backup_code: &'static str,
}

impl Methods {
    pub(super) fn name(&self, method: Method) -> &'static str {
        match method {
            Method::Email => self.email,
            Method::Mobile => self.mobile,
            Method::Authenticator => self.authenticator,
            Method::BackupCode => self.backup_code,
        }
    }
}

/// All letters in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Templates {
    pub(super) when: &'static str,
    pub(super) from: &'static str,
    pub(super) methods: Methods,
    pub(super) registration_tried: Template,
    pub(super) phone_added: Template,
    pub(super) phone_removed: Template,
    pub(super) codes_replaced: Template,
    pub(super) factor_removed: Template,
    pub(super) password_changed: Template,
    pub(super) locked: Template,
    pub(super) login_code: Template,
    pub(super) enable_code: Template,
    pub(super) factor_added: Template,
    pub(super) two_factor_off: Template,
    pub(super) codes_low: Template,
    pub(super) device_trusted: Template,
}

/// The letters in a language.
pub(super) fn of(language: Language) -> &'static Templates {
    match language {
        Language::En => &en::TEMPLATES,
        Language::Fr => &fr::TEMPLATES,
        Language::De => &de::TEMPLATES,
        Language::Es => &es::TEMPLATES,
    }
}

/// Puts `value(name)` in the place of every `{name}`; what was put in is not looked at again.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((value(name)?, tail))) {
            Some((filled, tail)) => {
                out.push_str(&filled);
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let value = |name: &str| (name == "device").then(|| "{code} {device}".to_owned());
        assert_eq!(fill("a {device} b {other} {", value), "a {code} {device} b {other} {");
    }
}
