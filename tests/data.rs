//! Data tables: from file to request, each row once where that is asked for, and clear when there is none left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scripted;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use patchload::measure::Warning;
use patchload::scenario::{Caution, LoadError, Overrides, Scenario};
use proptest::prelude::*;
use serde_json::{Value, json};

const LOAD: &str = "[load]\nstages = [{ for = \"10s\", users = 7 }]\n";

/// Reads a scenario that stands in a folder.
fn parse(folder: &Path, tables_and_variants: &str, load: &str) -> Result<Scenario, LoadError> {
    let text = format!("name = \"data\"\n[target]\nsimulator = \"documented\"\n{tables_and_variants}{load}");
    Scenario::parse(&folder.join("data.toml"), text.as_bytes(), &|_| None, &Overrides::default())
}

/// Loads a scenario that stands beside these files.
fn load(files: &[(&str, &str)], tables_and_variants: &str, load: &str) -> Scenario {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    parse(directory.path(), tables_and_variants, load).unwrap_or_else(|error| panic!("{error}"))
}

/// The rows of a file.
fn rows_of(name: &str, content: &str) -> Vec<Vec<String>> {
    let rows = load(&[(name, content)], &(table(name, "sequential") + &variant("1")), LOAD).data.remove(0).rows;
    (0..rows.len()).map(|row| rows.row(row).map(str::to_owned).collect()).collect()
}

/// What is wrong with a scenario that has this file as its table, without the folder.
fn refusal(name: &str, content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name), content).unwrap();
    let error = parse(directory.path(), &(table(name, "sequential") + &variant("1")), LOAD).unwrap_err().to_string();
    error.replace(&format!("{}/", directory.path().display()), "")
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
fn comma_separated_values_come_as_other_programs_write_them() {
    let expected = [["1", "a\r\nb"], ["2", "c, \"d\""], ["3", ""]];
    let text = "\u{feff}id,note\r\n1,\"a\r\nb\"\r\n\r\n2,\"c, \"\"d\"\"\"\r\n3,\r\n";
    for end in ["", "\r\n", "\n\n"] {
        assert_eq!(rows_of("rows.csv", &format!("{text}{end}")), expected);
    }
    let long = "x".repeat(1_000_000);
    assert_eq!(rows_of("rows.csv", &format!("id,note\n1,\"{long}\"\n")), [["1", &long]]);
    assert_eq!(rows_of("rows.jsonl", &format!("{{\"id\": \"{long}\"}}")), [[long.as_str()]]);
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_line() {
    let not_utf8 = |before: &str, after: &str| [before.as_bytes(), &[0xff], after.as_bytes()].concat();
    for (name, content, expected) in [
        ("rows.csv", b"".to_vec(), "rows.csv:1:1: the file is empty"),
        ("rows.csv", b"id\n\n".to_vec(), "has no rows below its header"),
        ("rows.csv", b"id,note,id\n1,2,3\n".to_vec(), "rows.csv:1:1: column `id` is there twice"),
        ("rows.csv", b"id,\n1,2\n".to_vec(), "rows.csv:1:1: column 2 has no name"),
        (
            "rows.csv",
            b"id,note\n1,\"a\nb\"\n\n2\n".to_vec(),
            "rows.csv:5:1: cells in the row: 1, columns in the header: 2",
        ),
        ("rows.csv", b"id,note\r\n1,2,3\r\n".to_vec(), "rows.csv:2:1: cells in the row: 3"),
        ("rows.csv", not_utf8("id\n1\n", "\n"), "rows.csv:3:1: the row is not UTF-8"),
        ("rows.csv", not_utf8("i", "d\n1\n"), "rows.csv:1:1: the name of column 1 is not UTF-8"),
        ("rows.jsonl", b"\n\n".to_vec(), "has no object"),
        ("rows.jsonl", b"{}\n".to_vec(), "rows.jsonl:1:1: the object has no keys"),
        ("rows.jsonl", b"{\"id\": 1}\n\n{\"n\": 1}\n".to_vec(), "rows.jsonl:3:1: the object has no `id`"),
        ("rows.jsonl", b"{\"id\": 1}\n{\"id\": 1, \"n\": 1}\n".to_vec(), "rows.jsonl:2:1: the object has `n`"),
        ("rows.jsonl", b"{\"id\": 1, \"id\": 2}\n".to_vec(), "rows.jsonl:1:1: key `id` is there twice"),
        ("rows.jsonl", b"{\"id\": 1}\n{\"id\": 1, \"id\": 2}\n".to_vec(), "rows.jsonl:2:1: key `id` is there twice"),
        ("rows.jsonl", b"{\"id\": 1}\n[1]\n".to_vec(), "rows.jsonl:2:1: the line is no JSON object"),
        ("rows.jsonl", b"{\"id\": [1, {\"a\": }]}\n".to_vec(), "rows.jsonl:1:"),
        ("rows.jsonl", not_utf8("{\"id\": \"a\"}\n{\"id\": \"", "\"}\n"), "rows.jsonl:2:1: the line is not UTF-8"),
    ] {
        let found = refusal(name, &content);
        assert!(found.contains(expected), "{:?}: {found}", String::from_utf8_lossy(&content));
    }
}

#[test]
fn only_a_file_is_read_and_a_pipe_that_nobody_writes_to_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("folder")).unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let body_of = |file: &str| variant("1").replace("body = '1'", &format!("body_file = \"{file}\""));
    for (file, reason) in [
        ("folder", "is a directory"),
        ("missing", "entity not found"),
        ("/dev/null", "a pipe or a device is no file"),
        ("pipe", "a pipe or a device is no file"),
    ] {
        for scenario in [table(file, "random") + &variant("1"), body_of(file)] {
            let (told, error) = mpsc::channel();
            let folder = directory.path().to_owned();
            thread::spawn(move || told.send(parse(&folder, &scenario, LOAD).unwrap_err().to_string()));
            let error = error.recv_timeout(Duration::from_secs(20)).expect("it is refused at once");
            let expected =
                format!("is `{file}`, which cannot be read ({reason}); write a path relative to the scenario");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn a_template_that_fails_in_a_branch_that_no_row_enters_is_refused() {
    let wrong = |body: &str| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("rows.csv"), "id\n1\n2\n").unwrap();
        let scenario = table("rows.csv", "sequential") + &variant(body);
        parse(directory.path(), &scenario, LOAD).err().map_or(String::new(), |error| error.to_string())
    };
    for (body, expected) in [
        ("{% if step == 40000 %}{{ random(5, 1) }}{% else %}1{% endif %}", "write the smaller one first"),
        ("{% if id == 3 %}{{ id | rouund }}{% else %}1{% endif %}", "filter rouund is unknown"),
        // No call in it is wrong always, but the one operation that enters the branch would fail.
        ("{% if step == 40000 %}{{ (\"x\" ~ id) | int }}{% else %}1{% endif %}", "user, step or operation 40000"),
        (
            "{% if operation > 40000 %}{% else %}1{% endif %}",
            "at user, step or operation 40001 with data row 1 gives no JSON",
        ),
    ] {
        let found = wrong(body);
        assert!(found.contains("`variant[0].body` ") && found.contains(expected), "{body}: {found}");
    }
    assert_eq!(wrong("{% if step == 40000 %}{{ id | int + 1 }}{% else %}1{% endif %}"), "");
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
        for workers in 1..=4 {
            assert_eq!(run_out(95, workers, schedule), expected, "{schedule}, {workers} workers");
        }
    }
}

#[test]
fn of_two_tables_the_shorter_one_is_used_up_and_ends_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let table = |name: &str, rows: u32| {
        let path = directory.path().join(format!("{name}.csv"));
        let lines: Vec<_> =
            std::iter::once("word".to_owned()).chain((0..rows).map(|row| format!("{row:03}"))).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        format!(
            "[data.{name}]\nfile = \"{}\"\npick = \"unique\"\n[[variant]]\nname = \"{name}\"\n\
             path = \"/{name}-{{{{ word }}}}\"\nheaders = {{ content-type = \"text/plain\" }}\nbody = \"{{{{ user }}}} \"\n\
             expect = [202]\ndata = \"{name}\"\n",
            path.display()
        )
    };
    let tables = table("long", 50) + &table("short", 20);
    for (workers, load) in [
        (1, "stages = [{ for = \"30s\", users = 7 }]"),
        (3, "stages = [{ for = \"30s\", users = 7 }]"),
        (2, "model = \"arrivals\"\nstages = [{ for = \"30s\", rate = \"500/s\" }]\nmax_users = 7"),
    ] {
        let measured = scripted::run(&format!("{tables}[load]\n{load}\n"), workers);
        assert_eq!(measured.ended.warnings, [Warning::RowsRanOut { table: "short".to_owned(), rows: 20 }]);
        let mut sent: Vec<_> = measured.sent.iter().map(|sent| sent.text.split(' ').next().unwrap()).collect();
        sent.sort_unstable();
        let of = |name: &str| sent.iter().copied().filter(|path| path.contains(name)).collect::<Vec<_>>();
        let numbered = |name: &str, rows: usize| (0..rows).map(|row| format!("/{name}-{row:03}")).collect::<Vec<_>>();
        assert_eq!(of("short"), numbered("short", 20));
        // They take turns, so the other one is one row ahead at most.
        let of_long = of("long");
        assert!((20..=21).contains(&of_long.len()), "{of_long:?}");
        assert_eq!(of_long, numbered("long", of_long.len()));
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

    #[test]
    fn a_table_of_some_variants_gives_each_row_once_and_ends_the_run_with_less_than_a_block_unused(
        seed: u64,
        weights in proptest::collection::vec((1_u32..6, 0_usize..3), 1..6),
        lengths in [1_usize..60, 1_usize..60, 1_usize..60],
    ) {
        let scenario = of_tables(&weights, lengths, "unique", LOAD, seed);
        let most = scenario.most_operations().unwrap();
        let mut used = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for number in 0..most {
            let operation = scenario.operation_numbered(number);
            let table = scenario.variants[operation.variant].data;
            prop_assert!(used[table].insert(operation.row), "row {} of table {table} twice", operation.row);
        }
        let ended = scenario.data.iter().position(|data| Some(data) == scenario.shortest_unique()).unwrap();
        let in_block: u32 = weights.iter().filter(|(_, table)| *table == ended).map(|(weight, _)| weight).sum();
        let unused = lengths[ended] - used[ended].len();
        prop_assert!(unused < usize::try_from(in_block).unwrap(), "{unused} unused");
        if weights.iter().all(|(_, table)| *table == ended) {
            prop_assert_eq!(unused, 0);
        }
    }

    #[test]
    fn no_operation_takes_a_row_that_is_out_of_its_reach(
        seed: u64,
        weights in proptest::collection::vec((1_u32..6, 0_usize..3), 1..6),
        lengths in [1_usize..60, 1_usize..60, 1_usize..60],
        pick in proptest::sample::select(vec!["sequential", "unique", "random"]),
        (users, iterations) in (1_u32..9, 1_u32..9),
    ) {
        let load = format!("[load]\nstages = [{{ for = \"1s\", users = {users} }}]\niterations = {iterations}\n");
        let scenario = of_tables(&weights, lengths, pick, &load, seed);
        let numbers = u64::from(users * iterations).min(scenario.most_operations().unwrap_or(u64::MAX));
        let rows = (0..numbers).filter_map(|number| {
            let operation = scenario.operation_numbered(number);
            (scenario.variants[operation.variant].data == 0).then_some(operation.row)
        });
        let reached = rows.max().map_or(0, |row| row + 1);
        let within_reach = scenario.rows_within_reach();
        prop_assert!((reached..=lengths[0]).contains(&within_reach), "{reached} {within_reach}");
        if pick == "sequential" && weights.iter().all(|(_, table)| *table == 0) {
            prop_assert_eq!(within_reach, reached);
        }
    }
}

/// Three tables of so many rows, and a variant for each weight and index of its table.
fn of_tables(weights: &[(u32, usize)], lengths: [usize; 3], pick: &str, load_table: &str, seed: u64) -> Scenario {
    let content = lengths.map(|length| "id\n".to_owned() + &"1\n".repeat(length));
    let names = ["0.csv", "1.csv", "2.csv"];
    let files: Vec<_> = names.into_iter().zip(content.iter().map(String::as_str)).collect();
    let tables = names.map(|name| table(name, pick).replace("rows", &format!("t{}", &name[..1]))).concat();
    let variants = weights.iter().enumerate().map(|(i, (weight, table))| {
        let variant = variant("1").replace("\"v\"", &format!("\"v{i}\""));
        format!("{variant}weight = {weight}\ndata = \"t{table}\"\n")
    });
    let mut scenario = load(&files, &(tables + &variants.collect::<String>()), load_table);
    scenario.seed = seed;
    scenario
}
