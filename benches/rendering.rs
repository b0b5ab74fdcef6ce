//! What does it cost to render one request?
//!
//! `cargo bench --bench rendering`

use std::path::Path;

use divan::{Bencher, black_box};
use patchload::scenario::{Overrides, Scenario};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_xoshiro::SplitMix64;

fn main() {
    divan::main();
}

const PATH: &str = "/api/v2/conversations/c/participants/p/attributes";
const CONSTANT: &str = r#"{"attributes": {"tier": "gold", "ref": "r-1"}}"#;
const FOUR: &str =
    r#"{"attributes": {"ref": "{{ unique }}", "role": "{{ role }}", "user": "{{ user }}", "step": "{{ step }}"}}"#;
const CALLS: &str =
    r#"{"attributes": {"ref": "{{ uuid }}", "at": "{{ now }}", "n": {{ random(1, 6) }}, "t": "{{ pick("a", "b") }}"}}"#;
const FILTER: &str = r#"{"attributes": {"ref": "{{ unique }}", "role": "{{ role | upper }}"}}"#;

fn scenario(variants: &[(&str, u32)]) -> Scenario {
    let variant = |((body, weight), number): (&(&str, u32), u32)| {
        format!(
            "[[variant]]\nname = \"v{number}\"\npath = \"{PATH}\"\nbody = '{body}'\nexpect = [202]\nweight = {weight}\n"
        )
    };
    let variants = variants.iter().zip(1..).map(variant).collect::<Vec<_>>().concat();
    let text = format!(
        r#"
        name = "rendering"
        [target]
        simulator = "documented"
        [data.participants]
        from = "simulator"
        {variants}
        [load]
        stages = [{{ for = "1s", users = 100 }}]
        "#
    );
    Scenario::parse(Path::new("rendering.toml"), text.as_bytes(), &|_| None, &Overrides::default())
        .expect("the scenario is right")
}

fn body(name: &str) -> &'static str {
    match name {
        "constant" => CONSTANT,
        "a filter" => FILTER,
        "four functions" => CALLS,
        _ => FOUR,
    }
}

const BODIES: [&str; 4] = ["constant", "four placeholders", "four functions", "a filter"];

/// A whole request: its path is constant, its body has no placeholder, four plain ones, four functions, or one filter.
#[divan::bench(args = BODIES)]
fn request(bencher: Bencher, name: &str) {
    let scenario = scenario(&[(body(name), 1)]);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        let operation = scenario.operation(7, step);
        black_box(scenario.variants[0].render(&scenario, &operation).expect("it renders"));
    });
}

/// The body alone.
#[divan::bench(args = BODIES)]
fn body_alone(bencher: Bencher, name: &str) {
    let scenario = scenario(&[(body(name), 1)]);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        let operation = scenario.operation(7, step);
        black_box(scenario.variants[0].render_body(&scenario, &operation).expect("it renders"));
    });
}

/// What an operation is, with so many variants of a weight of 1,000 each.
#[divan::bench(args = [1, 2, 20])]
fn operation(bencher: Bencher, variants: usize) {
    let scenario = scenario(&vec![(CONSTANT, 1_000); variants]);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        black_box(scenario.operation(black_box(7), step));
    });
}

/// What was rejected for it: to make the block of so many variants and shuffle it at each look.
#[divan::bench(args = [2, 20])]
fn whole_block(bencher: Bencher, variants: usize) {
    let mut seed = 0;
    bencher.bench_local(|| {
        seed += 1;
        let mut block: Vec<usize> = (0..variants).flat_map(|variant| std::iter::repeat_n(variant, 1_000)).collect();
        block.shuffle(&mut SplitMix64::seed_from_u64(seed));
        black_box(block);
    });
}
