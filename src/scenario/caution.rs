//! What is allowed but may do harm.

use std::fmt;
use std::time::Duration;

use super::variant::Variant;
use super::{Dialect, Endpoint, Scenario, Verification, Wish};
use crate::units::format::{count, duration};

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
    /// A table whose rows are taken once has too few of them, as far as that is known.
    FewRows {
        /// The table's name.
        table: String,
        /// Its rows.
        rows: u64,
        /// Operations of the schedule; `None` where nothing bounds them.
        operations: Option<u64>,
    },
    /// A retry may wait for longer than the pause that stops the run.
    WaitStopsRun {
        /// The longest wait of a retry.
        longest_wait: Duration,
        /// A longer Retry-After stops the run.
        most: Duration,
    },
    /// A variant is left out by the checks, because nobody could tell which of its operations a read shows.
    NotChecked {
        /// The variant's name.
        variant: String,
    },
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
            Self::NotChecked { variant } => write!(
                f,
                "variant `{variant}` is not checked: its body gives the attribute of `checks.track` no value with \
                 `{{{{ unique }}}}`, or its columns are not those of the first table, which is the one that is read"
            ),
            Self::FewRows { table, rows, operations } => {
                let rows = count(*rows);
                match operations {
                    Some(operations) => write!(
                        f,
                        "the data table `{table}` has {rows} rows, too few for its share of {} operations, and gives each of \
                         them once, so the run ends early",
                        count(*operations)
                    )?,
                    None => write!(
                        f,
                        "the data table `{table}` has {rows} rows and gives each of them once, so the run ends when they are \
                         used up, and nothing says that it needs no more"
                    )?,
                }
                f.write_str("; add rows, set `load.iterations`, or take rows again with `pick`")
            }
            Self::WaitStopsRun { longest_wait, most } => write!(
                f,
                "`retry.longest_wait` is {}, and a Retry-After of more than {} stops the run before; raise `stop.retry_after`, too",
                duration(*longest_wait),
                duration(*most)
            ),
        }
    }
}

impl Scenario {
    /// What may do harm or end the run early, in the order of the file.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        let is_insecure = self.target.connection.tls.verification == Verification::None;
        let insecure = is_insecure.then_some(Caution::Insecure);
        let changes = self.participants_changed();
        insecure
            .into_iter()
            .chain(changes)
            .chain(self.few_rows())
            .chain(self.wait_stops_run())
            .chain(self.not_checked())
            .collect()
    }

    fn wait_stops_run(&self) -> Option<Caution> {
        let retry = self.retry.as_ref().filter(|retry| retry.retry_after == Wish::Honored)?;
        let (longest_wait, most) = (retry.longest_wait, self.care.stops.retry_after?);
        (longest_wait > most).then_some(Caution::WaitStopsRun { longest_wait, most })
    }

    fn not_checked(&self) -> impl Iterator<Item = Caution> {
        let variants = self.variants.iter().enumerate();
        let left_out = variants.filter(|(i, _)| self.checks.as_ref().is_some_and(|checks| !checks.is_tracked(*i)));
        left_out.map(|(_, variant)| Caution::NotChecked { variant: variant.name.clone() })
    }

    /// Of a limit of ours nothing is known here: it spreads operations over users as they come.
    fn few_rows(&self) -> Option<Caution> {
        let data = self.shortest_unique()?;
        let rows = data.rows.len() as u64;
        let operations = self.load.most_operations();
        let most = self.most_operations()?;
        let is_short = operations.is_none_or(|operations| operations > most);
        is_short.then(|| Caution::FewRows { table: data.name.clone(), rows, operations })
    }

    fn participants_changed(&self) -> Vec<Caution> {
        if matches!(&self.target.endpoint, Endpoint::Simulator(config) if config.dialect == Dialect::Forum) {
            // Its paths end so, and it hangs up on nobody.
            return Vec::new();
        }
        let variants = self.variants.iter().enumerate();
        variants
            .filter(|(i, variant)| self.names_participant(*i, variant))
            .map(|(_, variant)| Caution::ChangesParticipant { variant: variant.name.clone() })
            .collect()
    }

    /// Whether the path of a variant ends with a participant.
    fn names_participant(&self, index: usize, variant: &Variant) -> bool {
        let Ok(request) = variant.render(self, &self.first_operation(index)) else { return false };
        let path = request.path.split('?').next().unwrap_or_default();
        let mut segments = path.trim_end_matches('/').rsplit('/');
        segments.next().is_some_and(|id| !id.is_empty()) && segments.next() == Some("participants")
    }
}
