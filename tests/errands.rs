//! What is asked of a target beside the load, before a run and after it: with tokens that die meanwhile, and of a target that
//! serves nobody any more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answering;
mod command;

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use answering::{Answering, Asked, Reply, granted};
use command::{Place, json, patchload, text};

const ROWS: usize = 40;

/// A resource is as before until it is written, and again once it is put back.
#[derive(Default)]
struct Resources {
    written: Mutex<BTreeSet<String>>,
}

impl Resources {
    fn answer(&self, asked: &Asked) -> Reply {
        let mut words = asked.line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let id = path.rsplit('/').next().unwrap().to_owned();
        let mut written = self.written.lock().unwrap();
        match method {
            "PATCH" => drop(written.insert(id)),
            "PUT" => drop(written.remove(&id)),
            _ => {
                let value = if written.contains(&id) { "after" } else { "before" };
                return (200, "", format!(r#"{{"attributes": {{"ref": "{value}"}}}}"#));
            }
        }
        (200, "", "{}".to_owned())
    }
}

fn is_read(asked: &Asked) -> bool {
    asked.line.starts_with("GET ")
}

/// Runs a second of load on all rows, with a snapshot; the code, and what came out.
fn run(place: &Place, target: &str) -> Output {
    let rows: Vec<_> = (0..ROWS).map(|row| format!("r{row}")).collect();
    place.write("rows.csv", &format!("id\n{}\n", rows.join("\n")));
    let scenario = format!(
        r#"
        name = "test"
        {target}
        [data.rows]
        file = "rows.csv"
        [[variant]]
        name = "attributes"
        path = "/r/{{{{ id }}}}"
        body = '{{"ref": "{{{{ unique }}}}"}}'
        expect = [200]
        [read]
        path = "/r/{{{{ id }}}}"
        attributes = "$.attributes"
        [snapshot]
        enabled = true
        settle = "0s"
        restore = {{ method = "PUT", path = "/r/{{{{ id }}}}" }}
        [limit]
        rate = "200/s"
        [load]
        spread = "0s"
        stages = [{{ for = "1s", users = 5 }}]
        "#
    );
    let scenario = place.write("scenario.toml", &scenario);
    patchload(&["run", &scenario, "--out", &place.results(), "--accept-invalid"]).output().unwrap()
}

/// `snapshot` of run.json: rows restored, and not restored.
fn restored(place: &Place) -> (u64, u64) {
    let json = json(&place.run().join("run.json"));
    let count = |key| json["snapshot"][key].as_u64().unwrap();
    (count("restored"), count("not_restored"))
}

#[test]
fn a_token_that_dies_during_the_snapshot_and_one_that_dies_during_the_restore_are_renewed() {
    // Each token is good for 25 reads and writes that are no load: the snapshot alone takes 40.
    let (resources, uses) = (Resources::default(), AtomicUsize::new(0));
    let server = Answering::start(move |asked| {
        if asked.is_login() {
            uses.store(0, SeqCst);
            return granted("a-token", 3_600);
        }
        let is_load = asked.line.starts_with("PATCH");
        if !is_load && uses.fetch_add(1, SeqCst) >= 25 {
            return (401, "", "{}".to_owned());
        }
        resources.answer(asked)
    });
    let place = Place::new();
    let output = run(&place, &server.target("client_id = \"a\"\nclient_secret = \"not-shown\""));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(restored(&place), (ROWS as u64, 0), "{}", text(&output.stdout));
    // 40 reads before; 40 reads, 40 writes and 40 reads after: at 25 for each token that is 7 of them.
    assert_eq!(server.logins().len(), 7);
}

/// The reads after the first write of a run whose target answers them so, and what the run says.
fn reads_after_the_load(answer: impl Fn() -> Reply + Send + Sync + 'static) -> (usize, (u64, u64), String) {
    let (resources, written) = (Resources::default(), AtomicUsize::new(0));
    let server = Answering::start(move |asked| {
        if is_read(asked) && written.load(SeqCst) > 0 {
            return answer();
        }
        written.fetch_add(usize::from(!is_read(asked)), SeqCst);
        resources.answer(asked)
    });
    let place = Place::new();
    let target = format!(
        "[target]\nbase_url = \"http://{}\"\n[target.auth]\nkind = \"bearer\"\ntokens = [\"a\"]",
        server.address
    );
    let output = run(&place, &target);
    let asked = server.asked();
    let first_write = asked.iter().position(|asked| !is_read(asked)).unwrap();
    let reads = asked[first_write..].iter().filter(|asked| is_read(asked)).count();
    (reads, restored(&place), text(&output.stderr))
}

#[test]
fn a_target_that_serves_nobody_any_more_is_asked_five_times_and_left_alone() {
    let (reads, restored, said) = reads_after_the_load(|| (401, "", "{}".to_owned()));
    assert_eq!((reads, restored), (5, (0, ROWS as u64)), "{said}");
    assert!(said.contains("status 401"), "{said}");
}

#[test]
fn a_wish_for_a_long_pause_is_obeyed_by_asking_no_more() {
    let (reads, restored, said) = reads_after_the_load(|| (429, "retry-after: 300\r\n", "{}".to_owned()));
    assert_eq!((reads, restored), (1, (0, ROWS as u64)), "{said}");
    assert!(said.contains("a pause of 300 s"), "{said}");
}
