//! A limiter in words: what it admits, what it gives back when, what a refusal costs.

use crate::profile::{Estimate, Family, Figures, Kind, Penalty, Refusals};
use crate::units::format::{count, rate_within, seconds, seconds_within, utc};

/// A limiter about which sentences are made.
pub(super) struct Described<'a>(pub(super) &'a Figures);

impl Described<'_> {
    fn kind(&self) -> Kind {
        self.0.theory.kind
    }

    /// `300 requests`, or where that is not certain `299 to 301 requests`.
    pub(super) fn limit(&self) -> String {
        let (low, high) = self.0.limits;
        let noun = match self.kind().family {
            Family::Concurrency if high == 1 => "request in flight",
            Family::Concurrency => "requests in flight",
            _ if high == 1 => "request",
            _ => "requests",
        };
        if low == high {
            return format!("{} {noun}", count(low.into()));
        }
        format!("{} to {} {noun}", count(low.into()), count(high.into()))
    }

    /// The time of its parameters with its interval.
    pub(super) fn time(&self) -> String {
        self.0.time.map_or_else(|| seconds(self.0.theory.time), within)
    }

    /// The rate that it admits for ever, with its interval; `None` for concurrency.
    pub(super) fn rate(&self) -> Option<String> {
        let rate = self.0.theory.rate()?;
        Some(self.0.rate.map_or_else(|| rate_within(rate, rate, rate), rate_of))
    }

    /// What follows *the server admits*.
    pub(super) fn admits(&self, scope: &str) -> String {
        let (limit, time) = (self.limit(), self.time());
        let rate = self.rate().unwrap_or_default();
        match self.kind().family {
            Family::FirstRequestWindow => {
                format!("{limit} per {time}{scope}, in a window that begins with the first request")
            }
            Family::ClockWindow => format!("{limit} per {time}{scope}, in windows of a clock of its own"),
            Family::SlidingLog => format!("{limit} in any {time}{scope}"),
            Family::SlidingCounter | Family::FlooredCounter | Family::AnchoredCounter => {
                format!("about {limit} in any {time}{scope}, which it estimates from the counts of two windows")
            }
            Family::TokenBucket => format!("{rate} in the long run{scope}, and {limit} at once after a pause"),
            Family::TickingBucket => format!(
                "{rate} in the long run{scope}, in portions at every tick of a clock, and {limit} at once after a pause"
            ),
            Family::LeakyQueue => {
                format!("{rate}{scope}: what comes faster waits in a queue, in which there is room for {limit}")
            }
            Family::Concurrency => format!("{limit}{scope}, however many that makes per second"),
        }
    }

    /// A clause about bursts and about when the quota is there again.
    pub(super) fn resets(&self) -> String {
        let theory = &self.0.theory;
        let (time, recovery) = (seconds(theory.time), seconds(theory.recovery()));
        let burst = if theory.limit > 1 { "they may all come at once, and " } else { "" };
        match theory.kind.family {
            Family::FirstRequestWindow => {
                format!("{burst}the quota is whole again {time} after the first request of a window")
            }
            Family::ClockWindow => format!(
                "{burst}the quota is whole again when a window ends, every {time}: around that instant twice as many are \
                 admitted"
            ),
            Family::SlidingLog => format!("{burst}each is there again {time} after it was admitted"),
            Family::SlidingCounter | Family::FlooredCounter | Family::AnchoredCounter => format!(
                "{burst}what was used is there again little by little once the next window has begun, all of it after \
                 {recovery} without a request at the latest"
            ),
            Family::TokenBucket => {
                format!("a request is there again every {time}, and all of them after {recovery} without one")
            }
            Family::TickingBucket => format!(
                "what was used is there again at ticks {} apart, a request for every {time} between them, and all of it \
                 after {recovery} without a request at the latest",
                seconds(theory.tick)
            ),
            Family::LeakyQueue => {
                format!("one leaves the queue every {time}, and it is empty after {recovery} without a request")
            }
            Family::Concurrency => "there is room for another one as soon as one is answered".to_owned(),
        }
    }

    /// When a window on the server's clock begins, by this machine's; `None` for those without one, and for windows that
    /// are too short for a time of day to tell anything.
    pub(super) fn clock(&self, started_unix_s: f64) -> Option<String> {
        const SHORTEST: f64 = 2.0;
        let theory = &self.0.theory;
        let is_told = theory.kind.has_phase() && !theory.kind.is_bucket() && theory.time >= SHORTEST;
        let begins = utc(started_unix_s + theory.phase.rem_euclid(theory.time));
        is_told.then(|| format!("a window begins at {begins} by this machine's clock, and every {} since", self.time()))
    }

    /// A clause about what refused requests do.
    pub(super) fn refusals(&self) -> String {
        let theory = &self.0.theory;
        let count = match theory.kind.refusals {
            Refusals::Free => "refused requests do not count",
            Refusals::Counted => {
                "refused requests count as admitted ones do, so whoever goes on at the same pace stays refused"
            }
        };
        let block = self.0.block.map_or_else(|| seconds(theory.penalty), within);
        match theory.kind.penalty {
            Penalty::None => count.to_owned(),
            Penalty::Fixed => format!("{count}, but after a refusal everything is refused for {block}"),
            Penalty::Extended => format!(
                "{count}, but after a refusal everything is refused until {block} have passed \
                 without another one"
            ),
        }
    }
}

/// A time with its interval.
pub(super) fn within(Estimate { value, interval }: Estimate) -> String {
    seconds_within(value, interval.low, interval.high)
}

/// A rate with its interval.
pub(super) fn rate_of(Estimate { value, interval }: Estimate) -> String {
    rate_within(value, interval.low, interval.high)
}

/// The kind, and what else it is called where no request tells these apart.
pub(super) fn name(kind: Kind) -> String {
    match kind.family {
        Family::TokenBucket => {
            format!("{kind} (the same as GCRA and as a leaky meter: no request tells them apart)")
        }
        Family::FirstRequestWindow
        | Family::ClockWindow
        | Family::SlidingLog
        | Family::SlidingCounter
        | Family::FlooredCounter
        | Family::AnchoredCounter
        | Family::TickingBucket
        | Family::LeakyQueue
        | Family::Concurrency => kind.to_string(),
    }
}

/// What would tell two kinds apart that explain the same requests.
pub(super) fn difference(one: Kind, other: Kind) -> &'static str {
    if one.penalty != other.penalty {
        return "silence after a refusal beside requests that go on";
    }
    if one.refusals != other.refusals {
        return "a stretch well above the limit, and then one a little below it";
    }
    let is_either = |is: fn(Kind) -> bool| is(one) || is(other);
    if is_either(|kind| kind.family == Family::Concurrency) {
        return "requests one after the other, much faster than before";
    }
    if is_either(|kind| kind.family == Family::LeakyQueue) {
        return "the times that answers take while requests come faster than the rate";
    }
    if is_either(|kind| kind.family == Family::TickingBucket) {
        return "requests close to each other around a tick of the clock";
    }
    if is_either(|kind| kind.family == Family::ClockWindow) {
        return "full bursts that begin at different times of the server's clock";
    }
    if is_either(Kind::is_bucket) {
        return "a second burst, a part of the window after the first one";
    }
    "half of the quota at the beginning of a window and the other half in its middle, then a full burst"
}
