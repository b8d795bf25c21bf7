//! `ml-deploy generate`: files that are written from the code.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::evidence;
use crate::gcp::advice::{self, Facts, Lasts};
use crate::inputs::pages::{action, reference, schema};
use crate::report::OUTPUTS;
use crate::report::errors_page::{self, Chapter, KnownFailure};
use crate::verify;

/// Every generated file and its text.
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        (
            "action.yml",
            action::render(action::PUBLISHED_IMAGE, OUTPUTS),
        ),
        ("docs/inputs.md", reference::render(OUTPUTS)),
        ("docs/errors.md", errors_page::render(&known_failures())),
        ("docs/schema/config.schema.json", pretty(&schema::schema())),
        ("docs/schema/tests.schema.json", pretty(&verify::schema())),
        (
            "docs/schema/evidence.schema.json",
            pretty(&evidence::schema()),
        ),
    ]
}

/// The tables by which failures are recognised, as chapters of the page.
fn known_failures() -> Vec<Chapter> {
    let failure = |known: &advice::Known| KnownFailure {
        id: known.id,
        title: known.title,
        says: known.says,
        cause: Facts::default().fill(known.cause),
        help: known
            .help
            .iter()
            .map(|line| Facts::default().fill(line))
            .collect(),
        passes: known.lasts == Lasts::AWhile,
    };
    vec![
        Chapter {
            title: "What Google Cloud answers",
            text: "A failure is recognised by its text first and by its code second: the codes have changed over the \
                   years, the texts hardly. `…` stands for what varies; what is written in capitals below, a run fills in.",
            failures: advice::by_text().map(failure).collect(),
        },
        Chapter {
            title: "What the container's log tells",
            text: "Cloud Run reports a container that crashed, one that listens on another port and one that was built \
                   for another CPU in the same words. The last lines of its log tell them apart; when the API tests \
                   fail, they tell why as well.",
            failures: advice::by_log().map(failure).collect(),
        },
    ]
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Writes every file below `root`; gives the ones that changed.
///
/// # Errors
/// When one cannot be written.
pub fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let old = outdated(root);
    for (path, text) in files() {
        let path = root.join(path);
        if old.contains(&path) {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
            }
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(old)
}

/// Files below `root` that are not what the code says.
pub fn outdated(root: &Path) -> Vec<PathBuf> {
    files()
        .into_iter()
        .map(|(path, text)| (root.join(path), text))
        .filter(|(path, text)| std::fs::read_to_string(path).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_not_old_and_what_is_edited_is() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(write(root.path()).unwrap().len(), files().len());
        assert!(outdated(root.path()).is_empty());
        std::fs::write(root.path().join("action.yml"), "edited").unwrap();
        assert_eq!(outdated(root.path()), [root.path().join("action.yml")]);
    }
}
