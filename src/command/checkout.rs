//! What is checked out here; for a terminal, where no job says it.

use std::path::Path;
use std::process::Stdio;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::Commit;
use tokio::process::Command;

/// Changed files that a refusal names.
const TOLD_FILES: usize = 5;

/// The full ref that a person means: `v1.2.3` is a tag, anything else a branch.
pub(super) fn full_ref(text: &str) -> String {
    let is_version = text
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if text.starts_with("refs/") {
        text.to_owned()
    } else if is_version {
        format!("refs/tags/{text}")
    } else {
        format!("refs/heads/{text}")
    }
}

/// The ref of the branch that is checked out; `None` outside of a checkout and on a detached head.
pub(super) async fn current_ref(root: &Path) -> Option<String> {
    git(root, &["symbolic-ref", "--quiet", "HEAD"]).await.ok()
}

/// The commit that a name stands for, through annotated tags.
///
/// # Errors
/// [`Code::InputMissing`] when Git does not know it.
pub(super) async fn commit_of(root: &Path, name: &str) -> Result<Commit, Diagnostic> {
    let unknown = |why: String| {
        Diagnostic::error(
            Code::InputMissing,
            format!("the commit of `{name}` is not known here"),
        )
        .at("argument REF")
        .cause(why)
        .help("run inside an up-to-date checkout (`git fetch --tags`)")
        .help("or give `--commit` with the full 40 digits")
    };
    let text = git(
        root,
        &[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{name}^{{commit}}"),
        ],
    )
    .await
    .map_err(unknown)?;
    Commit::parse(text).map_err(|error| unknown(error.to_string()))
}

/// Refuses to build a commit from files that differ from it: the image would be another commit's for
/// good, for it is built once. Outside of a checkout there is nothing to compare with.
///
/// # Errors
/// [`Code::Uncommitted`] with the commit that is checked out in its place, or with the changed files.
pub(super) async fn must_be_checked_out(root: &Path, commit: &Commit) -> Result<(), Diagnostic> {
    let status = ["status", "--porcelain", "--untracked-files=no"];
    let (Ok(changed), Ok(head)) = (
        git(root, &status).await,
        git(root, &["rev-parse", "--verify", "HEAD"]).await,
    ) else {
        return Ok(());
    };
    if head != commit.as_str() {
        return Err(Diagnostic::error(
            Code::Uncommitted,
            format!("commit {} is not what is checked out", commit.short()),
        )
        .cause(format!("HEAD is {head}"))
        .state("nothing was built")
        .help(format!("`git checkout {commit}`, and run again")));
    }
    if changed.is_empty() {
        return Ok(());
    }
    let title = "the checkout has changes that are not committed";
    let refusal = changed.lines().take(TOLD_FILES).fold(
        Diagnostic::error(Code::Uncommitted, title),
        |refusal, line| refusal.cause(line.trim()),
    );
    Err(refusal
        .state("nothing was built")
        .help("commit them, or put them away (`git stash`), and run again"))
}

async fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("git: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let why = text(&output.stderr);
        Err(if why.is_empty() {
            "git knows no such commit".to_owned()
        } else {
            why
        })
    }
}

#[cfg(test)]
mod tests {
    use super::full_ref;

    #[test]
    fn refs_are_completed() {
        assert_eq!(full_ref("v1.2.3"), "refs/tags/v1.2.3");
        assert_eq!(full_ref("main"), "refs/heads/main");
        assert_eq!(full_ref("vision"), "refs/heads/vision");
        assert_eq!(full_ref("refs/tags/x"), "refs/tags/x");
    }
}
