//! Run folders: what is written reads back, whenever the writer was killed.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use patchload::measure::{Outcome, Run, SCHEMA, Second, State, Totals, Warning};
use patchload::results::{self, CHECK_FILES, Error, FILES, Folder};
use proptest::prelude::*;

mod found;
mod synthetic;

const VARIANTS: usize = 2;

/// What a folder holds, by file name.
type Files = BTreeMap<String, Vec<u8>>;

/// The seconds of a run, the drain included.
fn seconds(n: u64) -> Vec<Second> {
    (0..n).map(|number| synthetic::second(number, 40, VARIANTS)).collect()
}

/// A folder with the seconds, and the run that was written.
fn write(root: &Path, seconds: &[Second]) -> (Folder, Run) {
    let mut folder = Folder::create(root, &synthetic::header()).unwrap();
    for i in 0..seconds.len() {
        folder.second(&seconds[i], &synthetic::totals(&seconds[..=i], VARIANTS)).unwrap();
    }
    (folder, synthetic::run(seconds))
}

fn assert_same(a: &Run, b: &Run) {
    assert_eq!(a.header, b.header);
    assert_eq!((a.state, &a.warnings), (b.state, &b.warnings));
    assert_same_totals(&a.totals, &b.totals);
}

fn assert_same_totals(a: &Totals, b: &Totals) {
    assert_eq!((a.seconds, a.elapsed_s.to_bits(), a.blocks), (b.seconds, b.elapsed_s.to_bits(), b.blocks));
    assert_eq!(a.failures, b.failures);
    assert_eq!(a.checks, b.checks);
    assert_eq!(a.variants.len(), b.variants.len());
    for (a, b) in a.variants.iter().zip(&b.variants) {
        assert_eq!((a.counts, a.blocks), (b.counts, b.blocks));
        assert!(a.distributions.iter().eq(b.distributions.iter()));
    }
}

/// The rows of a CSV file, by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

fn contents(folder: &Path) -> Files {
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// The totals of all reports of a folder must be the same.
fn assert_reports_agree(folder: &Path) {
    let summary = rows(&folder.join("summary.csv"));
    let all = summary.last().unwrap();
    assert_eq!(all["variant"], "all");
    let timeline = rows(&folder.join("timeline.csv"));
    for outcome in Outcome::ALL.map(Outcome::name) {
        let of_timeline: u64 = timeline.iter().map(|row| number(row, outcome)).sum();
        let of_variants: u64 = summary[..VARIANTS].iter().map(|row| number(row, outcome)).sum();
        assert_eq!((of_timeline, of_variants), (number(all, outcome), number(all, outcome)), "{outcome}");
    }
    let started: u64 = timeline.iter().map(|row| number(row, "started")).sum();
    assert_eq!(started + number(all, "unsent"), number(all, "operations"));
    let failures = rows(&folder.join("failures.csv"));
    let latency = rows(&folder.join("latency.csv"));
    for row in &summary {
        let of = |part: &&BTreeMap<String, String>| row["variant"] == "all" || part["variant"] == row["variant"];
        let failed: u64 = failures.iter().filter(of).map(|failure| number(failure, "count")).sum();
        assert_eq!(failed + number(row, "accepted"), number(row, "attempts"));
        let median = |clock: &str| {
            let found = latency.iter().find(|l| {
                [&l["variant"], &l["outcome"], &l["clock"], &l["percentile"]]
                    == [&row["variant"], "all", clock, "50"].map(String::from).each_ref()
            });
            found.map(|l| (l["value_us"].clone(), number(l, "count"))).unwrap_or_default()
        };
        // Every attempt has a service, every operation a response, however often it was tried.
        let started = number(row, "operations") - number(row, "unsent");
        for (clock, samples) in [("service", number(row, "attempts")), ("response", started)] {
            let expected = (row[&format!("{clock}_p50_us")].clone(), samples);
            assert_eq!(median(clock), expected);
        }
    }
}

#[test]
fn a_finished_run_reads_back_equal() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, mut run) = write(root.path(), &seconds(11));
    run.warnings = vec![
        Warning::Aborted { threshold: "for 2s failure_rate is 3%, not < 1%".to_owned() },
        Warning::RenewalsFailed { count: 3, last_error: "no".to_owned() },
    ];
    folder.finish(&run).unwrap();
    assert_same(&results::read(folder.path()).unwrap(), &run);
    assert_reports_agree(folder.path());
    let names: Vec<String> = contents(folder.path()).into_keys().collect();
    let mut expected = FILES.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected, "and no temporary file is left");
}

#[test]
fn what_the_checks_found_is_written_at_the_end_and_reads_back_equal() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, mut run) = write(root.path(), &seconds(11));
    assert!(CHECK_FILES.iter().all(|name| !folder.path().join(name).exists()), "nobody knows yet");
    run.totals.checks = Some(found::checks());
    folder.finish(&run).unwrap();
    assert_same(&results::read(folder.path()).unwrap(), &run);
    assert_reports_agree(folder.path());
    let before = contents(folder.path());
    drop(folder);
    let path = fs::read_dir(root.path()).unwrap().next().unwrap().unwrap().path();
    for name in CHECK_FILES {
        fs::remove_file(path.join(name)).unwrap();
    }
    results::rebuild(&path).unwrap();
    assert_eq!(contents(&path), before, "also files that are gone are made anew");
}

#[test]
fn the_tables_of_the_checks_have_a_row_per_variant_and_mode_or_check() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, mut run) = write(root.path(), &seconds(2));
    run.totals.checks = Some(found::checks());
    folder.finish(&run).unwrap();
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let of_sample = ",\"operation 4,711: the state differs in `/count`: 1 after once, 2 after twice\"\n";
    let expected = format!(
        "target,variant,mode,pairs,same_status,same_response,same_state,violations,violation_rate,violation_rate_low,\
         violation_rate_high,inconclusive,sample\n\
         main,attributes,replay,102,102,101,100,3,0.0294118,0.0100524,0.0829306,4{of_sample}\
         main,attributes,retry,0,0,0,0,0,,,,6,\n\
         main,typed,concurrent,20,20,20,20,0,0,0,0.161125,0,\n"
    );
    assert_eq!(text("idempotency.csv"), expected);
    let consistency = text("consistency.csv");
    assert!(
        consistency.starts_with("target,variant,check,checked,found,rate,rate_low,rate_high,sample\n"),
        "{consistency}"
    );
    let rows = rows(&folder.path().join("consistency.csv"));
    assert_eq!(rows.len(), 16, "each check of each variant");
    let lost = rows.iter().find(|row| row["check"] == "lost" && row["variant"] == "attributes").unwrap();
    assert_eq!((number(lost, "checked"), number(lost, "found"), lost["rate"].as_str()), (400, 2, "0.005"));
    let unknown = rows.iter().find(|row| row["check"] == "lost" && row["variant"] == "typed").unwrap();
    assert_eq!((number(unknown, "checked"), unknown["rate"].as_str()), (0, ""));
}

#[test]
fn the_time_until_a_write_is_seen_is_a_clock_of_accepted_attempts() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, mut run) = write(root.path(), &seconds(2));
    run.totals.checks = Some(found::checks());
    folder.finish(&run).unwrap();
    let rows = rows(&folder.path().join("latency.csv"));
    let visible: Vec<_> = rows.iter().filter(|row| row["clock"] == "visible").collect();
    assert_eq!(visible.len(), 2 * 12, "of the variant of which anything was seen, and of all");
    let median = visible.iter().find(|row| row["percentile"] == "50").unwrap();
    assert_eq!((median["variant"].as_str(), median["outcome"].as_str()), ("attributes", "accepted"));
    assert_eq!(number(median, "count"), 971);
    // 40 ms + 485 x 1.7 ms, but for 0.1 %.
    assert!(number(median, "value_us").abs_diff(864_500) < 1_000, "{median:?}");
}

#[test]
fn every_second_that_is_written_is_readable_at_once() {
    let root = tempfile::tempdir().unwrap();
    let seconds = seconds(4);
    let mut folder = Folder::create(root.path(), &synthetic::header()).unwrap();
    assert_eq!(results::read(folder.path()).unwrap().totals.seconds, 0);
    for i in 0..seconds.len() {
        let totals = synthetic::totals(&seconds[..=i], VARIANTS);
        folder.second(&seconds[i], &totals).unwrap();
        let run = results::read(folder.path()).unwrap();
        assert_same_totals(&run.totals, &totals);
        assert_eq!((run.state, run.warnings), (State::Interrupted, vec![Warning::Killed { seconds: i as u64 + 1 }]));
        assert_reports_agree(folder.path());
    }
}

#[test]
fn rebuilding_a_finished_run_changes_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, run) = write(root.path(), &seconds(5));
    folder.finish(&run).unwrap();
    let path = folder.path().to_owned();
    drop(folder);
    let before = contents(&path);
    for file in ["summary.csv", "failures.csv", "latency.csv"] {
        fs::remove_file(path.join(file)).unwrap();
    }
    assert_same(&results::rebuild(&path).unwrap().0, &run);
    assert_eq!(contents(&path), before);
}

#[test]
fn a_run_that_goes_on_is_not_rebuilt() {
    let root = tempfile::tempdir().unwrap();
    let (folder, _) = write(root.path(), &seconds(2));
    let path = folder.path().to_owned();
    let error = results::rebuild(&path).unwrap_err();
    assert!(matches!(error, Error::StillRunning { .. }), "{error}");
    drop(folder);
    assert_eq!(results::rebuild(&path).unwrap().0.totals.seconds, 2);
}

#[test]
fn empty_reports_are_valid_before_the_first_second() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::create(root.path(), &synthetic::header()).unwrap();
    let summary = rows(&folder.path().join("summary.csv"));
    assert_eq!(summary.len(), VARIANTS + 1);
    for column in ["failure_rate", "failure_rate_low", "throttled_rate", "deff", "achieved_per_s", "service_p50_us"] {
        assert_eq!(summary[0][column], "", "{column}");
    }
    for file in ["failures.csv", "latency.csv", "timeline.csv"] {
        assert!(rows(&folder.path().join(file)).is_empty(), "{file}");
    }
}

#[test]
fn folders_of_the_same_second_do_not_meet() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("not/yet/there");
    let names: Vec<String> = (0..3)
        .map(|_| Folder::create(&runs, &synthetic::header()).unwrap().path().to_owned())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let first = "participant-attributes-20261121T134501Z";
    assert_eq!(names, [first.to_owned(), format!("{first}-2"), format!("{first}-3")]);
}

#[test]
fn a_root_that_cannot_be_written_is_named_with_a_remedy() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("results");
    fs::write(&file, "").unwrap();
    let error = Folder::create(&file, &synthetic::header()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot create the run folder {}", file.display())), "{error}");
    assert!(error.ends_with("a part of the path is a file; choose another folder"), "{error}");
    // Nobody may make a folder there, not even the superuser.
    let error = Folder::create(Path::new("/proc/results"), &synthetic::header()).unwrap_err();
    assert!(matches!(error, Error::Create { .. }), "{error}");
}

#[test]
fn what_is_no_run_folder_or_a_newer_one_says_so() {
    let root = tempfile::tempdir().unwrap();
    let error = results::read(root.path()).unwrap_err();
    assert!(matches!(error, Error::NotARunFolder { .. }), "{error}");
    let (folder, _) = write(root.path(), &seconds(1));
    let json = folder.path().join("run.json");
    let newer = fs::read_to_string(&json).unwrap().replacen("\"schema\": 1", "\"schema\": 2", 1);
    fs::write(&json, newer).unwrap();
    let error = results::read(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 2, newest: SCHEMA, .. }), "{error}");
}

#[test]
fn damage_is_named_with_its_file_and_line() {
    let root = tempfile::tempdir().unwrap();
    let (mut folder, run) = write(root.path(), &seconds(3));
    folder.finish(&run).unwrap();
    let whole = contents(folder.path());
    let text = |name: &str| String::from_utf8(whole[name].clone()).unwrap();
    let without_line = |name: &str, number: usize| {
        let keep = |(i, line): (usize, &str)| (i + 1 != number).then(|| format!("{line}\n"));
        text(name).lines().enumerate().filter_map(keep).collect::<String>()
    };
    let a_response = 1 + text("latency.hlog").lines().position(|line| line.contains("/response,")).unwrap();
    let mut broken_log = text("latency.hlog").lines().map(|line| format!("{line}\n")).collect::<Vec<_>>();
    broken_log[9] = broken_log[9].replace("HISTF", "XISTF");
    for (file, damaged, expected) in [
        ("run.json", text("run.json").replacen("\"seed\": 42", "\"seed\": -42", 1), "run.json"),
        ("run.json", text("run.json").replacen("\"totals\"", "totals", 1), "run.json:"),
        ("timeline.csv", text("timeline.csv").replace("main,1,main", "main,x,main"), "timeline.csv:3: second `x`"),
        ("timeline.csv", text("timeline.csv").replace(",lag_p99_us", ",lag"), "timeline.csv:1: the columns"),
        ("timeline.csv", without_line("timeline.csv", 4), "timeline.csv: the rows end before second 2"),
        ("timeline.csv", text("timeline.csv") + "main,3", "timeline.csv: the last row has no end"),
        ("latency.hlog", without_line("latency.hlog", a_response), "latency.hlog: holds"),
        ("latency.hlog", broken_log.concat(), "latency.hlog:10: no histogram"),
        ("latency.hlog", text("latency.hlog") + "Tag=main/attr", "latency.hlog:"),
        ("latency.hlog", text("latency.hlog").replace("/typed/", "/tpyed/"), "the run has no series `main/tpyed/"),
    ] {
        fs::write(folder.path().join(file), damaged).unwrap();
        let Err(error) = results::read(folder.path()) else { panic!("read in spite of: {expected}") };
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        fs::write(folder.path().join(file), &whole[file]).unwrap();
    }
    assert_same(&results::read(folder.path()).unwrap(), &run);
}

#[test]
fn a_message_with_quotes_and_line_breaks_parses_back() {
    let root = tempfile::tempdir().unwrap();
    let (folder, run) = write(root.path(), &seconds(2));
    let rows = rows(&folder.path().join("failures.csv"));
    assert_eq!(rows.len(), run.totals.failures.iter().count());
    for (row, (key, failure)) in rows.iter().zip(run.totals.failures.iter()) {
        assert_eq!(row["variant"], run.header.variants[key.variant]);
        assert_eq!((&row["outcome"], &row["code"]), (&key.outcome.to_string(), &key.code));
        assert_eq!(row["status"], key.status.map(|status| status.to_string()).unwrap_or_default());
        assert_eq!((number(row, "count"), number(row, "first_s")), (failure.count, failure.first_s));
        assert_eq!(Some(&row["message"]), failure.message.as_ref());
        assert_eq!(row["correlation_id"], failure.correlation_ids.first().cloned().unwrap_or_default());
    }
}

#[test]
fn a_second_of_few_samples_has_empty_cells() {
    let root = tempfile::tempdir().unwrap();
    let seconds: Vec<Second> = [1, 40].iter().zip(0..).map(|(n, i)| synthetic::second(i, *n, VARIANTS)).collect();
    let (folder, _) = write(root.path(), &seconds);
    let timeline = rows(&folder.path().join("timeline.csv"));
    assert_eq!(timeline[0]["response_p99_us"], "");
    assert_ne!(timeline[0]["response_max_us"], "");
    assert_eq!((timeline[1]["response_p99_us"].as_str(), timeline[1]["cpu_share"].as_str()), ("", "0.125"));
    assert_ne!(timeline[1]["response_p50_us"], "");
}

/// A run of five seconds, and all that its folder held after each of them, the empty folder first.
static HISTORY: LazyLock<(Vec<Second>, Vec<Files>)> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    let seconds = seconds(5);
    let mut folder = Folder::create(root.path(), &synthetic::header()).unwrap();
    let mut history = vec![contents(folder.path())];
    for i in 0..seconds.len() {
        folder.second(&seconds[i], &synthetic::totals(&seconds[..=i], VARIANTS)).unwrap();
        history.push(contents(folder.path()));
    }
    (seconds, history)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_kill_at_any_moment_loses_at_most_two_seconds(
        last in 1..6_usize, log_part in 0.0..=1.0_f64, timeline_part in 0.0..=1.0_f64, older in any::<bool>(),
    ) {
        let (seconds, history) = &*HISTORY;
        let (before, after) = (&history[last - 1], &history[last]);
        // The files that grow are cut somewhere in the last second; the others may be those of the second before.
        let cut = |name: &str, part: f64| {
            let (from, to) = (before[name].len(), after[name].len());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "a part of a short length")]
            let length = from + ((to - from) as f64 * part).round() as usize;
            (after[name][..length].to_vec(), length == to)
        };
        let (log, log_whole) = cut("latency.hlog", log_part);
        let (timeline, timeline_whole) = cut("timeline.csv", timeline_part);
        let others = if older || !log_whole || !timeline_whole { before } else { after };
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in others {
            fs::write(root.path().join(name), bytes).unwrap();
        }
        fs::write(root.path().join("latency.hlog"), log).unwrap();
        fs::write(root.path().join("timeline.csv"), timeline).unwrap();
        fs::write(root.path().join(".run.json.partial"), b"{\"schema\"").unwrap();

        let run = results::read(root.path()).unwrap();
        let kept = usize::try_from(run.totals.seconds).unwrap();
        prop_assert!(kept + 2 >= last && kept <= last);
        prop_assert_eq!(run.state, State::Interrupted);
        assert_same_totals(&run.totals, &synthetic::totals(&seconds[..kept], VARIANTS));

        let (rebuilt, _) = results::rebuild(root.path()).unwrap();
        assert_same(&rebuilt, &run);
        assert_reports_agree(root.path());
        let files = contents(root.path());
        prop_assert_eq!(&files["timeline.csv"], &history[kept]["timeline.csv"]);
        prop_assert_eq!(&files["latency.hlog"], &history[kept]["latency.hlog"]);
        prop_assert_eq!(&files["summary.csv"], &history[kept]["summary.csv"]);
        assert_same(&results::rebuild(root.path()).unwrap().0, &run);
        prop_assert_eq!(contents(root.path()), files);
    }

    #[test]
    fn no_changed_byte_makes_the_reader_panic(file in 0..3_usize, place in 0.0..1.0_f64, byte in any::<u8>()) {
        let history = &HISTORY.1;
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in &history[2] {
            fs::write(root.path().join(name), bytes).unwrap();
        }
        let name = ["run.json", "timeline.csv", "latency.hlog"][file];
        let mut bytes = history[2][name].clone();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place in a short file")]
        let place = (bytes.len() as f64 * place) as usize;
        bytes[place] = byte;
        fs::write(root.path().join(name), bytes).unwrap();
        // Some changes mean nothing and some are damage; none may be more than an error.
        if let Err(error) = results::read(root.path()) {
            prop_assert!(error.to_string().contains(root.path().to_str().unwrap()), "{}", error);
        }
    }
}
