//! Another HdrHistogram reads what we write: the package `hdrhistogram` for Python 3.
#![cfg(feature = "external")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use patchload::measure::{Outcome, Second};
use patchload::results::{ALL, Folder};

mod synthetic;

#[test]
fn another_hdr_histogram_reads_the_same_buckets_and_percentiles() {
    let root = tempfile::tempdir().unwrap();
    // 11,000 attempts per variant: 99.9 % of them is a whole number, and a reader that computes ranks in binary
    // fractions is one rank off. In second 9 nothing happened.
    let numbers = (0..9).chain([10]);
    let seconds: Vec<Second> = numbers.map(|number| synthetic::second(number, 1_000, 2)).collect();
    let mut folder = Folder::create(root.path(), &synthetic::header()).unwrap();
    for i in 0..seconds.len() {
        folder.second(&seconds[i], &synthetic::totals(&seconds[..=i], 2)).unwrap();
    }
    let run = synthetic::run(&seconds);
    folder.finish(&run).unwrap();

    let mut buckets = BTreeMap::new();
    for (name, variant) in run.header.variants.iter().zip(&run.totals.variants) {
        for (clock, outcome, histogram) in variant.distributions.iter() {
            let tag = format!("{}/{name}/{}/{clock}", run.header.target, outcome.map_or(ALL, Outcome::name));
            let counts: Vec<(u64, u64)> = histogram
                .iter_recorded()
                .map(|bucket| (histogram.lowest_equivalent(bucket.value_iterated_to()), bucket.count_at_value()))
                .collect();
            buckets.insert(tag, counts);
        }
    }
    let dump = root.path().join("buckets.json");
    std::fs::write(&dump, serde_json::to_vec(&buckets).unwrap()).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/hlog_reader.py");
    let output = Command::new("python3").arg(script).arg(folder.path()).arg(&dump).output();
    let output = output.expect("this test needs python3 on the PATH, with `pip install hdrhistogram`");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complained}");
    assert!(said.contains(&format!("{} tags", buckets.len())), "{said}");
}
