//! What does it cost to record one attempt, and to hand over a second?
//!
//! `cargo bench --bench recording`

use std::time::Duration;

use divan::{Bencher, black_box};
use patchload::measure::{Answer, Interval, Of, Outcome, Recorder, Sample};

fn main() {
    divan::main();
}

fn sample(outcome: Outcome) -> Sample {
    let due = Duration::from_millis(1_234);
    Sample {
        variant: 0,
        due,
        admitted: due + Duration::from_micros(10),
        sent: due + Duration::from_micros(15),
        first_byte: Some(due + Duration::from_millis(20)),
        done: due + Duration::from_millis(21),
        connect: None,
        answer: Answer { outcome, code: "too.many.requests".to_owned(), ..Answer::accepted(202) },
        last: true,
        retry: None,
    }
}

/// One attempt, by its outcome: what was not accepted also goes into the table of failures.
#[divan::bench(args = ["accepted", "throttled"])]
fn record(bencher: Bencher, outcome: &str) {
    let sample = sample(Outcome::from_name(outcome).expect("an outcome"));
    let mut recorder = Recorder::new(1);
    bencher.bench_local(|| {
        recorder.started(Of::Variant(0));
        recorder.record(Of::Variant(0), black_box(&sample));
    });
}

/// The second of one worker, added to that of another: what the collector does once per worker and second.
#[divan::bench]
fn add_interval(bencher: Bencher) {
    let mut recorder = Recorder::new(1);
    for ms in 0..20_000 {
        let mut sample = sample(Outcome::Accepted);
        sample.done += Duration::from_micros(ms);
        recorder.started(Of::Variant(0));
        recorder.record(Of::Variant(0), &sample);
    }
    let interval = recorder.swap(Interval::default());
    let mut sum = Interval::new(1);
    bencher.bench_local(|| sum.add(black_box(&interval)));
}
