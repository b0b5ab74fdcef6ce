//! What is shown of a server's texts.

use reqwest::header::HeaderValue;

use crate::scenario::Hidden;

/// How long a text may be, in characters.
pub(super) const LENGTH: usize = 200;

/// A shorter token is in many texts by chance; in bytes.
const SHORTEST_TOKEN: usize = 4;

/// Takes out of a server's texts what no output may show: a server may quote what it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Veil<'a> {
    hidden: &'a Hidden,
    /// The token of the request.
    token: Option<&'a str>,
}

impl<'a> Veil<'a> {
    /// Hides what the scenario holds and the token in this `Authorization`.
    pub(super) fn new(hidden: &'a Hidden, authorization: Option<&'a HeaderValue>) -> Self {
        let value = authorization.and_then(|value| value.to_str().ok());
        let token = value.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        Self { hidden, token: token.filter(|token| token.len() >= SHORTEST_TOKEN) }
    }

    /// One line of printable characters, shortened after the secrets are gone: no part of one is left at its end.
    pub(super) fn shown(self, text: &str) -> String {
        let text = self.hidden.hide(text);
        let text = self.token.map_or_else(|| text.to_string(), |token| text.replace(token, "***"));
        text.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_held_is_not_shown_nor_a_part_of_it() {
        let hidden = Hidden::new([("sesame".to_owned(), "${KEY}".to_owned())]);
        let authorization = HeaderValue::from_static("Bearer not-to-be-shown");
        let veil = Veil::new(&hidden, Some(&authorization));
        assert_eq!(veil.shown("no sesame,\nno not-to-be-shown"), "no ${KEY}, no ***");
        let cut = veil.shown(&format!("{}not-to-be-shown", "a".repeat(LENGTH - 5)));
        assert_eq!(cut, format!("{}***", "a".repeat(LENGTH - 5)));
    }

    #[test]
    fn a_text_is_one_line_of_bounded_length() {
        let nothing = Hidden::default();
        let veil = Veil::new(&nothing, None);
        assert_eq!(veil.shown("a\r\nb"), "a  b");
        assert_eq!(veil.shown(&"ü".repeat(1_000)).chars().count(), LENGTH);
    }
}
