//! Suite files, right and wrong.

use delivery::diagnostic::Code;

use crate::verify::{StatusItem, StatusSpec, Suite, schema};

fn errors(text: &str) -> Vec<String> {
    let diagnostics = Suite::parse(text, "tests.yaml").expect_err("the suite was accepted");
    diagnostics
        .into_iter()
        .map(|diagnostic| {
            assert_eq!(diagnostic.code, Code::TestsUnreadable);
            let help = diagnostic.help.join(" ");
            format!(
                "{} {} {} {help}",
                diagnostic.at.unwrap_or_default(),
                diagnostic.title,
                diagnostic.cause.join(" ")
            )
        })
        .collect()
}

const CASE: &str = "cases:\n- name: a\n  request: {path: /}\n";

#[test]
fn a_minimal_suite_has_defaults() {
    let suite = Suite::parse(CASE, "tests.yaml").unwrap();
    let case = &suite.cases[0];
    let step = &case.exchanges()[0];
    assert_eq!(step.expect.status, StatusSpec::One(StatusItem::Code(200)));
    assert_eq!(suite.max_latency(step.expect.max_latency_ms), 5000);
    assert_eq!(suite.tolerance(step.expect.tolerance).absolute, 1e-6);
}

#[test]
fn the_case_wins_over_the_suite() {
    let text = "defaults: {tolerance: {absolute: 0.5, relative: 0.25}, max_latency_ms: 70}\ncases:\n\
                - name: a\n  request: {path: /}\n  expect: {tolerance: {absolute: 0}, max_latency_ms: 9}\n";
    let suite = Suite::parse(text, "tests.yaml").unwrap();
    let expect = suite.cases[0].expect.clone().unwrap();
    let tolerance = suite.tolerance(expect.tolerance);
    assert_eq!((tolerance.absolute, tolerance.relative), (0.0, 0.25));
    assert_eq!(suite.max_latency(expect.max_latency_ms), 9);
}

#[test]
fn json_is_read_and_null_is_a_value() {
    let text = r#"{"cases": [{"name": "a", "request": {"method": "POST", "path": "/p", "json": null},
                   "expect": {"json": null}}]}"#;
    let suite = Suite::parse(text, "tests.json").unwrap();
    assert_eq!(
        suite.cases[0].exchanges()[0].request.json,
        Some(serde_json::Value::Null)
    );
    assert_eq!(
        suite.cases[0].exchanges()[0].expect.json,
        Some(serde_json::Value::Null)
    );
}

/// Text, then for each error what its line holds.
#[test]
fn every_error_names_its_place_and_the_nearest_value() {
    let rows: &[(&str, &[&str])] = &[
        ("", &["tests.yaml"]),
        ("cases: [", &["tests.yaml:1"]),
        ("- a\n", &["tests.yaml:1:1 expected a mapping, got a list"]),
        (
            "{}\n",
            &["tests.yaml:1:1 one of the keys `cases` and `golden` is wanted"],
        ),
        (
            "cases: 1\n",
            &["tests.yaml:1:8 `cases`: expected a list, got a whole number"],
        ),
        (
            "case: []\n",
            &[
                "tests.yaml:1:1",
                "`case`: the key `case` is not known  did you mean `cases`?",
            ],
        ),
        (
            "cases:\n- name: a\n",
            &["tests.yaml:2:3 `cases[0]`: the key `request` is missing"],
        ),
        (
            "cases:\n- name: a\n  request: {}\n",
            &["tests.yaml:3:12 `cases[0].request`: the key `path` is missing"],
        ),
        (
            "cases:\n- name: 7\n  request: {path: /}\n",
            &["2:9 `cases[0].name`: expected text, got a whole number"],
        ),
        (
            "cases:\n- name: ''\n  request: {path: /}\n",
            &["`cases[0].name`: a name is wanted"],
        ),
        (
            "cases:\n- name: a\n  request: {path: x}\n",
            &["3:19 `cases[0].request.path`: `x` is no path"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /a b}\n",
            &["is no path"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /, method: GTE}\n",
            &["`GTE` is not allowed  did you mean `GET`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /, method: get}\n",
            &["did you mean `GET`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /, json: 1, body: x}\n",
            &["`json` and `body` cannot be given together"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /, headers: {'a b': c}}\n",
            &["`a b` is no header"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /, headers: {a: 1}}\n",
            &["headers.a`: expected text"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expects: {}\n",
            &["4:3 `cases[0].expects`: the key `expects` is not known  did you mean `expect`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {state: 1}\n",
            &["did you mean `status`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {status: 99}\n",
            &["99 is less than 100"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {status: 600}\n",
            &["600 is more than 599"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {status: '200'}\n",
            &["`200` is not allowed  did you mean `2xx`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {status: [200, 7xx]}\n",
            &["4:26 `cases[0].expect.status[1]`: `7xx` is not allowed"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {status: true}\n",
            &["cases[0].expect.status`: expected"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  steps: [{request: {path: /}}]\n",
            &["4:10 `cases[0].steps`: `request` and `steps` cannot be given together"],
        ),
        (
            "cases:\n- name: a\n  steps: []\n",
            &["`cases[0].steps`: at least 1 item(s) wanted"],
        ),
        (
            "cases:\n- name: a\n  steps: [{request: {path: /}}]\n  expect: {status: 200}\n",
            &["`expect` belongs to each of the `steps`"],
        ),
        (
            "cases:\n- name: a\n  request: {path: '/${idd}'}\nvariables: {id: 1}\n",
            &["3:19 `cases[0].request.path`: nothing is called `idd`  did you mean `${id}`?"],
        ),
        (
            "cases:\n- name: a\n  steps:\n  - request: {path: /}\n    capture: {job: $.id}\n  - request: {path: '/${job}/${jbo}'}\n",
            &[
                "6:21 `cases[0].steps[1].request.path`: nothing is called `jbo`  did you mean `${job}`?",
            ],
        ),
        (
            "cases:\n- name: a\n  steps:\n  - request: {path: /}\n    capture: {job: $.id}\n- name: b\n  request: {path: '/${job}'}\n",
            &["7:19 `cases[1].request.path`: nothing is called `job`"],
        ),
        (
            "secrets: {'a b': X}\ncases:\n- name: a\n  request: {path: /}\n",
            &["1:11 `secrets.a b`: a name has letters"],
        ),
        (
            "variables: {a: 1}\nsecrets: {a: X}\ncases:\n- name: a\n  request: {path: /}\n",
            &["2:11 `secrets.a`: `a` is a variable as well"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {jsonpath: [{path: 'a.b'}]}\n",
            &["4:30 `cases[0].expect.jsonpath[0].path`: `a.b` is no JSONPath"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {jsonpath: [{path: $.a, betwen: [0, 1]}]}\n",
            &["the key `betwen` is not known  did you mean `between`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {jsonpath: [{path: $.a, between: [0]}]}\n",
            &["at least 2 item(s) wanted, got 1"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {jsonpath: [{path: $.a, matches: '('}]}\n",
            &["`(` is no regular expression: unclosed group"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {headers: {x: {contain: a}}}\n",
            &[
                "`cases[0].expect.headers.x.contain`: the key `contain` is not known  did you mean `contains`?",
            ],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {schema: {type: strin}}\n",
            &["4:20 `cases[0].expect.schema`: no valid JSON Schema"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  retry: {times: 0}\n",
            &["`cases[0].retry.times`: 0 is less than 1"],
        ),
        (
            "golden:\n- file: a.parquet\n  request: {path: /p}\n",
            &["2:9 `golden[0].file`: `a.parquet` is neither `.jsonl` nor `.csv`"],
        ),
        (
            "golden:\n- file: a.csv\n  request: {path: /p}\n  max_mismatch_rate: 2\n",
            &["`golden[0].max_mismatch_rate`: 2 is more than 1"],
        ),
        (
            "golden:\n- file: a.csv\n  request: {path: /p}\n  columns: {p: {absolut: 2}}\n",
            &[
                "`golden[0].columns.p.absolut`: the key `absolut` is not known  did you mean `absolute`?",
            ],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {max_latency_ms: 0}\n",
            &["0 is less than 1"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {tolerance: {absolute: -1}}\n",
            &["-1 is less than 0"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {tolerance: {absolut: 1}}\n",
            &["did you mean `absolute`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {json: .nan}\n",
            &["NaN is no JSON number"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n  expect: {json: {p: [.inf]}}\n",
            &["inf is no JSON number"],
        ),
        (
            "defaults: {max_latency: 1}\ncases:\n- name: a\n  request: {path: /}\n",
            &["did you mean `max_latency_ms`?"],
        ),
        (
            "cases:\n- name: a\n  request: {path: /}\n- name: a\n  request: {path: /}\n",
            &["4:9 `cases[1].name`: another case is called `a`"],
        ),
    ];
    for (text, wanted) in rows {
        let lines = errors(text);
        assert!(lines.len() >= wanted.len(), "{text:?}: {lines:?}");
        for part in *wanted {
            assert!(
                lines.iter().any(|line| line.contains(part)),
                "{text:?}: {part:?} not in {lines:#?}"
            );
        }
    }
}

#[test]
fn all_errors_come_at_once_in_order() {
    let text = "defaults: {x: 1}\ncases:\n- nam: a\n  request: {path: p, method: PUSH}\n  expect: {status: 1000}\n";
    let lines = errors(text);
    assert_eq!(lines.len(), 6, "{lines:#?}");
    let starts: Vec<&str> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    let mut sorted = starts.clone();
    sorted.sort_unstable();
    assert_eq!(starts, sorted);
}

#[test]
fn the_schema_forbids_unknown_keys_and_describes_every_key() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    for name in [
        "Case",
        "Step",
        "Request",
        "Expect",
        "Defaults",
        "ToleranceSpec",
        "Retry",
        "PathCheck",
        "HeaderChecks",
        "HeaderCapture",
        "GoldenSpec",
        "GoldenRequest",
        "Batch",
        "ColumnSpec",
    ] {
        let part = &schema["$defs"][name];
        assert_eq!(part["additionalProperties"], false, "{name}");
        let properties = part["properties"].as_object().unwrap();
        for (key, property) in properties {
            assert!(
                property["description"].is_string(),
                "{name}.{key}: {property}"
            );
        }
    }
}

#[test]
fn the_standard_suite_asks_health_and_version() {
    let commit = delivery::release::Commit::parse("a".repeat(40)).unwrap();
    let suite = Suite::standard("/health", Some("/version"), Some(&commit));
    assert_eq!(suite.cases.len(), 2);
    let text = serde_json::to_string(&suite).unwrap();
    assert_eq!(Suite::parse(&text, "x.json").unwrap(), suite);
    assert_eq!(
        Suite::standard("/health", None, Some(&commit)).cases.len(),
        1
    );
}

#[test]
fn the_samples_recorded_predictions_are_a_suite() {
    let text = include_str!("../../../examples/ml-api/golden.yaml");
    let suite = Suite::parse(text, "golden.yaml").unwrap();
    assert!(suite.cases.len() >= 5);
    let text = include_str!("../../../examples/ml-api/suite/interface.yaml");
    let suite = Suite::parse(text, "interface.yaml").unwrap();
    assert!(suite.cases.len() >= 5);
}
