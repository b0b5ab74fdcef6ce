//! Finds reads that went back in time: older than one before them, and newer again after them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::history::Occasion;
use super::order::{Order, View};

/// A look that could have gone back in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dated {
    /// The deed that was seen before.
    pub(super) newer: usize,
    /// The look, where it shows something surely older; `None` where it shows the same deed again.
    pub(super) older: Option<View>,
}

/// From the end of the first look that shows a deed to the start of the last one: then it was there all the time.
#[derive(Debug, Clone, Copy)]
struct Stay {
    from: u64,
    to: u64,
}

/// All looks of the run that show a deed that was seen before, or something surely older than a deed that was seen before and
/// is seen again after, be it after the run.
///
/// One pass over the looks by the instants at which they were sent, with the deeds that were seen before in a heap, the
/// newest on top: O(n log n).
pub(super) fn sweep(order: &Order) -> Vec<Dated> {
    let mut looks: Vec<View> = order.looks.iter().chain(&order.audits).copied().collect();
    looks.sort_by_key(|look| look.sent);
    let stays = stays(order, &looks);
    let mut coming: Vec<_> = (0..stays.len()).filter_map(|i| stays[i].map(|stay| Reverse((stay.from, i)))).collect();
    coming.sort_unstable();
    let mut seen = BinaryHeap::new();
    let mut dated = Vec::new();
    for look in looks {
        while let Some(Reverse((_, i))) = coming.pop_if(|Reverse((from, _))| *from <= look.sent) {
            seen.push((order.deeds[i].start, i));
        }
        // Readings after the run show many registers at once: as cases they would not be independent of each other.
        if look.occasion == Occasion::Audit {
            continue;
        }
        if let Some(newer) = newest_that_stays(&mut seen, &stays, &look) {
            dated.push(Dated { newer, older: Some(look) });
        } else if let Some(newer) = look.deed.filter(|i| stays[*i].is_some_and(|stay| stay.from <= look.sent)) {
            dated.push(Dated { newer, older: None });
        }
    }
    dated
}

/// The newest of the deeds that were seen before a look and are seen again after it, if the look shows what is surely older.
fn newest_that_stays(seen: &mut BinaryHeap<(u64, usize)>, stays: &[Option<Stay>], look: &View) -> Option<usize> {
    let mut aside = Vec::new();
    let mut found = None;
    while let Some((start, i)) = seen.peek().copied().filter(|(start, _)| look.end < Some(*start)) {
        let to = stays[i].map_or(0, |stay| stay.to);
        if to >= look.done {
            found = Some(i);
            break;
        }
        seen.pop();
        // A later look may be over earlier: what is last seen during this one is kept.
        if to >= look.sent {
            aside.push((start, i));
        }
    }
    seen.extend(aside);
    found
}

fn stays(order: &Order, looks: &[View]) -> Vec<Option<Stay>> {
    let mut stays: Vec<Option<Stay>> = vec![None; order.deeds.len()];
    for look in looks {
        let Some(i) = look.deed.filter(|i| !order.deeds[*i].is_leftover) else { continue };
        let stay = stays[i].get_or_insert(Stay { from: look.done, to: look.sent });
        *stay = Stay { from: stay.from.min(look.done), to: stay.to.max(look.sent) };
    }
    stays
}
