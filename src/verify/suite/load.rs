//! Patterns → files → suites that are ready to run: bodies, schemas and secrets are read once, before
//! anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use delivery::diagnostic::{Code, Diagnostic};
use serde_json::Value;

use super::template::Scope;
use super::{Suite, diagnostic};
use crate::secret::Secret;
use crate::verify::document::Node;
use crate::verify::golden::check_file;
use crate::verify::schema_check::Finding;

/// Largest suite file, body file or schema file, in bytes: they are held in memory.
pub(crate) const MOST_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// A suite with all that it refers to.
#[derive(Debug, Clone, Default)]
pub struct LoadedSuite {
    /// What the file says.
    pub suite: Suite,
    /// Set where there are several files, so that their cases can be told apart.
    pub label: Option<String>,
    /// Where the files that it names are.
    pub folder: PathBuf,
    /// Variables and secrets.
    pub(crate) scope: Scope,
    /// Never shown.
    pub secrets: Vec<Secret>,
    pub(crate) bodies: BTreeMap<String, Bytes>,
    pub(crate) schemas: BTreeMap<String, Value>,
}

impl From<Suite> for LoadedSuite {
    /// A suite that names no file and no secret.
    fn from(suite: Suite) -> Self {
        let mut scope = Scope::default();
        for (name, value) in &suite.variables {
            scope.set(name, value.clone());
        }
        Self {
            suite,
            scope,
            ..Self::default()
        }
    }
}

/// Reads every suite file that the patterns name, relative to `root`. `*`, `?`, `[…]` and `**` stand
/// for several; files are taken in the order of their names, each once. `lookup` reads the
/// environment.
///
/// # Errors
/// Everything that is wrong in all of them ([`Code::TestsUnreadable`]).
pub fn load_suites(
    root: &Path,
    patterns: &[String],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<LoadedSuite>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut files = BTreeSet::new();
    for pattern in patterns {
        match matching(root, pattern) {
            Ok(found) => files.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let several = files.len() > 1;
    let mut suites = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        match load(&file, &name, lookup) {
            Ok(mut loaded) => {
                loaded.label = several.then_some(name);
                suites.push(loaded);
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(suites)
    } else {
        Err(problems)
    }
}

fn matching(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, Diagnostic> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![root.join(pattern)]);
    }
    let unreadable = |cause: String| {
        Diagnostic::error(
            Code::TestsUnreadable,
            format!("no API test file matches `{pattern}`"),
        )
        .at("input `tests`")
        .cause(cause)
    };
    let full = Path::new(&glob::Pattern::escape(&root.to_string_lossy())).join(pattern);
    let paths =
        glob::glob(&full.to_string_lossy()).map_err(|error| unreadable(error.to_string()))?;
    let found: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
    if found.is_empty() {
        let cause = format!("nothing in {} is called like that", root.display());
        return Err(unreadable(cause)
            .help("give a path inside the repository, and check the code out before this step"));
    }
    Ok(found)
}

fn load(
    file: &Path,
    name: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSuite, Vec<Diagnostic>> {
    let text = read(file)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
        .map_err(|cause| {
            let title = format!("the API test file `{name}` cannot be read");
            vec![
                Diagnostic::error(Code::TestsUnreadable, title)
                    .at("input `tests`")
                    .cause(cause)
                    .help("give a path inside the repository, and check the code out before this step"),
            ]
        })?;
    let (suite, node) = Suite::parse_with_places(&text, name)?;
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut loading = Loading {
        loaded: LoadedSuite {
            folder,
            ..LoadedSuite::from(suite)
        },
        findings: Vec::new(),
        lookup,
    };
    loading.secrets(&node);
    loading.files(&node, "");
    loading.finish(name)?.with_golden_checked()
}

impl LoadedSuite {
    /// Reads each golden file once, so that a bad row is told before anything is sent.
    fn with_golden_checked(self) -> Result<Self, Vec<Diagnostic>> {
        let problems: Vec<Diagnostic> = self
            .suite
            .golden
            .iter()
            .flat_map(|spec| {
                let file = self.folder.join(&spec.file);
                let shown = file.display().to_string();
                let bad = check_file(&file, spec);
                bad.into_iter().map(move |bad| {
                    let title = format!("golden file: {}", bad.message);
                    Diagnostic::error(Code::TestsUnreadable, title)
                        .at(format!("{shown}:{}", bad.line))
                })
            })
            .collect();
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(problems)
        }
    }
}

struct Loading<'a> {
    loaded: LoadedSuite,
    findings: Vec<Finding>,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Loading<'_> {
    fn secrets(&mut self, root: &Node) {
        let declared = self.loaded.suite.secrets.clone();
        let node = root.get("secrets");
        for (name, variable) in declared {
            match (self.lookup)(&variable).filter(|value| !value.is_empty()) {
                Some(value) => {
                    self.loaded.secrets.push(Secret::new(value.clone()));
                    self.loaded.scope.set(name, Value::String(value));
                }
                None => {
                    let place = node.and_then(|node| node.get(&name)).unwrap_or(root).place;
                    self.findings.push(Finding {
                        place,
                        path: format!("secrets.{name}"),
                        message: format!("the environment variable `{variable}` is not set"),
                        help: Some(format!(
                            "in a workflow: `env: {{ {variable}: ${{{{ secrets.{variable} }}}} }}`"
                        )),
                    });
                }
            }
        }
    }

    /// Reads what `body_file` and `schema_file` name, wherever they stand, and checks that the files of
    /// `golden` are there.
    fn files(&mut self, node: &Node, path: &str) {
        use crate::verify::document::Content;
        match &node.content {
            Content::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.files(item, &format!("{path}[{index}]"));
                }
            }
            Content::Mapping(entries) => {
                for (key, value) in entries {
                    let inner = match path {
                        "" => key.text.clone(),
                        path => format!("{path}.{}", key.text),
                    };
                    match (key.text.as_str(), &value.content) {
                        // What stands in a body or an answer is data, not ours to read.
                        ("json" | "form" | "equals" | "one_of" | "schema" | "variables", _) => {}
                        ("body_file" | "schema_file", Content::Text(file)) => {
                            self.file(value, file, &key.text, inner);
                        }
                        ("file", Content::Text(file)) if path.starts_with("golden[") => {
                            self.is_there(value, file, inner);
                        }
                        _ => self.files(value, &inner),
                    }
                }
            }
            _ => {}
        }
    }

    fn file(&mut self, node: &Node, file: &str, key: &str, path: String) {
        let read = read(&self.loaded.folder.join(file));
        let wrong = match (read, key) {
            (Err(cause), _) => format!("`{file}` cannot be read: {cause}"),
            (Ok(bytes), "body_file") => {
                self.loaded.bodies.insert(file.to_owned(), bytes.into());
                return;
            }
            (Ok(bytes), _) => match serde_json::from_slice::<Value>(&bytes) {
                Err(error) => format!("`{file}` is no JSON: {error}"),
                Ok(schema) => match jsonschema::validator_for(&schema) {
                    Err(error) => format!("`{file}` is no valid JSON Schema: {error}"),
                    Ok(_) => {
                        self.loaded.schemas.insert(file.to_owned(), schema);
                        return;
                    }
                },
            },
        };
        self.find(node, path, wrong);
    }

    fn is_there(&mut self, node: &Node, file: &str, path: String) {
        if let Err(error) = std::fs::File::open(self.loaded.folder.join(file)) {
            self.find(node, path, format!("`{file}` cannot be read: {error}"));
        }
    }

    fn find(&mut self, node: &Node, path: String, message: String) {
        self.findings.push(Finding {
            place: node.place,
            path,
            message,
            help: None,
        });
    }

    fn finish(self, name: &str) -> Result<LoadedSuite, Vec<Diagnostic>> {
        if self.findings.is_empty() {
            return Ok(self.loaded);
        }
        let mut findings = self.findings;
        findings.sort_by_key(|finding| (finding.place.line, finding.place.column));
        Err(findings
            .into_iter()
            .map(|finding| diagnostic(name, finding))
            .collect())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(file)
        .map_err(|error| error.to_string())?
        .len();
    if size > MOST_FILE_BYTES {
        return Err(format!(
            "it is larger than {} MB",
            MOST_FILE_BYTES / (1024 * 1024)
        ));
    }
    std::fs::read(file).map_err(|error| error.to_string())
}
