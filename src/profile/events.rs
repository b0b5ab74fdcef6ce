//! Arrivals at the limiter, which nobody saw, from the instants of sending and answering, which the log has.

use std::time::Duration;

use super::log::{Answer, Log, Observation};
use super::scope;
use super::theory::Theory;

/// Server clocks of a millisecond, and our own lateness: no arrival is known better.
const FINEST: Duration = Duration::from_millis(1);

/// An answer that took so many times longer than is usual tells little of when the request arrived.
const SPIKE: u32 = 5;

/// Arrivals within so many standard deviations came at about the same time.
const TOGETHER: f64 = 8.0;

/// Of a time that was spent on the way there or back, nobody knows how much on which, the standard deviation is half of it
/// divided by the square root of 3.
const SPLIT: f64 = 1.732_050_807_568_877_2;

/// Where the time went that an answer took longer than is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// On the way there or back, nobody knows how much on which.
    Either,
    /// All of it after the arrival, in the server or on the way back.
    After,
    /// Of an admitted request in a queue, after its arrival; of others on either way.
    Queue,
}

/// Fewer changes of outcome by so many tell that another order of arrivals is the right one.
const FEWER_TURNS: usize = 2;

/// A request as the limiter saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// When it was wanted: the same instant for all that were sent at once.
    due: Duration,
    /// When it was sent.
    pub(super) sent: Duration,
    /// Its likeliest arrival; for a spike one of the ends of when it may have been.
    pub(super) at: Duration,
    /// The latest arrival.
    latest: Duration,
    /// The standard deviation of the arrival, in seconds.
    pub(super) sigma: f64,
    /// What of it comes from the time that its answer took longer than is possible.
    spread: f64,
    /// The requests that it stands for, all with the same outcome.
    pub(super) count: u32,
    /// Whether the answer took so long that the arrival may be at either end of the time.
    pub(super) is_spike: bool,
    /// What the limiter decided; `None` where nobody knows.
    pub(super) admitted: Option<bool>,
    /// By how much its answer took longer than is possible.
    pub(super) delay: Duration,
    /// When the limiter saw it answered.
    pub(super) done: Duration,
}

/// The requests of a log in the order of their arrival.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    pub(super) list: Vec<Event>,
    /// Where events begin whose order is unknown, with the other orders that they may have.
    otherwise: Vec<(usize, Vec<Vec<Event>>)>,
    /// Whether admitted requests are taken to have waited in a queue after they had arrived.
    pub(super) is_queue: bool,
    /// A limiter that is known to refuse some of them, beside the one that is searched for.
    pub(super) beside: Option<Theory>,
    /// Whether some arrivals are so unsure that both ends must be considered.
    pub(super) has_spikes: bool,
    /// Requests of which it is unknown whether they arrived, or when.
    pub(super) unsure: usize,
    /// By how much a decision may have been early or late for an outcome to be no surprise.
    pub(super) stall: Duration,
    /// Whether it is unknown of some what the limiter decided.
    pub(super) has_unknown: bool,
    /// What a round trip takes that nothing delays.
    pub(super) base: Duration,
    /// The shortest time that the work on an admitted request took.
    pub(super) service: Duration,
    /// The usual standard deviation of an arrival, in seconds.
    pub(super) sigma: f64,
    /// The standard deviation of an arrival if nothing is supposed of where the time of slow answers went, in seconds.
    pub(super) jitter: f64,
    /// Half of the time that an answer usually takes longer than is possible, in seconds, and the same or as much as
    /// clocks are wrong.
    half_spread: f64,
    usual: f64,
}

/// What is usual for requests of one outcome: a limiter's refusal is often quicker than the work that it spares.
#[derive(Debug, Clone, Copy)]
struct Usual {
    shortest: Duration,
    /// Half of what the middle one takes longer than the shortest.
    half_spread: Duration,
}

impl Usual {
    fn of(mut round_trips: Vec<Duration>) -> Option<Self> {
        round_trips.sort_unstable();
        let shortest = *round_trips.first()?;
        let middle = round_trips[round_trips.len() / 2];
        Some(Self { shortest, half_spread: middle.saturating_sub(shortest) / 2 })
    }
}

impl Events {
    /// The arrivals of a log.
    ///
    /// A request arrives within its round trip. What of that is base belongs half to each way; the rest may have been
    /// either way, so its middle is the likeliest: a slow answer carries little weight. Where servers take their time,
    /// that mixes up the order of requests which came one soon after the other, and outcomes change back and forth; if
    /// they do so far less with each request arriving at once, that is how it was.
    pub(super) fn of(log: &Log) -> Self {
        let [either, after] = Self::readings(log);
        if after.turns() + FEWER_TURNS <= either.turns() { after } else { either }
    }

    /// The arrivals if the time of slow answers went on either way, and if all of it went after the arrival.
    pub(super) fn readings(log: &Log) -> [Self; 2] {
        [Reading::Either, Reading::After].map(|reading| Self::read(log, reading))
    }

    /// How often one outcome follows the other.
    fn turns(&self) -> usize {
        let decided: Vec<_> = self.list.iter().filter_map(|event| event.admitted).collect();
        decided.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// The arrivals of a log if whatever an admitted request took longer was its waiting in a queue.
    pub(super) fn queued(log: &Log) -> Self {
        Self::read(log, Reading::Queue)
    }

    fn read(log: &Log, reading: Reading) -> Self {
        let observations = scope::of_one_quota(log);
        let round_trips = |is_wanted: fn(&Observation) -> bool| {
            Usual::of(observations.iter().filter(|o| is_wanted(o)).map(Observation::round_trip).collect())
        };
        let admitted = round_trips(|o| o.answer == Answer::Admitted);
        let refused = round_trips(|o| matches!(o.answer, Answer::Refused { .. }));
        let Some(any) = admitted.or(refused) else {
            return Self::default();
        };
        let (admitted, refused) = (admitted.unwrap_or(any), refused.unwrap_or(any));
        let base = admitted.shortest.min(refused.shortest);
        let quicker = refused.half_spread.min(admitted.half_spread);
        let spread = match reading {
            Reading::Either => quicker,
            Reading::After => Duration::ZERO,
            Reading::Queue => refused.half_spread,
        };
        let is_queue = reading == Reading::Queue;
        let usual = spread.max(FINEST).as_secs_f64();
        let half_spread = spread.as_secs_f64();
        let service = admitted.shortest.saturating_sub(base);
        let mut events = Self { is_queue, base, service, half_spread, usual, ..Self::default() }.sharper(1.0);
        events.jitter = events.sigma.max(quicker.as_secs_f64() / SPLIT);
        for observation in &observations {
            let of_kind = if observation.answer == Answer::Admitted { admitted } else { refused };
            events.add(observation, of_kind.shortest, reading);
        }
        events.settle_order();
        events
    }

    fn add(&mut self, observation: &Observation, shortest: Duration, reading: Reading) {
        let earliest = observation.sent + self.base / 2;
        let decided = observation.is_decided();
        let spread = if decided { observation.round_trip().saturating_sub(shortest) } else { Duration::ZERO };
        let waited = match reading {
            Reading::Either => false,
            Reading::After => true,
            Reading::Queue => observation.answer == Answer::Admitted,
        };
        let travelled = if waited { Duration::ZERO } else { spread };
        let half = travelled.as_secs_f64() / 2.0;
        let is_spike = half > self.usual * f64::from(SPIKE);
        self.has_spikes |= is_spike;
        self.has_unknown |= !decided;
        self.unsure += usize::from(is_spike || !decided);
        // What an arrival is measured from is an arrival, too, and as unsure as is usual.
        let of_arrival = if is_spike { self.usual * 2.0 } else { half.hypot(self.half_spread) / SPLIT };
        self.list.push(Event {
            due: observation.due,
            sent: observation.sent,
            at: if is_spike { earliest } else { earliest + travelled / 2 },
            latest: earliest + travelled,
            count: 1,
            sigma: of_arrival.hypot(FINEST.as_secs_f64()),
            spread: of_arrival,
            is_spike,
            delay: spread,
            admitted: decided.then_some(observation.answer == Answer::Admitted),
            done: observation.received.saturating_sub(self.base / 2),
        });
    }

    /// Of requests sent at once nobody knows which arrived first, and of a spike nobody knows when it arrived. Where that
    /// may matter, there are two orders: the admitted ones first or the refused ones, the spikes early or late.
    fn settle_order(&mut self) {
        let mut groups: Vec<_> = self.list.chunk_by(|a, b| a.due == b.due).map(<[Event]>::to_vec).collect();
        for group in &mut groups {
            group.sort_by_key(|event| (event.is_spike, event.admitted != Some(true)));
            in_order(group);
        }
        self.list = groups.into_iter().flatten().collect();
        self.list.sort_by_key(|event| event.at);
        let mut start = 0;
        while start < self.list.len() {
            let end = self.unsure_until(start);
            let piece = &self.list[start..end];
            let other = other_orders(piece);
            if !other.is_empty() {
                self.otherwise.push((start, other));
            }
            start = end;
        }
    }

    /// The end of the piece that begins with an event and whose order is unknown; one further where it is known.
    fn unsure_until(&self, start: usize) -> usize {
        let mut end = start;
        let mut unsure_until = Duration::ZERO;
        while let Some(event) = self.list.get(end) {
            let is_of_group = end > start && event.due == self.list[end - 1].due;
            if end > start && event.at > unsure_until && !is_of_group {
                break;
            }
            if event.is_spike {
                unsure_until = unsure_until.max(event.latest);
            }
            end += 1;
        }
        if end == start + 1 { self.crossed_until(start) } else { end }
    }

    /// The end of those that an event, of which nothing else is unsure, may have arrived after though it is taken to have
    /// come before them; one further where there are none.
    fn crossed_until(&self, start: usize) -> usize {
        let (one, later) = (&self.list[start], &self.list[start + 1..]);
        let is_crossed = |n: &usize| {
            let is_alone = later.get(n + 1).is_none_or(|next| next.due != later[*n].due);
            is_alone && !later[*n].is_spike && self.may_have_crossed(one, &later[*n])
        };
        start + 1 + (0..later.len()).take_while(is_crossed).count()
    }

    /// Whether an event and one that is taken to be later were both under way when either may have arrived, so that the
    /// other order is as possible. It matters where only one of them was admitted.
    pub(super) fn may_have_crossed(&self, one: &Event, other: &Event) -> bool {
        let differ = one.admitted.is_some() && other.admitted.is_some() && one.admitted != other.admitted;
        differ && other.sent + self.base / 2 < one.latest
    }

    /// The events in pieces whose order is known, and for each of the others those that it may also have.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&[Event], &[Vec<Event>])> {
        let mut at = 0;
        let mut otherwise = self.otherwise.iter().peekable();
        std::iter::from_fn(move || {
            let none: &[Vec<Event>] = &[];
            let (end, other) = match otherwise.peek() {
                Some((start, other)) if *start == at => (at + other[0].len(), other.as_slice()),
                Some((start, _)) => (*start, none),
                None => (self.list.len(), none),
            };
            let piece = self.list.get(at..end.min(self.list.len())).filter(|piece| !piece.is_empty())?;
            if !other.is_empty() {
                otherwise.next();
            }
            at = end;
            Some((piece, if piece.len() == other.first().map_or(0, Vec::len) { other } else { none }))
        })
    }

    /// The same events, if the server's clock and our own lateness are so much finer than is supposed of them.
    pub(super) fn sharper(&self, scale: f64) -> Self {
        let finest = FINEST.as_secs_f64() * scale;
        let mut events = self.clone();
        events.sigma = (self.usual / SPLIT).hypot(finest);
        let all = events
            .list
            .iter_mut()
            .chain(events.otherwise.iter_mut().flat_map(|(_, orders)| orders.iter_mut().flatten()));
        all.for_each(|event| event.sigma = event.spread.hypot(finest));
        events
    }

    /// The same with up to `most` requests of one outcome that came at about the same time as one: enough for a coarse
    /// search, and far quicker.
    pub(super) fn thinned(&self, most: u32) -> Self {
        let mut list: Vec<Event> = Vec::new();
        for event in &self.list {
            let is_like = |last: &&mut Event| {
                let apart = event.at.saturating_sub(last.at).as_secs_f64();
                last.admitted == event.admitted && last.count < most && apart < self.sigma * TOGETHER
            };
            match list.last_mut().filter(is_like) {
                Some(same) => same.count += 1,
                None => list.push(*event),
            }
        }
        Self { list, otherwise: Vec::new(), ..*self }
    }

    /// The requests that they stand for.
    pub(super) fn requests(&self) -> usize {
        self.list.iter().map(|event| usize::try_from(event.count).unwrap_or(usize::MAX)).sum()
    }

    /// The beginning, the middle and the end, in seconds.
    pub(super) fn instants(&self) -> [f64; 3] {
        let at = |event: Option<&Event>| event.map_or(0.0, |event| event.at.as_secs_f64());
        let (first, last) = (at(self.list.first()), at(self.list.last()));
        [first, f64::midpoint(first, last), last]
    }

    /// The same events, whose outcomes are no surprises if they were decided up to so much earlier or later.
    pub(super) fn forgiving(&self, stall: Duration) -> Self {
        Self { stall, ..self.clone() }
    }

    /// The same events, with a limiter that stands beside the one that is searched for.
    pub(super) fn beside(&self, theory: Option<Theory>) -> Self {
        Self { beside: theory, ..self.clone() }
    }

    /// Those that are wanted, in the likeliest order.
    pub(super) fn only(&self, mut is_wanted: impl FnMut(&Event) -> bool) -> Self {
        let list = self.list.iter().filter(|event| is_wanted(event)).copied().collect();
        Self { list, otherwise: Vec::new(), ..*self }
    }

    /// The first events.
    pub(super) fn first(&self, count: usize) -> Self {
        let list = self.list[..count.min(self.list.len())].to_vec();
        Self { list, otherwise: self.otherwise.clone(), ..*self }
    }
}

/// The other orders of a piece: spikes as late as may be, all or those of one outcome, of requests sent at once the refused
/// ones first, or both; where one may have arrived after those that seem to follow it, that one last.
fn other_orders(piece: &[Event]) -> Vec<Vec<Event>> {
    let is_crossing = piece.len() > 1 && piece.windows(2).all(|pair| pair[0].due != pair[1].due);
    if is_crossing && !piece.iter().any(|event| event.is_spike) {
        let mut crossed = piece.to_vec();
        crossed.rotate_left(1);
        in_order(&mut crossed);
        return vec![crossed];
    }
    let outcome_of = |event: &Event| event.is_spike.then_some(event.admitted == Some(true));
    let spikes: Vec<_> = piece.iter().filter_map(outcome_of).collect();
    let late: &[Late] = match spikes[..] {
        [] => &[Late::None],
        [first, ..] if spikes.iter().all(|outcome| *outcome == first) => &[Late::None, Late::All],
        _ => &[Late::None, Late::All, Late::Admitted, Late::Refused],
    };
    let is_mixed = |group: &[Event]| group.iter().any(|event| event.admitted != group[0].admitted);
    let mixed = piece.chunk_by(|a, b| a.due == b.due).any(is_mixed);
    let reversed: &[bool] = if mixed { &[false, true] } else { &[false] };
    let all = late.iter().flat_map(|late| reversed.iter().map(move |reversed| (*late, *reversed)));
    all.skip(1).map(|(late, reversed)| order(piece, late, reversed)).collect()
}

/// Which spikes arrived as late as may be; the others arrived as early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    None,
    All,
    Admitted,
    Refused,
}

impl Late {
    fn holds(self, event: &Event) -> bool {
        event.is_spike
            && match self {
                Self::None => false,
                Self::All => true,
                Self::Admitted => event.admitted == Some(true),
                Self::Refused => event.admitted != Some(true),
            }
    }
}

fn order(piece: &[Event], late: Late, reversed: bool) -> Vec<Event> {
    let mut groups: Vec<_> = piece.chunk_by(|a, b| a.due == b.due).map(<[Event]>::to_vec).collect();
    for group in &mut groups {
        for event in group.iter_mut().filter(|event| late.holds(event)) {
            event.at = event.latest;
        }
        group.sort_by_key(|event| (event.is_spike, (event.admitted == Some(true)) == reversed));
        in_order(group);
    }
    let mut order: Vec<_> = groups.into_iter().flatten().collect();
    order.sort_by_key(|event| event.at);
    order
}

/// Gives the events of a group the arrivals that they have among them, the first to the first; spikes keep theirs.
fn in_order(group: &mut [Event]) {
    let count = group.partition_point(|event| !event.is_spike);
    let group = &mut group[..count];
    let mut instants: Vec<_> = group.iter().map(|event| (event.at, event.latest)).collect();
    instants.sort_unstable();
    for (event, (at, latest)) in group.iter_mut().zip(instants) {
        event.at = at;
        event.done = event.done.max(latest);
    }
}
