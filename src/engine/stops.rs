//! Whether the target tells us to go away: rules over closed seconds, without a clock.

use std::time::Duration;

use crate::measure::{Counts, Outcome, Refusals, Warning};
use crate::scenario::{StopRules, Unauthorized};
use crate::units::Share;

/// Watches a run for what is to stop it.
#[derive(Debug)]
pub(super) struct Stops {
    rules: StopRules,
    /// For how many seconds so many answers were 401 or 403; quiet seconds in between count.
    refused: Streak,
}

#[derive(Debug, Default)]
struct Streak {
    seconds: u64,
    /// In all of them.
    unauthorized: u64,
    answers: u64,
}

impl Stops {
    pub(super) fn new(rules: StopRules) -> Self {
        Self { rules, refused: Streak::default() }
    }

    /// What stops the run after a second with these counts and refusals; `None` where nothing does.
    pub(super) fn second(&mut self, counts: &Counts, refusals: Refusals) -> Option<Warning> {
        let pause = refusals.longest_retry_after;
        if let Some(most) = self.rules.retry_after.filter(|most| pause > *most) {
            return Some(Warning::RetryAfterTooLong { retry_after_s: pause.as_secs_f64(), most_s: most.as_secs_f64() });
        }
        let rule = self.rules.unauthorized?;
        let answers = counts.attempts() - counts.outcome(Outcome::Broken);
        let lasted = self.refused_for(rule, answers, refusals.unauthorized)?;
        (lasted >= rule.lasting).then(|| Warning::Unauthorized {
            share: share(self.refused.unauthorized, self.refused.answers),
            for_s: lasted.as_secs_f64(),
        })
    }

    /// For how long the share was reached, up to the end of this second; `None` where it was not, or nothing was answered
    /// in it: a quiet second neither refuses nor accepts.
    fn refused_for(&mut self, rule: Unauthorized, answers: u64, unauthorized: u64) -> Option<Duration> {
        if answers == 0 {
            self.refused.seconds += u64::from(self.refused.seconds > 0);
            return None;
        }
        if unauthorized == 0 || share(unauthorized, answers) < rule.share.get() {
            self.refused = Streak::default();
            return None;
        }
        self.refused.seconds += 1;
        self.refused.unauthorized += unauthorized;
        self.refused.answers += answers;
        Some(Duration::from_secs(self.refused.seconds))
    }
}

#[expect(clippy::cast_precision_loss, reason = "answers of some seconds stay far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    Share::new(part as f64 / whole as f64).unwrap_or_default().get()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(share: &str, seconds: u64) -> Stops {
        let unauthorized = Unauthorized { share: share.parse().unwrap(), lasting: Duration::from_secs(seconds) };
        Stops::new(StopRules { retry_after: Some(Duration::from_mins(3)), unauthorized: Some(unauthorized) })
    }

    /// A second with so many refusals among so many answers.
    fn second(stops: &mut Stops, unauthorized: u64, answers: u64) -> Option<Warning> {
        let mut counts = Counts::default();
        counts.outcomes[Outcome::Rejected.index()] = unauthorized;
        counts.outcomes[Outcome::Accepted.index()] = answers - unauthorized;
        stops.second(&counts, Refusals { unauthorized, longest_retry_after: Duration::ZERO })
    }

    #[test]
    fn a_pause_longer_than_allowed_stops_the_run_at_once() {
        let mut stops = stops("50%", 10);
        let mut after = |seconds| {
            let refusals = Refusals { unauthorized: 0, longest_retry_after: Duration::from_secs(seconds) };
            stops.second(&Counts::default(), refusals)
        };
        assert_eq!(after(180), None);
        assert_eq!(after(181), Some(Warning::RetryAfterTooLong { retry_after_s: 181.0, most_s: 180.0 }));
    }

    #[test]
    fn refusals_stop_the_run_when_they_have_lasted() {
        let mut stops = stops("50%", 3);
        let seen: Vec<_> = [5, 9, 5].into_iter().map(|refused| second(&mut stops, refused, 10)).collect();
        assert_eq!(seen[..2], [None, None]);
        assert!(matches!(seen[2], Some(Warning::Unauthorized { for_s: 3.0, .. })), "{seen:?}");
    }

    #[test]
    fn a_second_below_the_share_starts_anew_and_a_quiet_one_does_not() {
        let mut stops = stops("50%", 3);
        for (refused, answers) in [(10, 10), (10, 10), (4, 10), (10, 10), (0, 0)] {
            assert_eq!(second(&mut stops, refused, answers), None);
        }
        assert!(second(&mut stops, 1, 1).is_some());
    }

    #[test]
    fn without_rules_nothing_stops_the_run() {
        let mut stops = Stops::new(StopRules { retry_after: None, unauthorized: None });
        let refusals = Refusals { unauthorized: 10, longest_retry_after: Duration::from_hours(24) };
        assert_eq!(stops.second(&Counts::default(), refusals), None);
    }

    proptest! {
        #[test]
        fn answers_that_are_never_refused_never_stop_a_run(answers in proptest::collection::vec(0..50_u64, 0..60)) {
            let mut stops = stops("0%", 1);
            for answers in answers {
                prop_assert_eq!(second(&mut stops, 0, answers), None);
            }
        }
    }
}
