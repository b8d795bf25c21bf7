//! What a `.dockerignore` file leaves out, row by row.

use super::*;

/// The file, the path, whether it is left out.
const ROWS: &[(&str, &str, bool)] = &[
    // Nothing said.
    ("", "a", false),
    ("\n  \n# a\n", "a", false),
    // Plain names are anchored at the root and cover what is below.
    ("a", "a", true),
    ("a", "a/b", true),
    ("a", "a/b/c", true),
    ("a", "b/a", false),
    ("a", "ab", false),
    ("a/b", "a/b", true),
    ("a/b", "a", false),
    ("a/b", "a/c", false),
    // Slashes and dots are cleaned.
    ("/a", "a", true),
    ("a/", "a", true),
    ("a/", "a/b", true),
    ("./a", "a", true),
    ("a//b", "a/b", true),
    ("a/../b", "b", true),
    ("  a  ", "a", true),
    // A comment starts the line; elsewhere `#` is a character.
    ("#a", "#a", false),
    (" #a", "#a", true),
    // One star stays in its part.
    ("*", "a", true),
    ("*", "a/b", true),
    ("*.md", "a.md", true),
    ("*.md", "d/a.md", false),
    ("*/a.md", "d/a.md", true),
    ("*/a.md", "d/e/a.md", false),
    ("*/*/temp*", "a/b/temporary", true),
    ("*/*/temp*", "a/temporary", false),
    ("d/*.md", "d/.md", true),
    // Two stars cross parts, none too.
    ("**/a.md", "a.md", true),
    ("**/a.md", "d/e/a.md", true),
    ("**/a.md", "d/e/xa.md", false),
    ("**/*.pyc", "app/__pycache__/x.pyc", true),
    ("**/__pycache__", "app/__pycache__/x", true),
    ("d/**", "d/e/f", true),
    ("d/**", "d", false),
    ("d/**/f", "d/f", true),
    ("d/**/f", "d/e/e/f", true),
    ("d/**/f", "d/e/ef", false),
    ("**", "a/b", true),
    ("**/node_modules/**", "a/node_modules/b/c", true),
    // Question marks and classes.
    ("a?", "ab", true),
    ("a?", "a", false),
    ("a?b", "a/b", false),
    ("[a-c]x", "bx", true),
    ("[a-c]x", "dx", false),
    ("[^a-c]x", "dx", true),
    ("[^a-c]x", "ax", false),
    ("[a-]x", "-x", true),
    (r"a\*", "a*", true),
    (r"a\*", "ab", false),
    (r"\!a", "!a", true),
    // Characters that mean something in other languages of patterns.
    ("a.b", "axb", false),
    ("a+$(b)", "a+$(b)", true),
    // The last line that matches decides.
    ("*.md\n!README.md", "README.md", false),
    ("*.md\n!README.md", "a.md", true),
    (
        "*.md\n!README*.md\nREADME-secret.md",
        "README-secret.md",
        true,
    ),
    (
        "*.md\nREADME-secret.md\n!README*.md",
        "README-secret.md",
        false,
    ),
    ("!a\na", "a", true),
    // Exceptions below what is left out.
    ("*\n!app", "app", false),
    ("*\n!app", "app/x/y", false),
    ("*\n!app", "other/app", true),
    ("d\n!d/keep", "d/keep", false),
    ("d\n!d/keep", "d/other", true),
    ("d\n!d/keep\nd/keep/no", "d/keep/no", true),
    ("*\n!**/*.py", "a/b/c.py", false),
    ("*\n!app\n**/*.pyc", "app/x.pyc", true),
    ("! a\n", "a", false),
    // Case counts.
    ("A", "a", false),
    // Credentials never get in, whatever the file says.
    ("", "gha-creds-1234.json", true),
    ("", "deep/down/gha-creds-1234.json", true),
    ("!gha-creds-1234.json", "gha-creds-1234.json", true),
    ("", "gha-creds-1234.txt", false),
    ("", "my-gha-creds-1.json", false),
    // Git's own directory stays unless the file names it.
    ("", ".git/HEAD", false),
    (".git", ".git/HEAD", true),
];

#[test]
fn each_path_is_decided_as_docker_does() {
    assert!(ROWS.len() >= 40);
    for (file, path, ignored) in ROWS {
        let rules = IgnoreRules::parse(file).unwrap();
        assert_eq!(rules.ignores(path), *ignored, "{file:?} and {path:?}");
    }
}

#[test]
fn an_ignored_directory_is_entered_only_for_an_exception() {
    for (file, directory, enter) in [
        ("d", "d", false),
        ("d\n!d/keep", "d", true),
        ("d\n!d/e/keep", "d/e", true),
        ("d\n!d/e/keep", "d/x", false),
        ("*\n!src", "node_modules", false),
        ("*\n!src/a", "src", true),
        ("*\n!**/*.py", "node_modules", true),
        ("*\n!*/a", "d", true),
        ("*\n!d/**/a", "d/e", true),
        ("*\n!d/**/a", "e", false),
    ] {
        let rules = IgnoreRules::parse(file).unwrap();
        assert_eq!(
            rules.may_keep_below(directory),
            enter,
            "{file:?} and {directory:?}"
        );
    }
}

#[test]
fn what_is_no_pattern_is_reported_with_its_line() {
    for (file, line) in [
        ("a\n!", 2),
        ("[a", 1),
        ("a\n\n[b-a]", 3),
        ("a\\", 1),
        ("[", 1),
    ] {
        let errors = IgnoreRules::parse(file).unwrap_err();
        assert_eq!(errors[0].line, line, "{file:?}");
    }
    assert_eq!(IgnoreRules::parse("!\n[").unwrap_err().len(), 2);
}

#[test]
fn a_hostile_pattern_takes_no_time() {
    let pattern = "*a".repeat(60) + "b";
    let path = "a".repeat(3000);
    let start = std::time::Instant::now();
    assert!(!IgnoreRules::parse(&pattern).unwrap().ignores(&path));
    assert!(start.elapsed().as_secs() < 2);
}
