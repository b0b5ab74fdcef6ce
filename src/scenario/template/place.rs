//! Where a template stands, and so how what is put into it is escaped. The template's own text stays as written.

use std::fmt::{self, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All that is not unreserved (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a place refuses a text.
pub(super) const REFUSAL: &str = "a header would hold a line break or another character that is not visible ASCII";

/// Where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Place {
    /// A path: percent-encoded.
    Path,
    /// A header: verbatim; anything but visible ASCII, blanks and tabs is refused.
    Header,
    /// Inside a text of a JSON body: escaped, without quotes around it.
    Json,
    /// Any other body: verbatim.
    Text,
    /// Inside a text of a JSONPath query: quotes and backslashes as `\u0027` and the like, which either kind of quotes takes.
    Query,
}

impl Place {
    /// All places.
    pub(super) const ALL: [Self; 5] = [Self::Path, Self::Header, Self::Json, Self::Text, Self::Query];

    /// The name by which the engine knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Header => "header",
            Self::Json => "json",
            Self::Text => "text",
            Self::Query => "query",
        }
    }
}

/// Escapes what is written into it.
pub(super) struct Escaped<'a> {
    pub(super) place: Place,
    pub(super) out: &'a mut dyn Write,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.place {
            Place::Path => utf8_percent_encode(text, RESERVED).try_for_each(|part| self.out.write_str(part)),
            Place::Header if is_header_value(text) => self.out.write_str(text),
            Place::Header => Err(fmt::Error),
            Place::Json => write_json(text, self.out),
            Place::Text => self.out.write_str(text),
            Place::Query => text.chars().try_for_each(|c| match c {
                '\'' | '"' | '\\' | ..' ' => write!(self.out, "\\u{:04x}", u32::from(c)),
                _ => self.out.write_char(c),
            }),
        }
    }
}

/// Whether a header may hold the text.
pub(in crate::scenario) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// Writes the inside of a JSON string (RFC 8259, 7).
fn write_json(text: &str, out: &mut dyn Write) -> fmt::Result {
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | ..b' ') {
            continue;
        }
        out.write_str(&text[start..at])?;
        start = at + 1;
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
    }
    out.write_str(&text[start..])
}
