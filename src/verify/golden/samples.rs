//! Rows of a golden file as inputs of load and replay, read one after the other. Each row goes out
//! alone, also where the API takes several at once.

use serde_json::{Value, json};

use super::rows::{Row, Rows};
use super::spec::{Batch, GoldenSpec};
use crate::verify::caller::Call;
use crate::verify::sample::Sample;
use crate::verify::suite::{LoadedSuite, StatusSpec};

/// The rows of one file.
pub(crate) struct RowSamples<'a> {
    spec: &'a GoldenSpec,
    state: State,
}

/// What is read, and where it goes.
struct Source {
    rows: Rows,
    call: Call,
}

enum State {
    Open(Box<Source>),
    /// Why nothing can be read; told once.
    Broken(Option<String>),
}

/// Opens a golden file. What is wrong with it is the first and only item.
pub(crate) fn golden_samples<'a>(loaded: &'a LoadedSuite, spec: &'a GoldenSpec) -> RowSamples<'a> {
    let state = match open(loaded, spec) {
        Ok(source) => State::Open(Box::new(source)),
        Err(why) => State::Broken(Some(why)),
    };
    RowSamples { spec, state }
}

fn open(loaded: &LoadedSuite, spec: &GoldenSpec) -> Result<Source, String> {
    let path = loaded.folder.join(&spec.file);
    let rows = Rows::open(&path, spec).map_err(|bad| format!("{}: {}", spec.file, bad.message))?;
    let call = spec.call(loaded, "")?;
    Ok(Source { rows, call })
}

impl Iterator for RowSamples<'_> {
    type Item = Result<Sample, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let Source { rows, call } = match &mut self.state {
            State::Open(source) => source.as_mut(),
            State::Broken(why) => return why.take().map(Err),
        };
        let row = match rows.next()? {
            Ok(row) => row,
            Err(bad) => {
                return Some(Err(format!(
                    "{}:{}: {}",
                    self.spec.file, bad.line, bad.message
                )));
            }
        };
        let Row {
            line,
            input,
            expected,
        } = row;
        let batch = self.spec.batch.as_ref();
        let mut call = call.clone();
        call.body = wrapped(batch, input, |batch| batch.request_key.as_deref())
            .to_string()
            .into();
        Some(Ok(Sample {
            name: format!("{} line {line}", self.spec.title()),
            call,
            status: StatusSpec::default(),
            json: expected
                .map(|expected| wrapped(batch, expected, |batch| batch.answer_key.as_deref())),
        }))
    }
}

/// A batch of one.
fn wrapped(batch: Option<&Batch>, value: Value, key: impl Fn(&Batch) -> Option<&str>) -> Value {
    match batch {
        None => value,
        Some(batch) => match key(batch) {
            Some(key) => json!({ key: [value] }),
            None => json!([value]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Samples, Suite, SuiteSamples};

    /// Name, body and expectation.
    type Row = (String, String, Option<Value>);

    fn read(golden: &str, only: &[&str], rows: &str) -> Vec<Result<Row, String>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("g.jsonl"), rows).unwrap();
        let text =
            format!("cases:\n- name: one\n  request: {{path: '/p?x=1'}}\ngolden:\n- {golden}\n");
        let suite = Suite::parse(&text, "tests.yaml").unwrap();
        let loaded = LoadedSuite {
            folder: folder.path().to_owned(),
            ..suite.into()
        };
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        let samples = SuiteSamples {
            suites: vec![loaded],
            only,
        };
        assert!(samples.unknown().is_empty());
        let told = |sample: Sample| {
            (
                sample.name,
                String::from_utf8_lossy(&sample.call.body).into_owned(),
                sample.json,
            )
        };
        samples.read().map(|sample| sample.map(told)).collect()
    }

    #[test]
    fn rows_follow_the_cases_one_by_one() {
        let rows = "{\"input\": {\"x\": 1}, \"expected\": {\"y\": 2}}\n{\"x\": 2}\nno\n";
        let found = read("{file: g.jsonl, request: {path: /predict}}", &[], rows);
        assert_eq!(found[0], Ok(("one".to_owned(), String::new(), None)));
        assert_eq!(
            found[1],
            Ok((
                "g.jsonl line 1".to_owned(),
                "{\"x\":1}".to_owned(),
                Some(json!({"y": 2}))
            ))
        );
        assert_eq!(
            found[2],
            Ok(("g.jsonl line 2".to_owned(), "{\"x\":2}".to_owned(), None))
        );
        assert!(
            found[3].as_ref().unwrap_err().starts_with("g.jsonl:3: "),
            "{found:?}"
        );
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_batch_is_a_batch_of_one_and_a_file_can_be_chosen_by_its_name() {
        let golden = "{file: g.jsonl, name: rows, request: {path: /p}, batch: {size: 8, request_key: in, answer_key: out}}";
        let found = read(golden, &["rows"], "{\"input\": 1, \"expected\": 2}\n");
        assert_eq!(
            found,
            [Ok((
                "rows line 1".to_owned(),
                "{\"in\":[1]}".to_owned(),
                Some(json!({"out": [2]}))
            ))]
        );
    }
}
