//! The same scenario and seed give each user the same operations, whatever the number of workers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scripted;

use scripted::{Measured, Sent};

fn run(workers: usize, seed_line: &str) -> Measured {
    let scenario = format!(
        r#"
        [data.rows]
        file = "tests/sequence.csv"
        pick = "random"
        [[variant]]
        name = "often"
        path = "/often/{{{{ word }}}}"
        headers = {{ content-type = "text/plain" }}
        body = "{{{{ user }}}} {{{{ step }}}} {{{{ unique }}}} {{{{ uuid }}}} {{{{ random(1, 1000) }}}}"
        expect = [202]
        weight = 3
        [[variant]]
        name = "seldom"
        path = "/seldom/{{{{ word }}}}"
        headers = {{ content-type = "text/plain" }}
        body = "{{{{ user }}}} {{{{ step }}}} {{{{ pick('a', 'b') | upper }}}} {{{{ uuid }}}} {{{{ sequence(7, 3) }}}}"
        expect = [202]
        [load]
        stages = [{{ for = "500ms", to = 40 }}, {{ for = "1s", users = 40 }}, {{ for = "500ms", to = 0 }}]
        think_time = {{ min = "1ms", max = "10ms" }}
        {seed_line}
        "#
    );
    scripted::run(&scenario, workers)
}

/// What a user sent, but for the time.
fn content(sent: &[&Sent]) -> Vec<(usize, String)> {
    sent.iter().map(|sent| (sent.variant, sent.text.clone())).collect()
}

#[test]
fn with_one_and_with_two_workers() {
    let (one, two) = (run(1, ""), run(2, ""));
    let (one, two) = (one.by_user(), two.by_user());
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    let mut compared = 0;
    for (user, sent) in &one {
        let both = sent.len().min(two[user].len());
        assert_eq!(content(&sent[..both]), content(&two[user][..both]), "user {user}");
        compared += both;
    }
    assert!(compared > 1_000, "{compared} operations compared");
}

#[test]
fn variants_come_as_often_as_their_weight_says() {
    let measured = run(1, "iterations = 10");
    // 40 users x 10 steps are 100 blocks of 4.
    let seldom = measured.sent.iter().filter(|sent| sent.variant == 1).count();
    assert_eq!((measured.sent.len(), seldom), (400, 100));
}
