//! Requirements files: is every package pinned to one version?
//!
//! The grammar is pip's ("Requirements File Format" in its documentation), the verdict is stricter
//! than pip's own notions of "pinned": one clause `==` or `===` and no wildcard, a file by its hash,
//! a repository by its whole commit. Pure: files come from the caller.

pub mod judge;
pub mod line;
pub mod lines;
pub mod version;

use std::collections::BTreeSet;

use self::judge::{Unpinned, judge};
use self::line::{Package, Said, Source, read_line};
use super::finding::{Finding, Place, Policy, Spot, shown};
use super::placed::LogicalLine;

/// Gives the bytes of a file by its path, relative to what is checked; `None` when it is not there
/// or outside.
pub type ReadFile<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// How deep files may include each other.
const DEEPEST: usize = 32;

/// Whether a file of this name is a requirements file: `requirements*.txt`, `constraints*.txt`, and
/// every text file in a directory `requirements`.
pub fn is_requirements(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.to_ascii_lowercase();
    let parent = directory.rsplit('/').next().unwrap_or_default();
    let named = ["requirements", "constraints"]
        .iter()
        .any(|word| name.starts_with(word));
    (name.ends_with(".txt") || name.ends_with(".pip")) && (named || parent == "requirements")
}

/// Checks the files and all that they include. A file that another one includes is judged there,
/// with the constraints that hold there.
pub fn check_requirements(files: &[String], read: &ReadFile<'_>) -> Vec<Finding> {
    let mut trees: Vec<(String, Tree)> = Vec::new();
    for file in files {
        let mut tree = Tree::default();
        tree.take(file, Role::Requirements, &mut Vec::new(), read);
        trees.push((file.clone(), tree));
    }
    let included: BTreeSet<String> = trees
        .iter()
        .flat_map(|(root, tree)| tree.seen.iter().filter(move |(path, _)| path != root))
        .map(|(path, _)| path.clone())
        .collect();
    let mut findings = Vec::new();
    for (root, tree) in trees {
        let on_a_circle = tree.findings.iter().any(|finding| finding.rule == "circle");
        if !included.contains(&root) || on_a_circle {
            findings.extend(tree.judge());
        }
    }
    findings.sort_by(|a: &Finding, b| (&a.place, a.rule).cmp(&(&b.place, b.rule)));
    findings.dedup();
    findings
}

/// What a file is for the one that includes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Requirements,
    Constraints,
}

struct Entry {
    file: String,
    line: LogicalLine,
    package: Package,
    role: Role,
}

/// A file and all that it includes.
#[derive(Default)]
struct Tree {
    seen: BTreeSet<(String, Role)>,
    entries: Vec<Entry>,
    findings: Vec<Finding>,
    requires_hashes: bool,
}

impl Tree {
    fn take(&mut self, file: &str, role: Role, path: &mut Vec<String>, read: &ReadFile<'_>) {
        if !self.seen.insert((file.to_owned(), role)) {
            return;
        }
        let whole = |line| Place::File(Spot::new(file, line, 1));
        let Some(bytes) = read(file) else {
            return;
        };
        let text = match lines::decode(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let title = format!("`{file}` cannot be read: {error}");
                let finding = Finding::new(Policy::Pins, "encoding", whole(1), title);
                self.findings.push(finding.help("save it as UTF-8"));
                return;
            }
        };
        path.push(file.to_owned());
        for line in lines::logical_lines(&text) {
            self.take_line(file, role, line, path, read);
        }
        path.pop();
    }

    fn take_line(
        &mut self,
        file: &str,
        role: Role,
        line: LogicalLine,
        path: &mut Vec<String>,
        read: &ReadFile<'_>,
    ) {
        match read_line(&line.text) {
            Said::Setting => {}
            Said::RequireHashes => self.requires_hashes = true,
            Said::Package(package) => {
                self.requires_hashes |= !package.hashes.is_empty();
                self.entries.push(Entry {
                    file: file.to_owned(),
                    line,
                    package,
                    role,
                });
            }
            Said::Editable { target, at } => {
                let title = format!("`{target}` is installed as editable: its files may change");
                let help = "install a published version, such as `NAME==VERSION`, or `NAME @ git+https://…@COMMIT` with the whole commit";
                self.tell("editable", file, &line, at, title, help);
            }
            Said::Include { target, at } => {
                self.include(file, &line, (&target, at), role, path, read);
            }
            Said::Constraint { target, at } => {
                self.include(file, &line, (&target, at), Role::Constraints, path, read);
            }
        }
    }

    fn include(
        &mut self,
        file: &str,
        line: &LogicalLine,
        (target, at): (&str, usize),
        role: Role,
        path: &mut Vec<String>,
        read: &ReadFile<'_>,
    ) {
        if target.contains("://") {
            let title = format!(
                "`{}` is fetched when the image is built, and may change",
                shown(target)
            );
            let help = "keep the file in the repository";
            return self.tell("remote-include", file, line, at, title, help);
        }
        let Some(inner) = beside(file, target).filter(|inner| read(inner).is_some()) else {
            let title = format!("`{target}` is not in the repository beside `{file}`");
            return self.tell(
                "include-missing",
                file,
                line,
                at,
                title,
                "correct the path: it counts from the including file",
            );
        };
        if path.contains(&inner) || path.len() >= DEEPEST {
            let title = format!("`{inner}` includes itself");
            return self.tell("circle", file, line, at, title, "drop one of the includes");
        }
        self.take(&inner, role, path, read);
    }

    fn tell(
        &mut self,
        rule: &'static str,
        file: &str,
        line: &LogicalLine,
        at: usize,
        title: String,
        help: &str,
    ) {
        self.findings
            .push(finding(rule, file, line, at, title).help(help));
    }

    /// The findings of everything that was taken.
    fn judge(self) -> Vec<Finding> {
        let constraints: BTreeSet<(String, String)> = self
            .entries
            .iter()
            .filter(|entry| entry.role == Role::Constraints && judge(&entry.package).is_ok())
            .map(|entry| (normal(&entry.package.name), entry.package.marker.clone()))
            .collect();
        let is_constrained = |package: &Package| {
            let key = |marker: &str| (normal(&package.name), marker.to_owned());
            // A constraint with a marker holds only where the marker does.
            constraints.contains(&key("")) || constraints.contains(&key(&package.marker))
        };
        let mut findings = self.findings;
        for entry in &self.entries {
            let Entry {
                file,
                line,
                package,
                role,
            } = entry;
            if let Err(unpinned) = judge(package) {
                let by_specifier =
                    matches!(package.source, Source::Specifier(_)) && unpinned.rule != "unreadable";
                if *role == Role::Requirements && by_specifier && is_constrained(package) {
                    continue;
                }
                findings.push(unpinned_finding(file, line, package, unpinned));
            } else if self.requires_hashes
                && package.hashes.is_empty()
                && *role == Role::Requirements
            {
                findings.extend(hash_missing(file, line, package));
            }
        }
        findings
    }
}

fn unpinned_finding(
    file: &str,
    line: &LogicalLine,
    package: &Package,
    unpinned: Unpinned,
) -> Finding {
    let Unpinned { rule, why, help } = unpinned;
    let title = match &package.source {
        // Sentences that begin with the package's own text.
        Source::Specifier(_) => why,
        Source::Path(_) => why,
        Source::Address(_) | Source::Unreadable => format!("`{}` {why}", shown(&line.text)),
    };
    finding(rule, file, line, package.at, title).help(help)
}

/// One hash in a file makes pip demand one for every package; an address has its hash in itself.
fn hash_missing(file: &str, line: &LogicalLine, package: &Package) -> Option<Finding> {
    match &package.source {
        Source::Address(address) if !address.contains('+') => None,
        Source::Address(_) => {
            let title =
                "a repository cannot be named by hash, and other lines here have one".to_owned();
            Some(
                finding("hash-missing", file, line, package.at, title)
                    .help("pin a published version with its hash"),
            )
        }
        _ => {
            let title = format!(
                "`{}` has no hash, and other lines here have one: pip refuses the file",
                package.name
            );
            Some(finding("hash-missing", file, line, 0, title).help(
                "add `--hash=sha256:…` to every line; `pip-compile --generate-hashes` writes them",
            ))
        }
    }
}

fn finding(
    rule: &'static str,
    file: &str,
    line: &LogicalLine,
    at: usize,
    title: String,
) -> Finding {
    let (number, column) = line.place(at);
    let place = Place::File(Spot::new(file, number, column));
    Finding::new(Policy::Pins, rule, place, super::secret::redact(&title)).detail(shown(&line.text))
}

/// Package names that differ only in case and in `-`, `_`, `.` are one.
fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(c.to_ascii_lowercase());
        }
    }
    normal
}

/// A path, relative to the file that names it; `None` when it leaves what is checked.
fn beside(file: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
