//! `${NAME}` in texts: what it stands for, and how the text is shown without it.

/// A text of the scenario after substitution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The text to use.
    pub(super) value: String,
    /// The text to show: every `${NAME}` stands as it was written.
    pub(super) shown: String,
    /// Whether anything came from the environment, so that `value` must not be shown.
    pub(super) substituted: bool,
}

/// What is wrong with a `${`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvironmentError {
    /// There is no such variable.
    #[error("needs the environment variable {0}, which is not set; set it, or write `$${{` for the text `${{`")]
    Unset(String),
    /// No name, or no end.
    #[error("has a `${{` without a name and a `}}`; write `${{NAME}}`, or `$${{` for the text `${{`")]
    Malformed,
}

impl EnvironmentError {
    /// What stands where it is wrong.
    pub(super) fn to_find(&self) -> String {
        match self {
            Self::Unset(name) => format!("${{{name}}}"),
            Self::Malformed => "${".to_owned(),
        }
    }
}

/// Puts the values of `${NAME}` in; `$${` is the text `${`.
///
/// # Errors
/// All variables that are not set, and texts that are no variable.
pub(super) fn substitute(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Text, Vec<EnvironmentError>> {
    let mut result = Text { value: String::new(), shown: String::new(), substituted: false };
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            result.push(before);
            result.push("${");
            rest = &from[2..];
            continue;
        }
        result.push(before);
        let Some((name, after)) = from[2..].split_once('}').filter(|(name, _)| is_variable(name)) else {
            errors.push(EnvironmentError::Malformed);
            rest = &from[2..];
            continue;
        };
        match environment(name) {
            Some(value) => {
                result.value.push_str(&value);
                result.shown.push_str(&from[..name.len() + 3]);
                result.substituted = true;
            }
            None => errors.push(EnvironmentError::Unset(name.to_owned())),
        }
        rest = after;
    }
    result.push(rest);
    if errors.is_empty() { Ok(result) } else { Err(errors) }
}

impl Text {
    fn push(&mut self, literal: &str) {
        self.value.push_str(literal);
        self.shown.push_str(literal);
    }
}

/// Whether a text consists of nothing but `${NAME}`, so that it shows no secret.
pub(super) fn is_reference(text: &str) -> bool {
    let mut rest = text;
    while let Some((name, after)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        if !is_variable(name) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn puts_values_in_once_and_keeps_what_is_escaped() {
        for (text, value, shown) in [
            ("", "", ""),
            ("a$b{c}", "a$b{c}", "a$b{c}"),
            ("x${A}y${A}", "xalphayalpha", "x${A}y${A}"),
            ("$${A} ${A}", "${A} alpha", "${A} ${A}"),
            ("${NESTED}", "${A}", "${NESTED}"),
            ("ü${A}", "üalpha", "ü${A}"),
        ] {
            let result = substitute(text, &environment).unwrap();
            assert_eq!((result.value.as_str(), result.shown.as_str()), (value, shown), "{text}");
        }
    }

    #[test]
    fn names_every_variable_that_is_not_set() {
        let unset = |name: &str| EnvironmentError::Unset(name.to_owned());
        assert_eq!(substitute("${B}${A}${C}", &environment), Err(vec![unset("B"), unset("C")]));
        for text in ["${", "${}", "${1}", "${a b}", "${A"] {
            assert_eq!(substitute(text, &environment), Err(vec![EnvironmentError::Malformed]), "{text}");
        }
    }

    #[test]
    fn a_reference_shows_no_secret() {
        for (text, expected) in [("${A}", true), ("${A}${B}", true), ("", true), ("x${A}", false), ("${A b}", false)] {
            assert_eq!(is_reference(text), expected, "{text}");
        }
    }
}
