//! Tests of templates: places, calls, and that segments and engine agree.

use proptest::prelude::*;

use super::*;

const OPERATION: Operation = Operation { user: 3, step: 2, number: 1_003, variant: 0, row: 0 };

fn rows(cells: [&str; 2]) -> Rows {
    let mut rows = Rows::new(vec!["id".to_owned(), "note".to_owned()]);
    rows.push(cells);
    rows
}

fn render_with(source: &str, place: Place, cells: [&str; 2]) -> Result<String, RenderError> {
    let rows = rows(cells);
    let template = Template::compile(source, place, rows.columns()).unwrap();
    let values = Values { clock: || SystemTime::UNIX_EPOCH, ..Values::new(Some(&rows), 42, &OPERATION) };
    template.render(&values).map(Cow::into_owned)
}

fn render(source: &str, place: Place) -> String {
    render_with(source, place, ["a/b ü", "say \"hi\"\n"]).unwrap()
}

#[test]
fn each_place_escapes_in_its_own_way() {
    for (source, place, text) in [
        ("/x/{{ id }}?q={{id}}", Place::Path, "/x/a%2Fb%20%C3%BC?q=a%2Fb%20%C3%BC"),
        (r#"{"a": "{{ note }}"}"#, Place::Json, r#"{"a": "say \"hi\"\n"}"#),
        (r#"{"a": {{ note | json }}}"#, Place::Json, r#"{"a": "say \"hi\"\n"}"#),
        (r#"{"a": {{ user | json }}}"#, Place::Json, r#"{"a": 3}"#),
        ("<{{ note }}>", Place::Text, "<say \"hi\"\n>"),
        ("{{ note | json }}", Place::Text, r#""say \"hi\"\n""#),
        ("{{ note | json }}", Place::Path, "%22say%20%5C%22hi%5C%22%5Cn%22"),
        ("{{ unique }} {{ user }} {{ step }} {{ operation }}", Place::Header, "42-1003 3 2 1003"),
    ] {
        assert_eq!(render(source, place), text, "{source}");
    }
}

#[test]
fn the_text_of_a_template_stays_as_written() {
    for source in ["/a b/%20", "a }} b\n", "{ }", ""] {
        for place in Place::ALL {
            assert_eq!(render(source, place), source);
        }
    }
    assert_eq!(render("\"{{ user }}\"\r\n", Place::Json), "\"3\"\r\n");
    assert_eq!(render("\"{{ user + 1 }}\"\r\n", Place::Json), "\"4\"\r\n");
}

#[test]
fn the_engine_escapes_as_plain_names_do() {
    for (source, place, text) in [
        ("/x/{{ id ~ '' }}", Place::Path, "/x/a%2Fb%20%C3%BC"),
        (r#""{{ note | upper }}""#, Place::Json, r#""SAY \"HI\"\n""#),
        ("{{ [user, note, none, true, {'k': 1.5}] | json }}", Place::Json, r#"[3,"say \"hi\"\n",null,true,{"k":1.5}]"#),
        ("{% if user > 2 %}{{ unique }}{% else %}no{% endif %}", Place::Header, "42-1003"),
        ("{% set x %}{{ id }}{% endset %}{{ x }}", Place::Path, "a%2Fb%20%C3%BC"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", Place::Text, "012"),
    ] {
        assert_eq!(render(source, place), text, "{source}");
    }
}

#[test]
fn a_header_refuses_what_would_break_its_line() {
    for source in ["{{ note }}", "{{ note | lower }}"] {
        for cell in ["a\r\nb", "a\nb", "ü", "\u{7f}"] {
            assert!(render_with(source, Place::Header, ["", cell]).is_err(), "{source} {cell:?}");
        }
        assert_eq!(render_with(source, Place::Header, ["", "a\tb c"]).unwrap(), "a\tb c");
    }
}

#[test]
fn names_are_strict() {
    let columns = ["id".to_owned()];
    let unknown = |source: &str| match Template::compile(source, Place::Text, &columns) {
        Err(TemplateError::UnknownNames(names)) => names,
        other => panic!("{other:?}"),
    };
    assert_eq!(unknown("{{ idd }}{{ other }}{{ id }}"), ["idd", "other"]);
    assert_eq!(unknown("{% if nope %}{% endif %}"), ["nope"]);
    assert_eq!(unknown("{{ debug() }}"), ["debug"]);
    for wrong in ["{{", "{{ id", "{% if %}", "{{ id | }}", "{{ 1 + }}"] {
        assert!(
            matches!(Template::compile(wrong, Place::Text, &columns), Err(TemplateError::Syntax { .. })),
            "{wrong}"
        );
    }
}

#[test]
fn nothing_gets_around_the_escaping_and_nothing_runs_for_ever() {
    for source in [
        "{{ id | safe }}",
        "{{ id | escape }}",
        "{% autoescape false %}{{ id }}{% endautoescape %}",
        "{{ id.x }}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    ] {
        let columns = ["id".to_owned(), "note".to_owned()];
        let compiled = Template::compile(source, Place::Path, &columns);
        assert!(compiled.is_err() || render_with(source, Place::Path, ["a", "b"]).is_err(), "{source}");
    }
}

#[test]
fn a_template_without_placeholders_shares_its_body() {
    let template = Template::compile("{\"a\": 1}", Place::Json, &[]).unwrap();
    let values = Values::new(None, 1, &OPERATION);
    let (first, second) = (template.render_bytes(&values).unwrap(), template.render_bytes(&values).unwrap());
    assert_eq!(first.as_ptr(), second.as_ptr());
}

#[test]
fn a_template_calls_functions() {
    for (source, text) in [
        ("{{ now }}", "1970-01-01T00:00:00.000Z"),
        ("{{ sequence() }} {{ sequence(-3) }} {{sequence(7, -2)}}", "1003 1000 -1999"),
        ("{{ random(5, 5) }} {{ pick('a\"b') | json }} {{ pick(3) }}", "5 \"a\\\"b\" 3"),
        ("{{ random(-1, -1) + 2 }} {{ pick('a') | upper }} {{ sequence(user, step) }}", "1 A 2009"),
    ] {
        assert_eq!(render(source, Place::Text), text, "{source}");
    }
    assert_eq!(render("{{ now }}", Place::Path), "1970-01-01T00%3A00%3A00.000Z");
    assert_eq!(render("\"{{ pick('\"') }}\"", Place::Json), "\"\\\"\"");
}

#[test]
fn each_place_in_the_request_draws_a_value_of_its_own_and_the_same_one_again() {
    for source in ["{{ uuid }} {{ uuid }}", "{{ random(0, 1000000000) }} {{ random(0, 1000000000) | int }}"] {
        let template = Template::compile(source, Place::Text, &[]).unwrap();
        let of = |part, number| {
            let operation = Operation { number, ..OPERATION };
            template.render(&Values { part, ..Values::new(None, 1, &operation) }).unwrap().into_owned()
        };
        let (first, second) = (of(0, 1), of(1, 1));
        let drawn: std::collections::BTreeSet<_> = first.split(' ').chain(second.split(' ')).collect();
        assert_eq!(drawn.len(), 4, "{first} {second}");
        assert_eq!(of(0, 1), first);
        assert_ne!(of(0, 2), first);
    }
}

fn wrong_calls(source: &str) -> Vec<WrongCall> {
    match Template::compile(source, Place::Json, &["id".to_owned(), "note".to_owned()]) {
        Err(TemplateError::WrongCalls(wrong)) => wrong,
        other => panic!("{source}: {other:?}"),
    }
}

/// Expressions that fail for every row, and why.
const WRONG: [(&str, &str); 27] = [
    ("random(5, 1)", "write the smaller one first"),
    ("random(1)", "`random` has 1 arguments"),
    ("random('a', 2)", "write whole numbers"),
    ("random(1.5, 2)", "texts and whole numbers"),
    ("random(least=1, most=2)", "texts and whole numbers"),
    ("random(note, 2)", "write whole numbers"),
    ("random(1, 2 > 1)", "texts and whole numbers"),
    ("pick()", "nothing to pick from"),
    ("sequence(1, 2, 3)", "`sequence` has 3 arguments"),
    ("random", "`random` is a function"),
    ("pick | json", "`pick` is a function"),
    ("uuid()", "not callable"),
    ("id()", "not callable"),
    ("id.upper()", "unknown method"),
    ("id | nope", "unknown filter"),
    ("id | upper | nope", "unknown filter"),
    ("[id] | map('nope') | list", "unknown filter"),
    ("[id] | select('nope') | list", "unknown test"),
    ("id is nope", "unknown test"),
    ("id | upper(1, 2)", "too many arguments"),
    ("id | replace('a')", "missing argument"),
    ("(id if user > 5 else note) | round", "`round` fails"),
    ("id | round", "`round` fails"),
    ("user | upper | abs", "`abs` fails"),
    ("[1, id - 2]", "`-` fails"),
    ("-note", "`-` fails"),
    ("range()", "missing argument"),
];

#[test]
fn a_wrong_call_is_told_in_whatever_branch_it_stands() {
    for (call, reason) in WRONG {
        for (before, after, line) in [
            ("{{ ", " }}", 1),
            ("{% if id == 'never' %}\n{{ ", " }}{% endif %}", 2),
            ("{{ id if step < 40000 else (", ") }}", 1),
            ("{% for i in [] %}{{ ", " }}{% endfor %}", 1),
            ("{% set x = [", "] %}", 1),
            ("{% if false %}{% elif step > 3 and [", "] %}{% endif %}", 1),
        ] {
            let source = format!("{before}{call}{after}");
            let wrong = wrong_calls(&source);
            assert!(wrong.iter().any(|wrong| wrong.text.contains(reason)), "{source}: {wrong:?}");
            assert!(wrong.iter().all(|wrong| wrong.line == line), "{source}: {wrong:?}");
        }
    }
    for block in ["{% filter nope %}{% endfilter %}", "{% set x | nope %}{% endset %}", "{% do nope() %}"] {
        assert!(Template::compile(block, Place::Text, &[]).is_err(), "{block}");
    }
}

#[test]
fn a_call_that_may_work_is_left_to_the_rows() {
    for call in [
        "id | int",
        "id | float | round(1) | abs",
        "id | split('-') | last | int + 1",
        "note | format(1, 2)",
        "'%s-%03d' | format(id, user)",
        "random(1, id | length)",
        "random(id | int, 100000)",
        "id[:8] ~ user",
        "id * 2",
        "[id, note] | map('upper') | join(', ')",
        "[1, 2, 3] | select('odd') | sum",
        "{'k': id}.k | upper",
        "dict(a=id) | items | list | length",
        "(id.x | default('y')) | upper",
        "pick(id, user, note | length)",
        "user is divisibleby(3)",
        "id is string and note is defined",
    ] {
        let columns = ["id".to_owned(), "note".to_owned()];
        let source = format!("{{% if step > 3 %}}{{{{ {call} }}}}{{% endif %}}");
        assert!(Template::compile(&source, Place::Text, &columns).is_ok(), "{source}");
    }
    // Nothing is known of what the template itself assigns.
    for source in [
        "{% for id in [[1]] %}{{ id | sum | round }}{% endfor %}",
        "{% set id = 1.5 %}{{ id | round }}",
        "{% with id = {'f': 1} %}{{ id.f - 1 }}{% endwith %}",
        "{% for i in range(3) %}{{ loop.cycle('a', 'b') }}{{ loop.index - 1 }}{% endfor %}",
    ] {
        assert!(Template::compile(source, Place::Text, &["id".to_owned()]).is_ok(), "{source}");
    }
}

#[test]
fn every_text_that_pick_may_give_is_shown_by_a_choice() {
    for source in ["{{ pick('a', 'b', 'c') }}", "{% if true %}{{ pick('a', 'b', 'c') }}{% endif %}"] {
        let template = Template::compile(source, Place::Text, &[]).unwrap();
        let shown = (0..template.choices()).map(|choice| {
            let values = Values { choice: Some(choice), ..Values::new(None, 1, &OPERATION) };
            template.render(&values).unwrap().into_owned()
        });
        let shown: std::collections::BTreeSet<_> = shown.collect();
        assert_eq!(shown.into_iter().collect::<String>(), "abc", "{source}");
    }
}

/// A call that is written plainly.
fn call() -> impl Strategy<Value = String> {
    let whole = any::<i64>();
    prop_oneof![
        Just("{{ uuid }}".to_owned()),
        Just("{{ now|json }}".to_owned()),
        (whole, whole).prop_map(|(a, b)| format!("{{{{ random({}, {}) }}}}", a.min(b), a.max(b))),
        "[ -!#-\\[\\]-{~]{0,4}".prop_map(|text| format!("{{{{ pick(\"{text}\", 'x', -1) }}}}")),
        (whole, whole).prop_map(|(start, step)| format!("{{{{ sequence({start} ,{step}) | json }}}}")),
    ]
}

/// An expression of names, calls, filters and operators, right or wrong.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("id"),
        Just("note"),
        Just("user"),
        Just("step"),
        Just("unique"),
        Just("'a'"),
        Just("3"),
        Just("1.5"),
        Just("true"),
        Just("[1, 2]"),
        Just("uuid"),
    ];
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 2, |inner| {
        let filter = proptest::sample::select(vec![
            "upper",
            "int",
            "float",
            "round",
            "abs",
            "length",
            "first",
            "last",
            "list",
            "sum",
            "join('-')",
            "json",
            "default('x')",
            "replace('a', 'b')",
            "split(',')",
            "trim",
            "reverse",
            "indent(2)",
            "max",
            "sort",
            "nope",
            "map('upper')",
            "string",
            "bool",
            "batch(2)",
            "title(1)",
        ]);
        let operator = proptest::sample::select(vec!["+", "-", "*", "~", "//", "%", "and", "or", "==", "<", "in"]);
        prop_oneof![
            (inner.clone(), filter).prop_map(|(of, filter)| format!("({of}) | {filter}")),
            (inner.clone(), operator, inner.clone()).prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} if user > 1 else {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("random({a}, {b})")),
            inner.clone().prop_map(|of| format!("(-({of}))")),
            inner.prop_map(|of| format!("(({of})[1:])")),
        ]
    })
}

proptest! {
    #[test]
    fn what_renders_with_some_row_is_not_refused(of in expression(), cells in ["[ -~]{0,4}|[0-9]{1,6}", "\\PC{0,4}"]) {
        let source = format!("{{{{ {of} }}}}");
        let rows = rows([&cells[0], &cells[1]]);
        if let Err(TemplateError::WrongCalls(wrong)) = Template::compile(&source, Place::Text, rows.columns()) {
            // Both branches of a condition are judged, and rendered here only where they are taken.
            let engine = Engine::unjudged(&source, Place::Text, rows.columns()).unwrap();
            let rendered = engine.render(&Values::new(Some(&rows), 7, &OPERATION));
            prop_assert!(of.contains(" if ") || of.contains(" and ") || of.contains(" or ") || rendered.is_err(),
                "{source} {cells:?} gives {rendered:?}, refused for {wrong:?}");
        }
    }

    #[test]
    fn a_wrong_call_is_told_wherever_else_it_is_put(
        wrong in proptest::sample::select(WRONG.map(|(call, _)| call).to_vec()),
        around in expression(),
    ) {
        let source = format!("{{% if false %}}{{{{ [{around}, [{wrong}]] }}}}{{% endif %}}");
        prop_assert!(!wrong_calls(&source).is_empty());
    }

    #[test]
    fn a_json_text_reads_back(cell in any::<String>()) {
        for source in ["[\"{{ id }}\"]", "[{{ id | json }}]", "[\"{{ id ~ '' }}\"]"] {
            let body = render_with(source, Place::Json, [&cell, ""]).unwrap();
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&body).unwrap(), [cell.clone()]);
        }
    }

    #[test]
    fn segments_and_engine_give_the_same(
        parts in proptest::collection::vec(
            prop_oneof![
                "[a-z \r\n}\"/]{0,4}",
                Just("{{ id }}".to_owned()),
                Just("{{note|json}}".to_owned()),
                Just("{{ unique }}".to_owned()),
                Just("{{ step | json }}".to_owned()),
                call(),
            ],
            0..8,
        ),
        cells in ["[ -~]{0,6}", "\\PC{0,6}"],
    ) {
        let rows = rows([&cells[0], &cells[1]]);
        let values = Values { clock: || SystemTime::UNIX_EPOCH, ..Values::new(Some(&rows), 7, &OPERATION) };
        let source = parts.concat();
        for place in Place::ALL {
            let engine = Engine::compile(&source, place, rows.columns()).unwrap();
            let template = Template::compile(&source, place, rows.columns()).unwrap();
            // A text that opens a statement goes to the engine, wherever it stands.
            let opens_a_statement = source.contains("{%") || source.contains("{#");
            prop_assert!(template.is_plain() || opens_a_statement);
            prop_assert_eq!(template.render(&values).ok().map(Cow::into_owned), engine.render(&values).ok());
        }
    }
}
