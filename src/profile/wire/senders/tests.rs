use std::path::Path;

use super::*;
use crate::scenario::Overrides;

const BARE: &str = "kind = \"none\"";
const CLIENTS: &str = "kind = \"client-credentials\"\ntokens = 3\n\
                       clients = [{ id = \"a\", secret = \"x\" }, { id = \"b\", secret = \"y\" }]\n\
                       login_url = \"http://127.0.0.1:1/oauth/token\"";

/// A scenario with two rows of one resource and one of another.
fn scenario(auth: &str, more: &str) -> Scenario {
    let text = format!(
        r#"
        name = "test"
        [target]
        base_url = "http://127.0.0.1:1"
        [target.auth]
        {auth}
        [load]
        stages = [{{ for = "1s", users = 1 }}]
        {more}
        "#
    );
    Scenario::parse(Path::new("test.toml"), text.as_bytes(), &|_| None, &Overrides::default()).unwrap()
}

const VARIANT: &str =
    "[[variant]]\nname = \"a\"\npath = \"/a\"\nexpect = [202]\nbody = '{\"ref\": \"{{ unique }}\"}'\n";
const OTHER: &str = "[[variant]]\nname = \"b\"\nmethod = \"PUT\"\npath = \"/a\"\nexpect = [202]\nbody = '{}'\n";

/// What each sender differs in, with its token.
fn offer(scenario: &Scenario) -> Vec<(Vec<Dimension>, usize)> {
    offered(scenario, 0).unwrap().into_iter().map(|sender| (sender.differs, sender.token)).collect()
}

#[test]
fn a_scenario_with_nothing_else_offers_the_key_under_test_alone() {
    assert_eq!(offer(&scenario(BARE, VARIANT)), [(vec![], 0)]);
    let same = scenario(BARE, &format!("{VARIANT}{}", VARIANT.replace("\"a\"", "\"again\"")));
    assert_eq!(offer(&same), [(vec![], 0)], "another body is no other path");
}

#[test]
fn single_differences_come_first_and_then_all_of_them() {
    use Dimension::{Client, Method, Token};
    let found = offer(&scenario(CLIENTS, &format!("{VARIANT}{OTHER}")));
    let expected = [(vec![], 0), (vec![Token], 2), (vec![Client], 1), (vec![Method], 0), (vec![Client, Method], 1)];
    assert_eq!(found, expected);
    let given = scenario("kind = \"bearer\"\ntokens = [\"t\", \"u\"]", VARIANT);
    assert_eq!(offer(&given), [(vec![], 0), (vec![Token], 1)], "one difference is all of them");
    assert_eq!(tokens_of(&offered(&given, 0).unwrap()), 2);
}

#[test]
fn another_row_counts_where_it_names_another_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, "id,tier\nr1,gold\nr1,silver\nr2,gold\n").unwrap();
    let rows = |pick: &str| {
        let data = format!("[data.rows]\nfile = \"{}\"\npick = \"{pick}\"\n", file.display());
        scenario(BARE, &format!("{data}{}", VARIANT.replace("\"/a\"", "\"/{{ id }}\"")))
    };
    let scenario = rows("sequential");
    let senders = offered(&scenario, 0).unwrap();
    assert_eq!(senders.iter().map(|sender| sender.operation.row).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(
        (&*senders[1].differs, senders[1].path_shown(&scenario)),
        (&[Dimension::Resource][..], "/r2".to_owned())
    );
    assert_eq!(offered(&rows("unique"), 0).unwrap().len(), 1, "a row that is given once is left for a run");
}

#[test]
fn a_read_is_another_method_before_another_variant_is() {
    let read = "[read]\npath = \"/read\"\nattributes = \"$.a\"\n";
    let scenario = scenario(BARE, &format!("{VARIANT}{OTHER}{read}"));
    let senders = offered(&scenario, 0).unwrap();
    assert_eq!(
        (senders.len(), senders[1].sends, senders[1].path_shown(&scenario)),
        (2, Sends::Read, "/read".to_owned())
    );
}

#[test]
fn a_request_is_the_same_each_time() {
    let scenario = scenario(CLIENTS, &format!("{VARIANT}{OTHER}"));
    for sender in offered(&scenario, 0).unwrap() {
        let fixed = sender.request(&scenario).unwrap();
        assert_eq!(fixed, sender.request(&scenario).unwrap());
        assert_eq!(fixed.rendered().path, "/a");
    }
    assert_eq!(offered(&scenario, 1).unwrap()[0].operation.variant, 1);
}
