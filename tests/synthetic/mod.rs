//! A run made of invented attempts, second by second, for tests of what is written and read.

use std::time::Duration;

use patchload::measure::{
    Answer, Header, Host, Interval, Of, Outcome, Phase, Recorder, Run, SCHEMA, Sample, Second, State, Totals,
};

/// A header with the variants `attributes` and `typed`, of a run of ten seconds.
pub(crate) fn header() -> Header {
    Header {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        name: "participant-attributes".to_owned(),
        target: "main".to_owned(),
        variants: vec!["attributes".to_owned(), "typed".to_owned()],
        seed: 42,
        started_unix_s: 1_795_268_701.25,
        planned_s: 10.0,
        host: Host {
            os: "Linux 6.8".to_owned(),
            arch: "x86_64".to_owned(),
            cores: 8,
            workers: 6,
            simulator_threads: 2,
        },
        scenario: serde_json::json!({ "name": "participant-attributes", "target": { "simulator": "documented" } }),
    }
}

/// What the `i`th attempt of a variant brings: mostly accepted, at times throttled, rejected, failed or broken.
fn answer(variant: usize, i: u64) -> Answer {
    let failure = |outcome, status, code: &str| Answer {
        outcome,
        status,
        code: code.to_owned(),
        correlation_id: Some(format!("2f6e0000-0000-4000-8000-{i:012}")),
        message: Some(format!("{code}, with \"quotes\" and a comma\nand a second line")),
        ..Answer::bare(outcome)
    };
    match i % 40 {
        7 | 8 | 23 => failure(Outcome::Throttled, Some(429), "too.many.requests.retry.after"),
        11 if variant == 1 => failure(Outcome::Rejected, Some(400), "invalid.value"),
        17 if variant == 1 => failure(Outcome::Failed, Some(503), ""),
        29 => Answer { correlation_id: None, not_sent: true, ..failure(Outcome::Broken, None, "timeout") },
        _ => Answer::accepted(202),
    }
}

/// One second of so many attempts per variant; the first of every ten is tried once more.
pub(crate) fn second(number: u64, attempts: u64, variants: usize) -> Second {
    let mut recorder = Recorder::new(variants);
    for variant in 0..variants {
        for i in 0..attempts {
            recorder.due(Of::Variant(variant));
            recorder.started(Of::Variant(variant));
            let serial = number * attempts + i;
            let due = Duration::from_secs(number) + Duration::from_millis(i % 900);
            for last in if i % 10 == 0 { [false, true].as_slice() } else { [true].as_slice() } {
                recorder.record(Of::Variant(variant), &sample(variant, due, serial, *last));
            }
        }
        recorder.due(Of::Variant(variant));
        recorder.unsent(Of::Variant(variant));
    }
    Second {
        second: number,
        phase: if number < 10 { Phase::Main } else { Phase::Drain },
        in_flight: recorder.in_flight() + number % 3,
        interval: recorder.swap(Interval::new(variants)),
        cpu_share: 0.125,
    }
}

fn sample(variant: usize, due: Duration, serial: u64, last: bool) -> Sample {
    let us = |us: u64| Duration::from_micros(us);
    let spread = serial.wrapping_mul(2_654_435_761) % 10_000;
    let admitted = due + us(spread % 700);
    let sent = admitted + us(spread % 90);
    // One of 200 is much slower, and each of these differs: the ranks of the tail lie in buckets of their own.
    let slow = if serial % 200 == 199 { 40_000 + 97 * serial } else { 0 };
    let service = us(8_000 + spread * spread / 2_000 + 1_500 * variant as u64 + slow);
    Sample {
        variant,
        due,
        admitted,
        sent,
        first_byte: Some(sent + service * 3 / 4),
        done: sent + service,
        connect: serial.is_multiple_of(50).then(|| us(300 + spread % 100)),
        answer: answer(variant, serial),
        last,
        retry: None,
    }
}

/// The totals of the seconds.
pub(crate) fn totals(seconds: &[Second], variants: usize) -> Totals {
    let mut totals = Totals::new(variants);
    for second in seconds {
        totals.add(second);
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let passed = (second.second + 1) as f64;
        totals.elapsed_s = passed.min(10.0);
        totals.main_s = totals.elapsed_s;
    }
    totals
}

/// A finished run of the seconds, with the header's variants.
pub(crate) fn run(seconds: &[Second]) -> Run {
    let header = header();
    let totals = totals(seconds, header.variants.len());
    Run { header, state: State::Finished, warnings: Vec::new(), totals }
}
