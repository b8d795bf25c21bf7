//! Rows of a golden file, read one after the other: the file is never held in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::spec::GoldenSpec;

/// Longest row, in bytes.
pub(crate) const MOST_ROW_BYTES: usize = 1024 * 1024;
/// Most bytes that are read for one row of a CSV file: the reader takes some of the rows behind it.
const MOST_READ_AT_ONCE: usize = MOST_ROW_BYTES + (64 << 10);
/// How the name of a column begins whose values must come back.
const EXPECTED: &str = "expected.";

/// One recorded prediction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Its line in the file, 1-based.
    pub(crate) line: u64,
    /// What is sent.
    pub(crate) input: Value,
    /// What must come back; `None` in a file of inputs alone.
    pub(crate) expected: Option<Value>,
}

/// What is wrong with a row, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRow {
    pub(crate) line: u64,
    pub(crate) message: String,
}

/// Reads a file.
pub(crate) enum Rows {
    Lines {
        reader: BufReader<File>,
        line: u64,
    },
    Csv {
        reader: csv::Reader<Bounded<BufReader<File>>>,
        columns: Vec<Column>,
        record: csv::StringRecord,
        /// Set behind a row without an end: where the next one begins is not known.
        lost: bool,
    },
}

/// A column of a CSV file.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Keys, outermost first.
    path: Vec<String>,
    expected: bool,
    stays_text: bool,
}

impl Rows {
    /// Opens the file; reads the header of a CSV file.
    ///
    /// # Errors
    /// When it cannot be read, or its header cannot be used.
    pub(crate) fn open(path: &Path, spec: &GoldenSpec) -> Result<Self, BadRow> {
        let bad = |message: String| BadRow { line: 1, message };
        let file = File::open(path).map_err(|error| bad(error.to_string()))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        let is_csv = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("csv"));
        if !is_csv {
            return Ok(Self::Lines { reader, line: 0 });
        }
        let mut reader = csv::Reader::from_reader(Bounded::new(reader));
        let header = reader.headers().map_err(|error| bad(csv_words(&error)))?;
        let columns = columns(header, spec).map_err(bad)?;
        Ok(Self::Csv {
            reader,
            columns,
            record: csv::StringRecord::new(),
            lost: false,
        })
    }

    /// The next row; `None` at the end. After a bad row the next one can be read, except after a row
    /// of a CSV file that does not end within the limit.
    pub(crate) fn next(&mut self) -> Option<Result<Row, BadRow>> {
        match self {
            Self::Lines { reader, line } => next_line(reader, line),
            Self::Csv {
                reader,
                columns,
                record,
                lost,
            } => next_record(reader, columns, record, lost),
        }
    }
}

fn next_line(reader: &mut BufReader<File>, line: &mut u64) -> Option<Result<Row, BadRow>> {
    loop {
        *line += 1;
        let at = *line;
        let bad = |message: String| Some(Err(BadRow { line: at, message }));
        let text = match bounded_line(reader) {
            Ok(None) => return None,
            Ok(Some(text)) => text,
            Err(message) => return bad(message),
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        return match serde_json::from_slice::<Value>(&text) {
            Err(error) => bad(format!("no JSON at column {}: {error}", error.column())),
            Ok(value) => Some(Ok(row_of(at, value))),
        };
    }
}

/// `{"input": …, "expected": …}`; anything else is an input alone.
fn row_of(line: u64, value: Value) -> Row {
    match value {
        Value::Object(mut entries) if entries.contains_key("input") => Row {
            line,
            expected: entries.remove("expected"),
            input: entries.remove("input").unwrap_or_default(),
        },
        input => Row {
            line,
            input,
            expected: None,
        },
    }
}

/// A line without its end; one that is too long is skipped to its end.
fn bounded_line(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut text = Vec::new();
    let mut too_long = false;
    let mut read_any = false;
    loop {
        let chunk = reader.fill_buf().map_err(|error| error.to_string())?;
        if chunk.is_empty() {
            break;
        }
        read_any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(chunk.len());
        if text.len() + taken > MOST_ROW_BYTES {
            too_long = true;
        } else {
            text.extend_from_slice(&chunk[..taken]);
        }
        reader.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            break;
        }
    }
    match (read_any, too_long) {
        (false, _) => Ok(None),
        (true, true) => Err(row_too_long()),
        (true, false) => Ok(Some(text)),
    }
}

fn columns(header: &csv::StringRecord, spec: &GoldenSpec) -> Result<Vec<Column>, String> {
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    for named in spec.expected_columns.iter().chain(&spec.text_columns) {
        if !names.contains(&named.as_str()) {
            let near = crate::verify::schema_check::nearest(named, names.iter().copied());
            let near = near.map(|near| format!("; did you mean `{near}`?"));
            return Err(format!(
                "there is no column `{named}`{}",
                near.unwrap_or_default()
            ));
        }
    }
    let mut columns = Vec::new();
    for name in names {
        let own = spec.expected_columns.iter().any(|one| one == name);
        let (expected, path) = match name.strip_prefix(EXPECTED) {
            Some(rest) => (true, rest),
            None => (own, name),
        };
        if path.is_empty() || path.split('.').any(str::is_empty) {
            return Err(format!("`{name}` is no name of a column"));
        }
        columns.push(Column {
            path: path.split('.').map(str::to_owned).collect(),
            expected,
            stays_text: spec.text_columns.iter().any(|one| one == name),
        });
    }
    Ok(columns)
}

fn next_record(
    reader: &mut csv::Reader<Bounded<BufReader<File>>>,
    columns: &[Column],
    record: &mut csv::StringRecord,
    lost: &mut bool,
) -> Option<Result<Row, BadRow>> {
    if *lost {
        return None;
    }
    reader.get_mut().left = MOST_READ_AT_ONCE;
    let begins = reader.position().line();
    match reader.read_record(record) {
        Ok(false) => None,
        Ok(true) => {
            let line = record.position().map_or(0, csv::Position::line);
            let bad = |message| Some(Err(BadRow { line, message }));
            if record.as_slice().len() > MOST_ROW_BYTES {
                return bad(row_too_long());
            }
            let mut input = Map::new();
            let mut expected = Map::new();
            for (column, text) in columns.iter().zip(record.iter()) {
                let into = if column.expected {
                    &mut expected
                } else {
                    &mut input
                };
                if !put(into, &column.path, cell(text, column.stays_text)) {
                    let name = column.path.join(".");
                    return bad(format!("column `{name}` stands beside a part of itself"));
                }
            }
            Some(Ok(Row {
                line,
                input: Value::Object(input),
                expected: (!expected.is_empty()).then_some(Value::Object(expected)),
            }))
        }
        Err(error) => {
            *lost = error.is_io_error();
            let line = error.position().map_or(begins, csv::Position::line);
            Some(Err(BadRow {
                line,
                message: csv_words(&error),
            }))
        }
    }
}

fn row_too_long() -> String {
    format!("the row is longer than {MOST_ROW_BYTES} bytes")
}

/// Gives so many bytes and then an error, until `left` is set anew: a row without an end would fill
/// the memory.
pub(crate) struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R> Bounded<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: MOST_READ_AT_ONCE,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = buffer.len().min(self.left);
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

fn csv_words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("expected {expected_len} columns, got {len}"),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => format!(
            "{}; is a quote missing? What follows was not read",
            row_too_long()
        ),
        _ => error.to_string(),
    }
}

/// Numbers, `true` and `false` are what they look like; nothing is null; the rest is text.
fn cell(text: &str, stays_text: bool) -> Value {
    if stays_text {
        return Value::String(text.to_owned());
    }
    match text {
        "" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => match serde_json::from_str::<serde_json::Number>(text) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// Puts a value under its keys; false where a key holds a value that is no mapping.
fn put(into: &mut Map<String, Value>, path: &[String], value: Value) -> bool {
    match path {
        [] => false,
        [last] => into.insert(last.clone(), value).is_none(),
        [first, rest @ ..] => {
            let entry = into
                .entry(first.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            match entry {
                Value::Object(inner) => put(inner, rest, value),
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> GoldenSpec {
        serde_json::from_value(json!({"file": "x", "request": {"path": "/p"}})).unwrap()
    }

    fn read(name: &str, text: &str, spec: &GoldenSpec) -> Vec<Result<Row, BadRow>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut rows = match Rows::open(&path, spec) {
            Ok(rows) => rows,
            Err(bad) => return vec![Err(bad)],
        };
        std::iter::from_fn(|| rows.next()).collect()
    }

    fn bad(line: u64, message: &str) -> Result<Row, BadRow> {
        Err(BadRow {
            line,
            message: message.to_owned(),
        })
    }

    #[test]
    fn lines_of_json_are_rows_and_bad_ones_do_not_end_the_file() {
        let long = format!("{{\"input\": \"{}\"}}\n", "x".repeat(MOST_ROW_BYTES));
        let text = format!(
            "{{\"input\": {{\"a\": 1}}, \"expected\": 2}}\n\n{{\"a\": 1}}\n{{\"a\": \n{long}[1, 2]"
        );
        let rows = read("x.jsonl", &text, &spec());
        let row = |line, input, expected| {
            Ok(Row {
                line,
                input,
                expected,
            })
        };
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0], row(1, json!({"a": 1}), Some(json!(2))));
        assert_eq!(rows[1], row(3, json!({"a": 1}), None));
        assert!(matches!(&rows[2], Err(bad) if bad.line == 4 && bad.message.contains("column 6")));
        assert_eq!(rows[3], bad(5, "the row is longer than 1048576 bytes"));
        assert_eq!(rows[4], row(6, json!([1, 2]), None));
    }

    #[test]
    fn columns_become_nested_values_of_their_kind() {
        let mut spec = spec();
        spec.text_columns = vec!["zip".to_owned()];
        spec.expected_columns = vec!["label".to_owned()];
        let text = "age,zip,geo.lat,note,ok,label,expected.p.a\n41,01234,1.5,\"a, \"\"b\"\"\",true,yes,0.25\n,1,2,,False,no,1e-3\nshort,1\n";
        let rows = read("x.csv", text, &spec);
        assert_eq!(
            rows[0],
            Ok(Row {
                line: 2,
                input: json!({"age": 41, "zip": "01234", "geo": {"lat": 1.5}, "note": "a, \"b\"", "ok": true}),
                expected: Some(json!({"label": "yes", "p": {"a": 0.25}})),
            })
        );
        let second = rows[1].clone().unwrap();
        assert_eq!(second.input["age"], Value::Null);
        assert_eq!(second.expected.unwrap()["p"]["a"], json!(1e-3));
        assert_eq!(rows[2], bad(4, "expected 7 columns, got 2"));
    }

    #[test]
    fn a_row_without_an_end_is_cut_while_it_is_read() {
        // A quote that nobody closes makes the rest of the file one cell.
        let text = format!("a,expected.b\n1,2\n\"{}", "x,1\n".repeat(2 << 20));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(&path, &spec()).unwrap();
        assert!(rows.next().unwrap().is_ok());
        let found = rows.next().unwrap().unwrap_err();
        assert_eq!(found.line, 3);
        assert!(
            found
                .message
                .starts_with("the row is longer than 1048576 bytes; is a quote")
        );
        assert_eq!(rows.next(), None);
        let Rows::Csv { record, .. } = &rows else {
            panic!()
        };
        assert!(record.as_slice().len() <= MOST_READ_AT_ONCE);

        std::fs::write(&path, "a".repeat(4 << 20)).unwrap();
        let header = Rows::open(&path, &spec()).err().unwrap();
        assert!(header.message.contains("longer than"), "{}", header.message);
    }

    #[test]
    fn a_long_row_does_not_end_the_file() {
        let long = "x".repeat(MOST_ROW_BYTES + 10);
        let many = "3,4\n".repeat(500_000);
        let rows = read("x.csv", &format!("a,expected.b\n{long},2\n{many}"), &spec());
        assert_eq!(rows[0], bad(2, "the row is longer than 1048576 bytes"));
        assert_eq!(rows.len(), 500_001);
        assert!(rows[1..].iter().all(Result::is_ok));
    }

    #[test]
    fn a_header_that_cannot_be_used_says_why() {
        let mut wrong = spec();
        wrong.text_columns = vec!["zap".to_owned()];
        assert_eq!(
            read("x.csv", "zip,b\n1,2\n", &wrong),
            [bad(1, "there is no column `zap`; did you mean `zip`?")]
        );
        assert_eq!(
            read("x.csv", "a..b\n1\n", &spec()),
            [bad(1, "`a..b` is no name of a column")]
        );
        assert_eq!(
            read("x.csv", "a,a.b\n1,2\n", &spec()),
            [bad(2, "column `a.b` stands beside a part of itself")]
        );
    }
}
