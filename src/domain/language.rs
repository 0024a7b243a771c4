//! The languages that mail is written in, and how a client's wish is read.

/// A language of mail; English when nobody said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// German.
    De,
    /// Spanish.
    Es,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::En, Self::Fr, Self::De, Self::Es];

    /// Its primary tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::De => "de",
            Self::Es => "es",
        }
    }

    /// Reads a tag: `fr`, `FR-ca`, `de_AT`. `None` for a language that mail is not written in.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best of an `Accept-Language` header (RFC 9110 §12.5.4); `None` when it names none of them.
    pub fn from_accept(header: &str) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        for item in header.split(',').take(32) {
            let (tag, weight) = item.split_once(";").map_or((item, 1.0), |(tag, q)| {
                (tag, q.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok()).unwrap_or(0.0))
            });
            if let Some(language) = Self::from_tag(tag)
                && weight > best.map_or(0.0, |(_, known)| known)
            {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_s_wish_is_read_by_its_weights() {
        let of = Language::from_accept;
        assert_eq!(of("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5"), Some(Language::Fr));
        assert_eq!(of("ja, de;q=0.3, es;q=0.4"), Some(Language::Es));
        assert_eq!(of("en;q=0, de;q=nonsense"), None);
        assert_eq!(of(""), None);
        assert_eq!(of("*"), None);
        assert_eq!(Language::from_tag("de_AT"), Some(Language::De));
    }
}
