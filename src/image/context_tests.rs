//! What a context holds, read back from its stream.

use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};

use futures_util::StreamExt;

use super::*;

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The names in the archive, in order.
fn names(context: &Context) -> Vec<String> {
    let mut bytes = Vec::new();
    context.write(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn open(root: &Path) -> Context {
    Context::open(root, None).unwrap()
}

#[test]
fn ignored_files_and_credentials_stay_out_and_the_order_is_fixed() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "Dockerfile",
        "b.py",
        "a.py",
        "node_modules/x.js",
        "gha-creds-12.json",
        "app/gha-creds-3.json",
        "app/m.py",
        ".git/HEAD",
    ] {
        write(root.path(), name, "x");
    }
    write(
        root.path(),
        ".dockerignore",
        "node_modules\n!gha-creds-12.json\n",
    );
    let wanted = [
        ".dockerignore",
        ".git/",
        ".git/HEAD",
        "Dockerfile",
        "a.py",
        "app/",
        "app/m.py",
        "b.py",
    ];
    assert_eq!(names(&open(root.path())), wanted);
}

#[test]
fn what_an_exception_keeps_comes_with_its_directories() {
    let root = tempfile::tempdir().unwrap();
    for name in ["Dockerfile", "d/e/keep", "d/e/drop", "d/f/drop", "x/drop"] {
        write(root.path(), name, "x");
    }
    write(root.path(), ".dockerignore", "*\n!d/e/keep\n");
    // The Dockerfile is needed whatever the file says.
    assert_eq!(
        names(&open(root.path())),
        ["Dockerfile", "d/", "d/e/", "d/e/keep"]
    );
}

#[test]
fn the_dockerfiles_own_ignore_file_comes_first() {
    let root = tempfile::tempdir().unwrap();
    for name in ["docker/api.Dockerfile", "a", "b"] {
        write(root.path(), name, "x");
    }
    write(root.path(), ".dockerignore", "a\n");
    write(
        root.path(),
        "docker/api.Dockerfile.dockerignore",
        "b\n.dockerignore\ndocker\n",
    );
    let context = Context::open(
        root.path(),
        Some(&root.path().join("docker/api.Dockerfile")),
    )
    .unwrap();
    assert_eq!(context.dockerfile_name(), "docker/api.Dockerfile");
    assert_eq!(names(&context), ["a", "docker/", "docker/api.Dockerfile"]);
}

#[test]
fn a_dockerfile_outside_is_brought_along() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(root.path(), "a", "x");
    write(other.path(), "Dockerfile", "FROM scratch");
    let context = Context::open(root.path(), Some(&other.path().join("Dockerfile"))).unwrap();
    assert_eq!(names(&context), ["a", context.dockerfile_name()]);
}

#[test]
fn modes_links_times_and_long_names_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    write(root.path(), "Dockerfile", "x");
    write(root.path(), &long, "long");
    write(root.path(), "run.sh", "x");
    fs::set_permissions(
        root.path().join("run.sh"),
        fs::Permissions::from_mode(0o750),
    )
    .unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    File::open(root.path().join("run.sh"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    symlink("nowhere/at/all", root.path().join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();

    let mut bytes = Vec::new();
    open(root.path()).write(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let header = entry.header().clone();
        assert_eq!(
            (header.uid().unwrap(), header.gid().unwrap()),
            (0, 0),
            "{path}"
        );
        match path.as_str() {
            "run.sh" => {
                assert_eq!(header.mode().unwrap() & 0o7777, 0o750);
                assert_eq!(header.mtime().unwrap(), 1_600_000_000);
            }
            "link" => assert_eq!(
                entry.link_name().unwrap().unwrap().to_string_lossy(),
                "nowhere/at/all"
            ),
            name if *name == *long => {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                assert_eq!(text, "long");
            }
            _ => {}
        }
        seen.push(path);
    }
    assert!(
        seen.contains(&long) && seen.contains(&"link".to_owned()),
        "{seen:?}"
    );
    assert!(!seen.contains(&"socket".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn the_stream_is_the_archive_and_stops_when_nobody_reads() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "Dockerfile", "x");
    fs::write(root.path().join("big"), vec![7_u8; 5 << 20]).unwrap();
    let context = open(root.path());
    let mut whole = Vec::new();
    context.write(&mut whole).unwrap();

    let (stream, sending) = context.stream();
    let pieces: Vec<Bytes> = stream.map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), whole);
    assert_eq!(sending.bytes.load(Ordering::Relaxed), whole.len() as u64);

    // A large file: the thread stops where nobody takes what it read.
    let file = File::create(root.path().join("huge")).unwrap();
    file.set_len(64 << 20).unwrap();
    let (stream, sending) = context.stream();
    let mut stream = Box::pin(stream);
    stream.next().await.unwrap().unwrap();
    let sent = || sending.bytes.load(Ordering::Relaxed);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while sent() < (PIECES_WAITING * PIECE) as u64 {
        assert!(
            std::time::Instant::now() < deadline,
            "only {} bytes were read",
            sent()
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(sent() < 4 << 20, "{} bytes were read ahead", sent());
    drop(stream);
    assert!(sending.take_error().is_none());
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_named() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a", "0123456789");
    let metadata = fs::metadata(root.path().join("a")).unwrap();
    write(root.path(), "a", "0");
    let mut archive = Archive {
        builder: tar::Builder::new(Vec::new()),
        waiting: Vec::new(),
    };
    let error = archive
        .entry("a", &root.path().join("a"), &metadata)
        .unwrap_err();
    assert!(error.to_string().contains("`a`"), "{error}");
}

#[test]
fn what_is_missing_or_wrong_is_told_at_once() {
    let root = tempfile::tempdir().unwrap();
    let missing = Context::open(&root.path().join("no"), None).unwrap_err();
    assert!(missing[0].title.contains("is no directory"), "{missing:?}");

    write(root.path(), "Dockerfile.api", "x");
    write(root.path(), ".dockerignore", "a\n[\n!\n");
    let errors = Context::open(root.path(), None).unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].help[0].contains("Dockerfile.api"), "{errors:?}");
    assert!(
        errors[1]
            .at
            .as_deref()
            .unwrap()
            .ends_with(".dockerignore:2"),
        "{errors:?}"
    );
}
