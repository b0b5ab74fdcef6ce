//! Maxima that are asked for often: of the first so many of a sequence, and of any range of it; and whether periods overlap.

/// For each beginning of a sequence of instants, the latest ones of three owners.
#[derive(Debug)]
pub(super) struct Latest(Vec<[Option<Owned>; 3]>);

/// An instant and whose it is.
type Owned = (u64, u64);

impl Latest {
    /// Of instants with their owners; a `None` counts as a member that has none.
    pub(super) fn new(members: impl IntoIterator<Item = Option<Owned>>) -> Self {
        let mut top = [None; 3];
        let mut all = vec![top];
        for member in members {
            if let Some(member) = member {
                insert(&mut top, member);
            }
            all.push(top);
        }
        Self(all)
    }

    /// The latest of the first `count` members that is none of these owners', of whom there are at most two.
    pub(super) fn but(&self, count: usize, owners: &[u64]) -> Option<u64> {
        self.0[count].into_iter().flatten().find(|(_, other)| !owners.contains(other)).map(|(instant, _)| instant)
    }
}

/// Periods in which writes may take effect, each with its owner.
#[derive(Debug)]
pub(super) struct Periods {
    /// In their order.
    starts: Vec<u64>,
    /// In the order of the starts.
    ends: Latest,
}

/// A period from a start to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Periods {
    pub(super) fn new(periods: impl IntoIterator<Item = (Period, u64)>) -> Self {
        let mut periods: Vec<_> = periods.into_iter().collect();
        periods.sort_unstable_by_key(|(period, _)| period.from);
        let ends = Latest::new(periods.iter().map(|(period, owner)| Some((period.to, *owner))));
        Self { starts: periods.iter().map(|(period, _)| period.from).collect(), ends }
    }

    /// Whether any of another owner than these, who are at most two, starts before the end of this period and ends after its
    /// start.
    pub(super) fn overlap_others(&self, owners: &[u64], period: Period) -> bool {
        let started = self.starts.partition_point(|start| *start < period.to);
        self.ends.but(started, owners).is_some_and(|end| end > period.from)
    }
}

/// Puts an instant among the latest ones of different owners.
fn insert(top: &mut [Option<Owned>; 3], member: Owned) {
    let mut latest = Some(member);
    if let Some(place) = top.iter().position(|held| held.is_some_and(|(_, owner)| owner == member.1)) {
        latest = latest.max(top[place].take());
        top[place..].rotate_left(1);
    }
    let place = top.partition_point(|held| *held > latest);
    if let Some(later) = top.get_mut(place..).filter(|later| !later.is_empty()) {
        later.rotate_right(1);
        later[0] = latest;
    }
}

/// The largest of any range of a sequence, in constant time: level `k` holds the largest of each 2^k neighbours.
#[derive(Debug)]
pub(super) struct RangeMax(Vec<Vec<Option<u64>>>);

impl RangeMax {
    pub(super) fn new(values: Vec<Option<u64>>) -> Self {
        let mut levels = vec![values];
        let mut width = 1;
        while let Some(last) = levels.last()
            && last.len() > width
        {
            let next = last.iter().zip(&last[width..]).map(|(a, b)| *a.max(b)).collect();
            levels.push(next);
            width *= 2;
        }
        Self(levels)
    }

    /// The largest of a range of positions; `None` where it is empty.
    pub(super) fn max(&self, range: std::ops::Range<usize>) -> Option<u64> {
        let level = range.len().checked_ilog2()?;
        let row = &self.0[usize::try_from(level).unwrap_or(0)];
        row[range.start].max(row[range.end - (1 << level)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_of_a_range_is_that_of_its_members(
            values in proptest::collection::vec(proptest::option::of(0..9_u64), 1..40),
            from in 0..40_usize,
            to in 0..41_usize,
        ) {
            let to = to.min(values.len());
            let from = from.min(to);
            let expected = values[from..to].iter().copied().max().flatten();
            prop_assert_eq!(RangeMax::new(values).max(from..to), expected);
        }

        #[test]
        fn the_latest_of_others_is_that_of_a_search(
            members in proptest::collection::vec(proptest::option::of((0..9_u64, 0..4_u64)), 0..20),
            count in 0..21_usize,
            owners in [0..5_u64, 0..5_u64],
        ) {
            let count = count.min(members.len());
            let others = members[..count].iter().flatten().filter(|member| !owners.contains(&member.1)).map(|m| m.0).max();
            prop_assert_eq!(Latest::new(members.iter().copied()).but(count, &owners), others);
        }

        #[test]
        fn periods_overlap_those_of_others_as_a_search_says(
            periods in proptest::collection::vec((0..9_u64, 0..9_u64, 0..4_u64), 0..20),
            owners in [0..5_u64, 0..5_u64],
            from in 0..20_u64,
            length in 0..9_u64,
        ) {
            let period = Period { from, to: from + length };
            let all = periods.iter().map(|(from, length, owner)| (Period { from: *from, to: from + length }, *owner));
            let expected = all.clone().any(|(other, of)| !owners.contains(&of) && other.from < period.to && other.to > period.from);
            prop_assert_eq!(Periods::new(all).overlap_others(&owners, period), expected);
        }
    }
}
