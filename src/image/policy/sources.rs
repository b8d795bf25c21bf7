//! Reads what is checked before the build: requirements files and manifests, the Dockerfile, and the
//! build context as it would be sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::policy::Policies;

use super::archive::tar::{Kind, TarReader};
use super::conda::{check_environment, is_environment};
use super::dockerfile::{DockerfileRequest, check_dockerfile};
use super::finding::{Finding, Place, Policy, Spot};
use super::pyproject::{check_manifest, is_manifest};
use super::requirements::{check_requirements, is_requirements};
use super::secret::scan::Window;
use super::secret::{Found, described};
use crate::image::context::Context;
use crate::image::ignore::is_credential;

/// Directories that hold other people's projects, or none.
const SKIPPED: [&str; 12] = [
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "env",
    "node_modules",
    "site-packages",
    "__pycache__",
    ".tox",
    ".nox",
    "dist-packages",
];
/// Policies that read the Dockerfile.
const OF_DOCKERFILE: [Policy; 4] = [
    Policy::Pins,
    Policy::Dockerfile,
    Policy::BasePinned,
    Policy::Secrets,
];
/// How deep directories are searched.
const DEEPEST: usize = 12;
/// Largest text file that is read whole, in bytes.
const LARGEST_TEXT: u64 = 16 << 20;
/// Most credentials that are told of one file.
const MOST_PER_FILE: usize = 20;

/// What is checked before the build.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The repository: positions count from here.
    pub root: PathBuf,
    /// Directory that is sent, relative to `root`.
    pub context: String,
    /// Dockerfile, relative to `root`; `Dockerfile` in the context if not given.
    pub dockerfile: Option<String>,
    /// Values that the build gives to `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// The stage that is built.
    pub target: Option<String>,
}

impl Sources {
    /// Checks everything that the policies ask for.
    ///
    /// # Errors
    /// What is wrong with context, Dockerfile and ignore file, or that a file cannot be read.
    pub fn check(&self, policies: &Policies) -> Result<Vec<Finding>, Vec<Diagnostic>> {
        let mut findings = Vec::new();
        if policies.any(&[Policy::Pins]) {
            findings.extend(self.pins().map_err(|error| vec![unreadable(&error)])?);
        }
        let dockerfile = self.dockerfile_path();
        if policies.any(&OF_DOCKERFILE) {
            findings.extend(self.dockerfile(&dockerfile, policies));
        }
        if policies.any(&[Policy::Secrets]) {
            let context = Context::open(
                &self.root.join(&self.context),
                Some(&self.root.join(&dockerfile)),
            )?;
            findings.extend(
                self.secrets(&context)
                    .map_err(|error| vec![unreadable(&error)])?,
            );
        }
        Ok(findings)
    }

    fn dockerfile_path(&self) -> String {
        self.dockerfile
            .clone()
            .unwrap_or_else(|| self.named("Dockerfile"))
    }

    /// A path in the context, as it is named from the repository.
    fn named(&self, inside: &str) -> String {
        if self.context == "." {
            inside.to_owned()
        } else {
            format!("{}/{inside}", self.context)
        }
    }

    fn pins(&self) -> std::io::Result<Vec<Finding>> {
        let mut found = Vec::new();
        list(&self.root.join(&self.context), "", DEEPEST, &mut found)?;
        found.sort();
        let requirements: Vec<String> = found
            .iter()
            .filter(|path| is_requirements(path))
            .map(|path| self.named(path))
            .collect();
        let unreadable = RefCell::new(BTreeMap::new());
        // What cannot be read is told as such, and not as missing where it is included.
        let read = |path: &str| match read_text(&self.root.join(path)) {
            Text::Read(bytes) => Some(bytes),
            Text::Missing => None,
            Text::Unreadable(why) => {
                unreadable.borrow_mut().insert(path.to_owned(), why);
                Some(Vec::new())
            }
        };
        let mut findings = check_requirements(&requirements, &read);
        for path in found.iter().filter(|path| is_manifest(path)) {
            let named = self.named(path);
            let Some(bytes) = read(&named) else {
                continue;
            };
            let beside = names_beside(&self.root.join(&named));
            findings.extend(check_manifest(
                &named,
                &String::from_utf8_lossy(&bytes),
                &beside,
            ));
        }
        for path in found.iter().filter(|path| is_environment(path)) {
            let named = self.named(path);
            let Some(bytes) = read(&named) else {
                continue;
            };
            let beside = names_beside(&self.root.join(&named));
            let text = String::from_utf8_lossy(&bytes);
            findings.extend(check_environment(&named, &text, &beside));
        }
        let unreadable = unreadable.into_inner();
        findings.extend(
            unreadable
                .into_iter()
                .map(|(path, why)| not_checked(Policy::Pins, &path, &why)),
        );
        Ok(findings)
    }

    fn dockerfile(&self, path: &str, policies: &Policies) -> Vec<Finding> {
        // A Dockerfile that is missing is the build's to tell, with what is there instead.
        let bytes = match read_text(&self.root.join(path)) {
            Text::Read(bytes) => bytes,
            Text::Missing => return Vec::new(),
            Text::Unreadable(why) => {
                let asked = OF_DOCKERFILE.into_iter();
                return asked
                    .filter(|policy| policies.any(&[*policy]))
                    .map(|policy| not_checked(policy, path, &why))
                    .collect();
            }
        };
        let request = DockerfileRequest {
            path: path.to_owned(),
            build_args: self.build_args.clone(),
            target: self.target.clone(),
            base_pin: policies.base_pin,
        };
        check_dockerfile(&String::from_utf8_lossy(&bytes), &request)
    }

    /// Looks for credentials in exactly the bytes that a build would send.
    fn secrets(&self, context: &Context) -> std::io::Result<Vec<Finding>> {
        let (reader, writer) = std::io::pipe()?;
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let written = context.write(std::io::BufWriter::with_capacity(64 * 1024, writer));
                written.map_err(std::io::Error::other)
            });
            let found = self.scan(BufReader::with_capacity(256 * 1024, reader));
            match sending.join() {
                // Its own error says more than that of the reader, which saw the stream end.
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) => found,
                Err(_) => Err(std::io::Error::other("the reader of the context stopped")),
            }
        })
    }

    fn scan(&self, stream: impl BufRead) -> std::io::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut window = Window::default();
        let mut archive = TarReader::new(stream);
        while let Some(entry) = archive.next_entry().map_err(std::io::Error::other)? {
            if entry.kind != Kind::File {
                continue;
            }
            let path = self.named(&entry.path);
            for found in window.scan(&mut archive, MOST_PER_FILE)? {
                findings.push(in_context(&path, &found));
            }
            debug_assert!(!is_credential(&entry.path), "the context leaves these out");
        }
        Ok(findings)
    }
}

fn in_context(path: &str, found: &Found) -> Finding {
    let Found {
        rule,
        offset: _,
        line,
        column,
        masked,
    } = found;
    let place = Place::File(Spot::new(path, *line, *column));
    let title = format!("{} would be sent to the build", described(*rule, masked));
    let finding = Finding::new(Policy::Secrets, rule.id(), place, title);
    finding
        .help("revoke it: who can read the repository or the runner may have it")
        .help("take it out of the files, or name the file in .dockerignore; a build takes secrets by `RUN --mount=type=secret`")
}

fn unreadable(error: &std::io::Error) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(Code::InputInvalid, "the build context cannot be read")
        .cause(error.to_string());
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        diagnostic = diagnostic.cause(inner.to_string());
        source = inner.source();
    }
    diagnostic.help("make it readable, or name it in .dockerignore")
}

/// A text file.
enum Text {
    Read(Vec<u8>),
    /// There is none.
    Missing,
    /// There is one, but what it says is not known; why, in words.
    Unreadable(String),
}

fn read_text(path: &Path) -> Text {
    let opened = std::fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Text::Missing,
        Err(error) => return Text::Unreadable(error.to_string()),
    };
    if !metadata.is_file() {
        return Text::Missing;
    }
    let mut bytes = Vec::new();
    match file.take(LARGEST_TEXT + 1).read_to_end(&mut bytes) {
        Err(error) => Text::Unreadable(error.to_string()),
        Ok(_) if bytes.len() as u64 > LARGEST_TEXT => {
            Text::Unreadable(format!("it is larger than {} MiB", LARGEST_TEXT >> 20))
        }
        Ok(_) => Text::Read(bytes),
    }
}

/// A file that a policy is about and that could not be read has not passed it.
fn not_checked(policy: Policy, path: &str, why: &str) -> Finding {
    let place = Place::File(Spot::new(path, 1, 1));
    let title = format!("`{path}` cannot be checked: {why}");
    Finding::new(policy, "unreadable", place, title)
        .help("make it a readable text file, or set the policy to `warn`")
}

fn names_beside(path: &Path) -> Vec<String> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn is_about_dependencies(path: &str) -> bool {
    is_requirements(path) || is_manifest(path) || is_environment(path)
}

/// Paths of the files that are about dependencies, relative to the directory. Links are not
/// followed.
fn list(
    directory: &Path,
    inside: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory.join(inside))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() {
            name.clone()
        } else {
            format!("{inside}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 && !SKIPPED.contains(&name.as_str()) {
            list(directory, &path, depth - 1, found)?;
        } else if kind.is_file() && is_about_dependencies(&path) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use delivery::policy::Mode;

    use super::*;

    /// Rule and place of each finding of a repository with these files; a size stands for so many
    /// bytes, none for a file that is no text.
    fn found(files: &[(&str, Vec<u8>)], policies: &[Policy]) -> Vec<(&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            std::fs::write(folder.path().join(path), bytes).unwrap();
        }
        let sources = Sources {
            root: folder.path().to_owned(),
            context: ".".to_owned(),
            dockerfile: None,
            build_args: BTreeMap::new(),
            target: None,
        };
        let mut asked = Policies::off();
        for policy in Policy::ALL {
            let is_asked = policies.contains(&policy);
            asked.set(policy, if is_asked { Mode::Error } else { Mode::Off });
        }
        let found = sources.check(&asked).unwrap();
        let told = |one: Finding| (one.rule, format!("{} {}", one.place, one.title));
        found.into_iter().map(told).collect()
    }

    #[test]
    fn a_file_that_cannot_be_read_has_not_passed() {
        let huge = || vec![b'#'; (LARGEST_TEXT + 1) as usize];
        let fine = b"numpy==2.1.0\n".to_vec();
        let line = |path: &str| {
            let what = format!("{path}:1:1 `{path}` cannot be checked: it is larger than 16 MiB");
            ("unreadable", what)
        };
        assert_eq!(
            found(
                &[("Dockerfile", huge())],
                &[Policy::Dockerfile, Policy::BasePinned]
            ),
            [line("Dockerfile"), line("Dockerfile")]
        );
        assert_eq!(found(&[("Dockerfile", huge())], &[]), []);
        assert_eq!(
            found(&[("requirements.txt", huge())], &[Policy::Pins]),
            [line("requirements.txt")]
        );
        assert_eq!(
            found(&[("pyproject.toml", huge())], &[Policy::Pins])[0],
            line("pyproject.toml")
        );
        // Included, it is told once, and not as missing.
        let include = b"-r base.pip\nnumpy==2.1.0\n".to_vec();
        assert_eq!(
            found(
                &[("requirements.txt", include), ("base.pip", huge())],
                &[Policy::Pins]
            ),
            [line("base.pip")]
        );
        assert_eq!(found(&[("requirements.txt", fine)], &[Policy::Pins]), []);
        let conda = b"dependencies:\n- numpy\n".to_vec();
        let what = "environment.yml:2:3 `numpy` has no version".to_owned();
        assert_eq!(
            found(&[("environment.yml", conda)], &[Policy::Pins]),
            [("conda-unpinned", what)]
        );
    }
}
