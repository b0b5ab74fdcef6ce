//! What no output may show, although a server may quote it.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for a secret that has no name in the environment.
pub(super) const UNNAMED: &str = "***";

/// A shorter text is in many texts by chance; in bytes.
const SHORTEST: usize = 4;

/// What is percent-encoded in a part of a URL: all but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Texts that no output may show, each with what stands for it. Very short ones are not among them.
#[derive(Clone, Default)]
pub struct Hidden {
    /// The longest first, so that one which is a part of another does not leave the rest of it.
    texts: Vec<(String, String)>,
}

impl Hidden {
    /// Hides each of these texts behind the one beside it, as it is and percent-encoded. Of a text that is there twice the
    /// first counts.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all: Vec<(String, String)> = Vec::new();
        for (text, shown) in texts.into_iter().filter(|(text, _)| text.len() >= SHORTEST) {
            let encoded = utf8_percent_encode(&text, RESERVED).to_string();
            for form in [text, encoded] {
                if all.iter().all(|(known, _)| *known != form) {
                    all.push((form, shown.clone()));
                }
            }
        }
        all.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { texts: all }
    }

    /// The same with a secret that has no name.
    #[must_use]
    pub fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        Self::new(secrets.into_iter().map(|secret| (secret, UNNAMED.to_owned())))
    }

    /// A text with nothing hidden in it.
    #[must_use]
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut result = Cow::Borrowed(text);
        for (hidden, shown) in &self.texts {
            if result.contains(hidden.as_str()) {
                result = Cow::Owned(result.replace(hidden.as_str(), shown));
            }
        }
        result
    }
}

impl fmt::Debug for Hidden {
    /// Without what is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts.iter().map(|(_, shown)| shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hidden(texts: &[(&str, &str)]) -> Hidden {
        Hidden::new(texts.iter().map(|(text, shown)| ((*text).to_owned(), (*shown).to_owned())))
    }

    #[test]
    fn what_is_hidden_is_shown_by_its_name_also_percent_encoded() {
        let hidden = hidden(&[("a b/c", "${KEY}"), ("sesame", UNNAMED), ("sesame", "${LATER}")]);
        assert_eq!(hidden.hide("no a b/c, no a%20b%2Fc, no sesame"), "no ${KEY}, no ${KEY}, no ***");
        assert!(matches!(hidden.hide("nothing here"), Cow::Borrowed(_)));
        assert_eq!(format!("{hidden:?}"), r#"["${KEY}", "***", "${KEY}"]"#);
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it() {
        let hidden = hidden(&[("open", "${A}"), ("open sesame", "${B}")]);
        assert_eq!(hidden.hide("open sesame, open"), "${B}, ${A}");
    }

    #[test]
    fn a_very_short_text_is_not_hidden() {
        assert_eq!(hidden(&[("abc", "${A}"), ("", "${B}")]).hide("abcd"), "abcd");
    }

    proptest! {
        #[test]
        fn nothing_that_is_hidden_is_left(secret in "[a-z]{4,8}", text in "[a-z ]{0,30}", at in 0..30_usize) {
            let mut quoting = text.clone();
            quoting.insert_str(at.min(text.len()), &secret);
            let shown = Hidden::of([secret.clone()]).hide(&quoting).into_owned();
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
