//! What does one permit cost, with few and with many users waiting?
//!
//! `cargo bench --bench permit`

use std::time::Duration;

use divan::{Bencher, black_box};
use patchload::engine::{Lane, Lanes, Turn};
use patchload::scenario::{Limit, LimitKey};
use patchload::units::Share;

fn main() {
    divan::main();
}

/// One permit of a limit under which so many users wait all the time: the first goes, and queues up again.
#[divan::bench(args = [10, 1_000, 100_000])]
fn permit(bencher: Bencher, users: u32) {
    let limit = Limit {
        rate: "1000/s".parse().expect("a rate"),
        burst: 1.try_into().expect("not zero"),
        per: LimitKey::Run,
        catch_up: Duration::from_millis(20),
    };
    let mut lanes = Lanes::new(&limit, Duration::ZERO, Share::NONE);
    for user in 0..users {
        lanes.enqueue(Lane::Load, 0, Duration::ZERO, user);
    }
    let mut now = Duration::ZERO;
    bencher.bench_local(|| match lanes.next(now) {
        Turn::Admit { waiter, permit } => {
            now = permit.admitted + limit.rate.period();
            lanes.enqueue(Lane::Load, permit.round + 1, now, black_box(waiter));
        }
        turn => panic!("a permit is due at every call, not {turn:?}"),
    });
}
