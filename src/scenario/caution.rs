//! What is allowed but may do harm.

use std::fmt;

use super::variant::Variant;
use super::{Dialect, Endpoint, Scenario, Verification};

/// Something in a scenario that is allowed but may do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caution {
    /// A variant changes the participant itself instead of its attributes.
    ChangesParticipant {
        /// The variant's name.
        variant: String,
    },
    /// Certificates are not checked.
    Insecure,
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangesParticipant { variant } => write!(
                f,
                "variant `{variant}` changes the participant itself; there, a body with `state: \"disconnected\"` hangs up \
                 the call; append `/attributes` to the path if you mean the attributes"
            ),
            Self::Insecure => f.write_str(
                "certificates are not checked, so anybody on the way may read the tokens; name the server's authority in \
                 `target.connection.tls.ca_file` instead of `insecure`",
            ),
        }
    }
}

impl Scenario {
    /// What may do harm, in the order of the file.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        if matches!(&self.target.endpoint, Endpoint::Simulator(config) if config.dialect == Dialect::Forum) {
            // Its paths end so, and it hangs up on nobody.
            return Vec::new();
        }
        let is_insecure = self.target.connection.tls.verification == Verification::None;
        let insecure = is_insecure.then_some(Caution::Insecure);
        let variants = self.variants.iter().enumerate();
        let changes = variants
            .filter(|(i, variant)| self.names_participant(*i, variant))
            .map(|(_, variant)| Caution::ChangesParticipant { variant: variant.name.clone() });
        insecure.into_iter().chain(changes).collect()
    }

    /// Whether the path of a variant ends with a participant.
    fn names_participant(&self, index: usize, variant: &Variant) -> bool {
        let Ok(request) = variant.render(self, &self.first_operation(index)) else { return false };
        let path = request.path.split('?').next().unwrap_or_default();
        let mut segments = path.trim_end_matches('/').rsplit('/');
        segments.next().is_some_and(|id| !id.is_empty()) && segments.next() == Some("participants")
    }
}
