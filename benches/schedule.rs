//! What does a due time cost, with a held rate, on a ramp and with random gaps?
//!
//! `cargo bench --bench schedule`

use std::num::NonZeroU32;
use std::time::Duration;

use divan::{Bencher, black_box};
use patchload::pace::{Arrivals, RateStage, Spacing};

const LENGTH: Duration = Duration::from_hours(24);

fn main() {
    divan::main();
}

fn arrivals(stages: &[RateStage], spacing: Spacing) -> Arrivals {
    Arrivals::new(stages, NonZeroU32::MIN, spacing).expect("a schedule")
}

fn hold() -> RateStage {
    RateStage::Hold { length: LENGTH, rate: Some("100000/s".parse().expect("a rate")) }
}

fn ramp() -> RateStage {
    RateStage::Ramp { length: LENGTH, to: Some("100000/s".parse().expect("a rate")) }
}

/// The next due time of a cursor.
fn step(bencher: Bencher, arrivals: &Arrivals) {
    let mut cursor = arrivals.cursor();
    bencher.bench_local(|| cursor.next().expect("a day is longer than a bench"));
}

#[divan::bench(sample_size = 1000)]
fn hold_step(bencher: Bencher) {
    step(bencher, &arrivals(&[hold()], Spacing::Even));
}

#[divan::bench(sample_size = 1000)]
fn ramp_step(bencher: Bencher) {
    step(bencher, &arrivals(&[ramp()], Spacing::Even));
}

#[divan::bench(sample_size = 1000)]
fn poisson_hold_step(bencher: Bencher) {
    step(bencher, &arrivals(&[hold()], Spacing::Poisson { seed: 1 }));
}

#[divan::bench(sample_size = 1000)]
fn poisson_ramp_step(bencher: Bencher) {
    step(bencher, &arrivals(&[ramp()], Spacing::Poisson { seed: 1 }));
}

/// The due time of any operation, in a schedule of so many stages.
#[divan::bench(args = [2, 100, 10_000])]
fn any_due(bencher: Bencher, stages: usize) {
    let arrivals = arrivals(&[ramp(), hold()].repeat(stages / 2), Spacing::Even);
    let (count, mut n) = (arrivals.count(), 0);
    bencher.bench_local(|| {
        n = (n + count / 7 * 3 + 1) % count;
        arrivals.due(black_box(n))
    });
}
