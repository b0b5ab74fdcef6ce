//! What a ledger costs that is judged at the end of a long run.

use std::time::{Duration, Instant};

use patchload::consistency::{Ack, Bounds, Event, Ledger, Look, Occasion, Place, Seen, Write};

/// 50,000 overlapping writes to one register, each looked for once; `shown` is what the look after the n-th write shows.
fn ledger(shown: impl Fn(u64) -> Seen) -> Ledger {
    let mut ledger = Ledger::new(50_000, 1);
    let place = Place { row: 0, key: "ref".into() };
    let ms = Duration::from_millis;
    for n in 0..50_000 {
        let (sent, done) = (ms(n * 7), ms(n * 7 + 20));
        ledger.add(Event::Write(Write { place: place.clone(), value: n, variant: 0, sent, done, ack: Ack::Accepted }));
        let (sent, done, occasion) = (ms(n * 7 + 21), ms(n * 7 + 40), Occasion::Poll(n));
        ledger.add(Event::Look(Look { place: place.clone(), occasion, sent, done, seen: shown(n) }));
    }
    ledger
}

#[test]
fn a_register_with_a_hundred_thousand_writes_and_looks_is_judged_in_well_under_a_second() {
    let bounds = Bounds {
        within: Duration::from_secs(1),
        order: Duration::ZERO,
        confirmations: 3,
        confirming: Duration::from_secs(1),
        audits: 3,
        sightings: 1,
        end: Duration::MAX,
    };
    let shapes: [&dyn Fn(u64) -> Seen; 4] = [&|_| Seen::Nothing, &Seen::Value, &|n| Seen::Value(n / 2), &|n| {
        if n % 2 == 0 { Seen::Value(n % 100) } else { Seen::Nothing }
    }];
    for shape in shapes {
        let ledger = ledger(shape);
        let start = Instant::now();
        let checks = ledger.judge(&bounds, &|_| Vec::new());
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
        assert_eq!(checks.effort.ledger, 50_000);
    }
}
