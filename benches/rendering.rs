//! What does it cost to render one request?
//!
//! `cargo bench --bench rendering`

use std::path::Path;

use divan::{Bencher, black_box};
use patchload::scenario::{Overrides, Scenario};

fn main() {
    divan::main();
}

const CONSTANT: &str = r#"{"attributes": {"tier": "gold", "ref": "r-1"}}"#;
const FOUR: &str =
    r#"{"attributes": {"ref": "{{ unique }}", "role": "{{ role }}", "user": "{{ user }}", "step": "{{ step }}"}}"#;
const FILTER: &str = r#"{"attributes": {"ref": "{{ unique }}", "role": "{{ role | upper }}"}}"#;

fn scenario(body: &str) -> Scenario {
    let text = format!(
        r#"
        name = "rendering"
        [target]
        simulator = "documented"
        [data.participants]
        from = "simulator"
        [[variant]]
        name = "attributes"
        path = "/api/v2/conversations/c/participants/p/attributes"
        body = '{body}'
        expect = [202]
        [load]
        stages = [{{ for = "1s", users = 100 }}]
        "#
    );
    Scenario::parse(Path::new("rendering.toml"), text.as_bytes(), &|_| None, &Overrides::default())
        .expect("the scenario is right")
}

/// A whole request: its path is constant, its body has no placeholder, four plain ones, or one with a filter.
#[divan::bench(args = ["constant", "four placeholders", "a filter"])]
fn render(bencher: Bencher, body: &str) {
    let scenario = scenario(match body {
        "constant" => CONSTANT,
        "a filter" => FILTER,
        _ => FOUR,
    });
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        let operation = scenario.operation(7, step);
        black_box(scenario.variants[0].render(&scenario, &operation).expect("it renders"));
    });
}
