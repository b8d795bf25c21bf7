//! The table of requirements lines: good and bad, with verdict and position.

use super::short;
use crate::image::policy::requirements::{check_requirements, is_requirements};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const HASH: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// The findings of a set of files, all of those that are requirements files checked.
fn check(files: &[(&str, &[u8])]) -> Vec<String> {
    let roots: Vec<String> = files
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .filter(|name| is_requirements(name))
        .collect();
    let read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, bytes)| bytes.to_vec())
    };
    short(&check_requirements(&roots, &read))
}

fn check_text(text: &str) -> Vec<String> {
    check(&[("requirements.txt", text.as_bytes())])
}

/// Text, and what is found: nothing, or `LINE:COLUMN RULE`.
fn table() -> Vec<(String, Vec<&'static str>)> {
    let hash = format!("--hash=sha256:{HASH}");
    let good = [
        // One version, in every way to write it.
        "fastapi==0.129.0".to_owned(),
        "scikit-learn == 1.8.0".to_owned(),
        "numpy  ==2.4.6  # why".to_owned(),
        "Pillow==11.0".to_owned(),
        "zope.interface==7.1".to_owned(),
        "a==1".to_owned(),
        "x==1!2.0".to_owned(),
        "x==1.0rc1".to_owned(),
        "x==1.0.post1".to_owned(),
        "x==1.0-1".to_owned(),
        "x==1.0.dev3".to_owned(),
        "x==1.0a1.post2.dev3".to_owned(),
        "x==v1.0".to_owned(),
        "torch==2.3.0+cpu".to_owned(),
        "x===2024-custom".to_owned(),
        "x (==1.0)".to_owned(),
        "x==1.0,".to_owned(),
        // Extras and markers.
        "uvicorn[standard]==0.54.0".to_owned(),
        "uvicorn [standard, http] ==0.54.0".to_owned(),
        "x==1.0; python_version < '3.9'".to_owned(),
        "x==1.0 ;sys_platform=='linux' and extra >= '1'".to_owned(),
        // Hashes and lines that go on.
        format!("x==1.0 {hash}"),
        format!("x==1.0 --hash sha256:{HASH}"),
        format!("x==1.0 \\\n    {hash} \\\n    --hash=sha512:{HASH}{HASH}"),
        format!("x==1.0 \\\n  # a comment ends it\n{}", "y==2.0"),
        "x=\\\n=1.0".to_owned(),
        // Addresses and repositories.
        format!("https://example.org/x-1.0-py3-none-any.whl#sha256={HASH}"),
        format!("x @ https://example.org/x.tar.gz#sha256={HASH}"),
        format!(
            "x[extra] @ https://example.org/x.zip#egg=x&sha512={HASH}{HASH} ; python_version > '3'"
        ),
        format!("x @ https://example.org/x.whl {hash}"),
        format!("git+https://github.com/org/x@{COMMIT}#egg=x"),
        format!("x @ git+ssh://git@github.com/org/x.git@{COMMIT}"),
        format!("x @ git+https://${{TOKEN}}@github.com/org/x@{COMMIT}#subdirectory=a"),
        format!("hg+https://example.org/x@{COMMIT}#egg=x"),
        // What is no package.
        "# fastapi>=0.1".to_owned(),
        "   ".to_owned(),
        "--index-url https://index.example.org/simple".to_owned(),
        "-i https://${USER}:${PASS}@index.example.org/simple\nx==1.0".to_owned(),
        "--extra-index-url=https://index.example.org\n--no-binary :all:\n--pre".to_owned(),
        "\u{feff}x==1.0\r\ny==2.0\r\n".to_owned(),
        "x==1.0\ry==2.0\r".to_owned(),
    ];
    let mut rows: Vec<(String, Vec<&'static str>)> =
        good.into_iter().map(|text| (text, Vec::new())).collect();
    let bad: Vec<(String, &'static str)> = vec![
        // No version, or more than one.
        ("fastapi".to_owned(), "1:1 no-version"),
        ("  fastapi".to_owned(), "1:3 no-version"),
        ("fastapi[all]".to_owned(), "1:1 no-version"),
        ("fastapi; python_version>'3'".to_owned(), "1:1 no-version"),
        ("fastapi>=0.100".to_owned(), "1:8 range"),
        ("fastapi >=0.100,<1".to_owned(), "1:9 range"),
        ("fastapi~=0.129.0".to_owned(), "1:8 range"),
        ("fastapi!=0.1".to_owned(), "1:8 range"),
        ("fastapi<1".to_owned(), "1:8 range"),
        ("fastapi==1.0,!=1.1".to_owned(), "1:8 range"),
        ("fastapi==1.0,==1.0".to_owned(), "1:8 range"),
        ("fastapi==1.*".to_owned(), "1:8 wildcard"),
        ("fastapi == 1.2.*".to_owned(), "1:9 wildcard"),
        ("fastapi===1.*".to_owned(), "1:8 wildcard"),
        ("uvicorn[standard]>=0.5".to_owned(), "1:18 range"),
        ("x (>=1.0)".to_owned(), "1:3 range"),
        ("x==${X_VERSION}".to_owned(), "1:2 variable"),
        ("x==latest".to_owned(), "1:2 no-version"),
        ("x==1.0.".to_owned(), "1:2 no-version"),
        ("x=1.0".to_owned(), "1:2 unreadable"),
        ("x 1.0".to_owned(), "1:3 unreadable"),
        ("x[extra==1.0".to_owned(), "1:2 unreadable"),
        ("x>=".to_owned(), "1:2 unreadable"),
        ("???".to_owned(), "1:1 unreadable"),
        // Positions: comments, lines that go on, CRLF, tabs, other line ends.
        (
            "# pinned below\n\nfastapi==1.0\nnumpy\n".to_owned(),
            "4:1 no-version",
        ),
        ("a==1.0\r\nnumpy>1\r\n".to_owned(), "2:6 range"),
        ("a==1.0\rnumpy>1".to_owned(), "2:6 range"),
        ("a==1.0\u{c}numpy>1".to_owned(), "1:13 range"),
        ("numpy \\\n  >=1.0".to_owned(), "2:3 range"),
        (
            "numpy>=1.0 \\\n# a comment ends it\na==1.0".to_owned(),
            "1:6 range",
        ),
        ("\tnumpy>=1 # >=".to_owned(), "1:7 range"),
        ("numpy>=1#no-comment".to_owned(), "1:6 range"),
        // Addresses, repositories, paths.
        (
            "https://example.org/x.whl".to_owned(),
            "1:1 address-without-hash",
        ),
        (
            "x @ https://example.org/x.whl".to_owned(),
            "1:5 address-without-hash",
        ),
        (
            "x@https://example.org/x.whl#sha256=12".to_owned(),
            "1:3 address-without-hash",
        ),
        (
            "x @ https://example.org/x.whl#md5=d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            "1:5 weak-hash",
        ),
        ("git+https://github.com/org/x".to_owned(), "1:1 reference"),
        (
            "git+https://github.com/org/x@v1.0".to_owned(),
            "1:1 reference",
        ),
        (
            "git+https://github.com/org/x@main#egg=x".to_owned(),
            "1:1 reference",
        ),
        (
            "git+https://github.com/org/x@0123456".to_owned(),
            "1:1 reference",
        ),
        (
            "x @ git+ssh://git@github.com/org/x.git".to_owned(),
            "1:5 reference",
        ),
        ("svn+https://example.org/x@123".to_owned(), "1:1 reference"),
        (
            "./wheels/x-1.0-py3-none-any.whl".to_owned(),
            "1:1 local-path",
        ),
        ("x-1.0.tar.gz".to_owned(), "1:1 local-path"),
        ("../x".to_owned(), "1:1 local-path"),
        ("file:///srv/x.whl".to_owned(), "1:1 local-path"),
        ("x @ ./x".to_owned(), "1:5 local-path"),
        ("-e .".to_owned(), "1:4 editable"),
        ("--editable=./x".to_owned(), "1:12 editable"),
        (
            format!("-e git+https://github.com/org/x@{COMMIT}#egg=x"),
            "1:4 editable",
        ),
        // Hashes.
        (
            "x==1.0 --hash=md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            "1:2 hash",
        ),
        ("x==1.0 --hash=sha256:12".to_owned(), "1:2 hash"),
        (format!("a==1.0\nx==1.0 {hash}"), "1:1 hash-missing"),
        ("--require-hashes\nx==1.0".to_owned(), "2:1 hash-missing"),
        (
            format!("x==1.0 {hash}\ny @ git+https://github.com/org/y@{COMMIT}"),
            "2:5 hash-missing",
        ),
        // Includes.
        (
            "-r https://example.org/r.txt".to_owned(),
            "1:4 remote-include",
        ),
        ("-r missing.txt".to_owned(), "1:4 include-missing"),
        (
            "--requirement=../outside.txt".to_owned(),
            "1:15 include-missing",
        ),
        ("--requirement requirements.txt".to_owned(), "1:15 circle"),
        (
            "# -*- coding: klingon -*-\nx==1.0".to_owned(),
            "1:1 encoding",
        ),
    ];
    rows.extend(bad.into_iter().map(|(text, found)| (text, vec![found])));
    rows
}

#[test]
fn the_table_of_lines() {
    let rows = table();
    assert!(rows.len() >= 100, "{}", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, expected)| {
            let found = check_text(text);
            (found != *expected)
                .then(|| format!("{text:?}\n  expected {expected:?}\n  found    {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_findings_come_at_once_in_order() {
    let found = check_text("a>=1\nb==1.0\nc\n-e .\n");
    assert_eq!(found, ["1:2 range", "3:1 no-version", "4:4 editable"]);
}

#[test]
fn encodings_are_those_of_pip() {
    let utf_16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("x==1.0\ny>1\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert_eq!(check(&[("requirements.txt", &utf_16)]), ["2:2 range"]);
    let latin = b"# -*- coding: latin-1 -*-\n# caf\xe9\ny>1\n";
    assert_eq!(check(&[("requirements.txt", latin)]), ["3:2 range"]);
    let bare = b"# caf\xe9\ny>1\n";
    assert_eq!(check(&[("requirements.txt", bare)]), ["2:2 range"]);
}

#[test]
fn includes_count_from_the_including_file_and_are_followed() {
    let files: [(&str, &[u8]); 4] = [
        ("api/requirements.txt", b"-r base/common.txt\nx==1.0\n"),
        ("api/base/common.txt", b"-r ../more.in\ny>=2\n"),
        ("api/more.in", b"z\n"),
        (
            "requirements-dev.txt",
            b"-rapi/requirements.txt\npytest==9.0\n",
        ),
    ];
    assert_eq!(check(&files), ["2:2 range", "1:1 no-version"]);
}

#[test]
fn a_constraint_pins_what_a_requirement_leaves_open() {
    let with = |requirements: &str, constraints: &str| {
        check(&[
            (
                "requirements.txt",
                format!("-c constraints.txt\n{requirements}").as_bytes(),
            ),
            ("constraints.txt", constraints.as_bytes()),
        ])
    };
    assert!(
        with(
            "Fast_API\nuvicorn[standard]>=0.5\n",
            "fast-api==1.0\nuvicorn==0.54.0\n"
        )
        .is_empty()
    );
    assert_eq!(with("fastapi\n", "numpy==1.0\n"), ["2:1 no-version"]);
    // A constraint that leaves it open pins nothing, and is told too.
    assert_eq!(
        with("fastapi\n", "fastapi<2\n"),
        ["1:8 range", "2:1 no-version"]
    );
    // One that holds for some machines only.
    assert_eq!(
        with("fastapi\n", "fastapi==1.0; sys_platform == 'win32'\n"),
        ["2:1 no-version"]
    );
    // A constraint needs no hash.
    let hashed = format!("x==1.0 --hash=sha256:{HASH}\n");
    assert!(with(&hashed, "y==1.0\n").is_empty());
}

#[test]
fn what_names_a_requirements_file() {
    for (path, expected) in [
        ("requirements.txt", true),
        ("a/b/requirements-dev.txt", true),
        ("Requirements_Prod.TXT", true),
        ("constraints.txt", true),
        ("requirements/base.txt", true),
        ("requirements.in", false),
        ("docs/requirements.md", false),
        ("notes.txt", false),
    ] {
        assert_eq!(is_requirements(path), expected, "{path}");
    }
}

#[test]
fn credentials_in_a_line_are_not_shown() {
    let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let text = format!(
        "x @ git+https://{token}:secret@github.com/org/x@v1\nx @ https://user:hunter22@example.org/x.whl\n"
    );
    let read = |_: &str| Some(text.clone().into_bytes());
    let findings = check_requirements(&["requirements.txt".to_owned()], &read);
    let told = format!("{findings:?}");
    assert_eq!(findings.len(), 2, "{told}");
    assert!(
        !told.contains(&token) && !told.contains("hunter22"),
        "{told}"
    );
}
