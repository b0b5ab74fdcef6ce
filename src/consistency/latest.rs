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

/// The largest of any range of a sequence: a binary tree in an array, where `i` has the children `2 i` and `2 i + 1`. The
/// members are its second half. It takes twice the memory of the sequence, and an answer a step for each level.
#[derive(Debug)]
pub(super) struct RangeMax(Vec<Option<u64>>);

impl RangeMax {
    pub(super) fn new(values: Vec<Option<u64>>) -> Self {
        let count = values.len();
        let mut tree = vec![None; count];
        tree.extend(values);
        for i in (1..count).rev() {
            tree[i] = tree[2 * i].max(tree[2 * i + 1]);
        }
        Self(tree)
    }

    /// The largest of a range of positions; `None` where it is empty.
    pub(super) fn max(&self, range: std::ops::Range<usize>) -> Option<u64> {
        let count = self.0.len() / 2;
        let (mut from, mut to, mut largest) = (range.start + count, range.end + count, None);
        // On each level, a parent stands for both of its children; one that is alone at an end counts by itself.
        while from < to {
            if from % 2 == 1 {
                largest = largest.max(self.0[from]);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                largest = largest.max(self.0[to]);
            }
            (from, to) = (from / 2, to / 2);
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_of_a_range_is_that_of_its_members(
            values in proptest::collection::vec(proptest::option::of(0..9_u64), 0..40),
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
