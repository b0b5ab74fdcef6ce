//! Data tables: from file to request, each row once where that is asked for, and clear when there is none left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scripted;

use std::collections::BTreeSet;
use std::fs;

use patchload::measure::Warning;
use patchload::scenario::{Caution, Overrides, Scenario};
use proptest::prelude::*;
use serde_json::{Value, json};

const LOAD: &str = "[load]\nstages = [{ for = \"10s\", users = 7 }]\n";

/// Loads a scenario that stands beside these files.
fn load(files: &[(&str, &str)], tables_and_variants: &str, load: &str) -> Scenario {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let text = format!("name = \"data\"\n[target]\nsimulator = \"documented\"\n{tables_and_variants}{load}");
    let path = directory.path().join("data.toml");
    Scenario::parse(&path, text.as_bytes(), &|_| None, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The body of an operation.
fn body(scenario: &Scenario, number: u64) -> String {
    let operation = scenario.operation_numbered(number);
    let rendered = scenario.variants[operation.variant].render(scenario, &operation).unwrap();
    String::from_utf8(rendered.body.unwrap().to_vec()).unwrap()
}

fn table(file: &str, pick: &str) -> String {
    format!("[data.rows]\nfile = \"{file}\"\npick = \"{pick}\"\n")
}

fn variant(body: &str) -> String {
    format!("[[variant]]\nname = \"v\"\npath = \"/x\"\nbody = '{body}'\nexpect = [202]\n")
}

#[test]
fn json_lines_keep_their_digits_and_their_columns_in_any_order() {
    let lines = "\u{feff}{\"id\": \"a\\\"b\", \"n\": 12345678901234567890.10, \"x\": null}\r\n\n\
                 {\"x\": [1, {\"k\": 2}], \"n\": true, \"id\": \"\\u00fc\"}\n";
    for name in ["rows.jsonl", "rows.NDJSON"] {
        let scenario = load(&[(name, lines)], &(table(name, "sequential") + &variant("[{{ id | json }}]")), LOAD);
        let rows = &scenario.data[0].rows;
        assert_eq!(rows.columns(), ["id", "n", "x"]);
        let cells: Vec<Vec<_>> = (0..rows.len()).map(|row| rows.row(row).collect()).collect();
        assert_eq!(cells, [["a\"b", "12345678901234567890.10", ""], ["ü", "true", "[1, {\"k\": 2}]"]]);
    }
}

#[test]
fn each_variant_takes_its_columns_from_the_table_that_it_names() {
    let files = [("one.csv", "id\na\nb\n"), ("two.csv", "id,other\nc,d\n")];
    let scenario = "[data.one]\nfile = \"one.csv\"\n[data.two]\nfile = \"two.csv\"\npick = \"unique\"\n\
                    [[variant]]\nname = \"first\"\npath = \"/{{ id }}\"\nexpect = [202]\n\
                    [[variant]]\nname = \"second\"\npath = \"/{{ id }}/{{ other }}\"\ndata = \"two\"\nexpect = [202]\n";
    let scenario = load(&files, scenario, LOAD);
    let mut seen = BTreeSet::new();
    for number in 0..20 {
        let operation = scenario.operation_numbered(number);
        let rendered = scenario.variants[operation.variant].render(&scenario, &operation).unwrap();
        seen.insert(rendered.path.into_owned());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["/a", "/b", "/c/d"]);
    assert_eq!(scenario.shortest_unique().map(|data| data.name.as_str()), Some("two"));
}

#[test]
fn a_body_from_a_file_is_what_the_same_body_in_the_scenario_is() {
    let text = "{\n  \"ref\": \"{{ unique }}\",\n  \"id\": {{ uuid | json }}\n}\n";
    let file = "[[variant]]\nname = \"v\"\npath = \"/x\"\nbody_file = \"payload.json\"\nexpect = [202]\n";
    let from_file = load(&[("payload.json", text)], file, LOAD);
    let inline = load(&[], &variant(text).replace('\'', "'''"), LOAD);
    for number in [0, 1, 1_000] {
        assert_eq!(body(&from_file, number), body(&inline, number));
    }
}

#[test]
fn the_plan_and_a_caution_say_when_rows_cannot_suffice() {
    let few = |load_table: &str| {
        let scenario = table("rows.csv", "unique") + &variant("{{ id | json }}");
        load(&[("rows.csv", "id\n1\n2\n3\n")], &scenario, load_table)
    };
    let caution = |operations| vec![Caution::FewRows { table: "rows".to_owned(), rows: 3, operations }];
    let open = "[load]\nmodel = \"arrivals\"\nstages = [{ for = \"4s\", rate = \"1/s\" }]\nmax_users = 1\n";
    assert_eq!(few(LOAD).cautions(), caution(None));
    assert_eq!(few(open).cautions(), caution(Some(4)));
    assert_eq!(few(&open.replace("4s", "3s")).cautions(), vec![]);
    assert_eq!(few(&format!("{LOAD}iterations = 1\n")).cautions(), caution(Some(7)));
    assert_eq!(few(&LOAD.replace('7', "3").replace("[load]", "[load]\niterations = 1")).cautions(), vec![]);
    assert_eq!(few(LOAD).plan().most_requests, Some(3));
}

/// Runs a schedule over a table of so many rows, each to be taken once; the rows that were sent.
fn run_out(rows: usize, workers: usize, schedule: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    let lines: Vec<_> = std::iter::once("word".to_owned()).chain((0..rows).map(|row| format!("row-{row}"))).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let scenario = format!(
        r#"
        [data.rows]
        file = "{}"
        pick = "unique"
        [[variant]]
        name = "v"
        path = "/{{{{ word }}}}"
        headers = {{ content-type = "text/plain" }}
        body = "{{{{ user }}}} "
        expect = [202]
        [load]
        {schedule}
        "#,
        path.display()
    );
    let measured = scripted::run(&scenario, workers);
    let expected = Warning::RowsRanOut { table: "rows".to_owned(), rows: rows as u64 };
    assert_eq!(measured.ended.warnings, [expected]);
    assert!(measured.ended.totals.elapsed_s < 15.0, "it ended after {} s", measured.ended.totals.elapsed_s);
    let counts = measured.ended.totals.all().counts;
    assert_eq!((counts.due, counts.unsent), (rows as u64, 0));
    let mut sent: Vec<_> =
        measured.sent.into_iter().map(|sent| sent.text.split(' ').next().unwrap().to_owned()).collect();
    sent.sort();
    sent
}

#[test]
fn every_row_is_sent_once_and_then_the_run_ends_whoever_does_it() {
    for schedule in [
        "stages = [{ for = \"30s\", users = 10 }]",
        "model = \"arrivals\"\nstages = [{ for = \"30s\", rate = \"500/s\" }]\nmax_users = 10",
    ] {
        let mut expected: Vec<_> = (0..95).map(|row| format!("/row-{row}")).collect();
        expected.sort();
        for workers in [1, 2] {
            assert_eq!(run_out(95, workers, schedule), expected, "{schedule}, {workers} workers");
        }
    }
}

#[test]
fn rows_that_are_enough_are_no_reason_for_a_warning() {
    let scenario = r#"
        [data.rows]
        file = "tests/sequence.csv"
        pick = "unique"
        [[variant]]
        name = "v"
        path = "/{{ word }}"
        headers = { content-type = "text/plain" }
        body = "{{ user }} "
        expect = [202]
        [load]
        stages = [{ for = "2s", users = 2 }]
        iterations = 2
    "#;
    let measured = scripted::run(scenario, 1);
    assert_eq!((measured.ended.warnings, measured.sent.len()), (vec![], 4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_in_a_cell_breaks_out_of_its_place(cells in proptest::collection::vec(any::<String>(), 1..5)) {
        let lines: String = cells.iter().map(|cell| json!({"cell": cell}).to_string() + "\n").collect();
        let body_text = "{\"a\": \"<{{ cell }}>\", \"b\": {{ cell | json }}, \"c\": [\"{{ cell | upper }}\"]}";
        let scenario = load(
            &[("rows.jsonl", &lines)],
            &(table("rows.jsonl", "sequential") + &variant(body_text).replace("/x", "/x?q={{ cell }}")),
            LOAD,
        );
        for (number, cell) in (0..).zip(&cells) {
            let value: Value = serde_json::from_str(&body(&scenario, number)).unwrap();
            let expected = json!({"a": format!("<{cell}>"), "b": cell, "c": [cell.to_uppercase()]});
            prop_assert_eq!(value, expected);
            let operation = scenario.operation_numbered(number);
            let path = scenario.variants[0].render(&scenario, &operation).unwrap().path.into_owned();
            let query = path.strip_prefix("/x?q=").unwrap();
            prop_assert!(query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{}", path);
        }
    }

    #[test]
    fn csv_and_json_lines_give_the_same_rows(table in proptest::collection::vec(["\\PC{0,6}", "[a-z\",\n]{1,6}"], 1..9)) {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["a", "b"]).unwrap();
        for row in &table {
            csv.write_record(row).unwrap();
        }
        let csv = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        let lines: String = table.iter().map(|[a, b]| json!({"a": a, "b": b}).to_string() + "\n").collect();
        let of = |name: &str, content: &str| {
            let text = format!("[data.rows]\nfile = \"{name}\"\n{}", variant("1"));
            load(&[(name, content)], &text, LOAD).data.remove(0).rows
        };
        prop_assert_eq!(of("rows.csv", &csv), of("rows.jsonl", &lines));
    }

    #[test]
    fn unique_rows_and_texts_never_repeat(seed: u64, users in 1_u32..50) {
        let lines: Vec<_> = std::iter::once("id".to_owned()).chain((0..200).map(|row| row.to_string())).collect();
        let text = table("rows.csv", "unique") + &variant("[{{ id }}, \"{{ unique }}\", \"{{ uuid }}\"]");
        let load_table = format!("[load]\nstages = [{{ for = \"1s\", users = {users} }}]\n");
        let mut scenario = load(&[("rows.csv", &lines.join("\n"))], &text, &load_table);
        scenario.seed = seed;
        prop_assert_eq!(scenario.most_operations(), Some(200));
        let mut seen = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for number in 0..200 {
            let [row, unique, uuid]: [Value; 3] = serde_json::from_str(&body(&scenario, number)).unwrap();
            prop_assert_eq!(&row, &json!(number));
            for (seen, value) in seen.iter_mut().zip([row, unique, uuid]) {
                prop_assert!(seen.insert(value.to_string()));
            }
        }
    }
}
