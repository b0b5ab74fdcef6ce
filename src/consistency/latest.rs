//! Maxima that are asked for often: of the first so many of a sequence, and of any range of it.

/// For each beginning of a sequence of instants, the latest of them and the latest of all others' than its owner's.
#[derive(Debug)]
pub(super) struct Latest(Vec<[Option<Owned>; 2]>);

/// An instant and whose it is.
type Owned = (u64, u64);

impl Latest {
    /// Of instants with their owners; a `None` counts as a member that has none.
    pub(super) fn new(members: impl IntoIterator<Item = Option<Owned>>) -> Self {
        let mut top = [None; 2];
        let mut all = vec![top];
        for member in members {
            if let Some(member) = member {
                insert(&mut top, member);
            }
            all.push(top);
        }
        Self(all)
    }

    /// The latest of the first `count` members that is not this owner's.
    pub(super) fn but(&self, count: usize, owner: u64) -> Option<u64> {
        self.0[count].into_iter().flatten().find(|(_, other)| *other != owner).map(|(instant, _)| instant)
    }

    /// The latest of all members that is not this owner's.
    pub(super) fn of_all_but(&self, owner: u64) -> Option<u64> {
        self.but(self.0.len() - 1, owner)
    }

    /// The latest of all members.
    pub(super) fn of_all(&self) -> Option<u64> {
        self.0.last().and_then(|top| top[0]).map(|(instant, _)| instant)
    }
}

/// Puts an instant among the two latest of different owners.
fn insert(top: &mut [Option<Owned>; 2], member: Owned) {
    let is_owners = |held: Option<Owned>| held.is_some_and(|(_, owner)| owner == member.1);
    let member = Some(member);
    if is_owners(top[0]) {
        top[0] = top[0].max(member);
    } else if member > top[0] {
        *top = [member, top[0]];
    } else {
        top[1] = top[1].max(member);
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
            owner in 0..5_u64,
        ) {
            let count = count.min(members.len());
            let others = |count: usize| members[..count].iter().flatten().filter(|m| m.1 != owner).map(|m| m.0).max();
            let latest = Latest::new(members.iter().copied());
            prop_assert_eq!(latest.but(count, owner), others(count));
            prop_assert_eq!(latest.of_all_but(owner), others(members.len()));
            prop_assert_eq!(latest.of_all(), members.iter().flatten().map(|m| m.0).max());
        }
    }
}
