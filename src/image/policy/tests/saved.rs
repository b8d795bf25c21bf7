//! Saved images, made in memory: every form that engines write, and broken ones.

use std::io::{BufReader, Write};

use serde_json::{Value, json};

use crate::image::policy::archive::flat::Flat;
use crate::image::policy::archive::saved::{Image, SavedError, Secrets, read_image};

/// A file of a layer: path, kind, data (of a link: its target), permissions.
pub(super) struct Member {
    path: String,
    kind: tar::EntryType,
    data: Vec<u8>,
    mode: u32,
}

pub(super) fn file(path: &str, data: &str) -> Member {
    with_mode(path, data, 0o644)
}

pub(super) fn with_mode(path: &str, data: &str, mode: u32) -> Member {
    Member {
        path: path.to_owned(),
        kind: tar::EntryType::Regular,
        data: data.as_bytes().to_vec(),
        mode,
    }
}

pub(super) fn sized(path: &str, size: usize) -> Member {
    Member {
        path: path.to_owned(),
        kind: tar::EntryType::Regular,
        data: vec![0; size],
        mode: 0o644,
    }
}

pub(super) fn directory(path: &str) -> Member {
    Member {
        path: format!("{path}/"),
        kind: tar::EntryType::Directory,
        data: Vec::new(),
        mode: 0o755,
    }
}

pub(super) fn link(path: &str, target: &str) -> Member {
    Member {
        path: path.to_owned(),
        kind: tar::EntryType::Symlink,
        data: target.as_bytes().to_vec(),
        mode: 0o777,
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, member: &Member) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(member.kind);
    header.set_mode(member.mode);
    if member.kind == tar::EntryType::Symlink {
        header.set_size(0);
        let target = std::str::from_utf8(&member.data).unwrap();
        archive
            .append_link(&mut header, &member.path, target)
            .unwrap();
    } else {
        header.set_size(member.data.len() as u64);
        archive
            .append_data(&mut header, &member.path, member.data.as_slice())
            .unwrap();
    }
}

pub(super) fn archive(members: &[Member]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for member in members {
        append(&mut archive, member);
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    // Two frames and one that holds no data, as parallel and seekable encoders write them.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let level = || ruzstd::encoding::CompressionLevel::Fastest;
    let mut packed = ruzstd::encoding::compress_to_vec(first, level());
    packed.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    packed.extend(ruzstd::encoding::compress_to_vec(second, level()));
    packed
}

/// How an engine writes an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// Docker before 25.
    Legacy,
    /// Docker 25 and later.
    Blobs,
    /// Layers in gzip, as the containerd store keeps them.
    Gzip,
    /// Layers in zstd.
    Zstd,
    /// An OCI layout without `manifest.json`; the manifest is in an index of its own.
    Layout,
}

pub(super) const FORMS: [Form; 5] = [
    Form::Legacy,
    Form::Blobs,
    Form::Gzip,
    Form::Zstd,
    Form::Layout,
];

/// The archive that an engine would write.
pub(super) fn saved(layers: &[Vec<u8>], config: &Value, form: Form) -> Vec<u8> {
    let config = config.to_string();
    let text = |path: &str, value: &Value| file(path, &value.to_string());
    let blob = |number: usize| format!("blobs/sha256/{number:064}");
    let digest = |number: usize| format!("sha256:{number:064}");
    let mut members = Vec::new();
    let mut names = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let path = if form == Form::Legacy {
            format!("{index:064}/layer.tar")
        } else {
            blob(index)
        };
        if form == Form::Legacy {
            members.push(directory(&format!("{index:064}")));
            members.push(file(&format!("{index:064}/VERSION"), "1.0"));
            members.push(file(&format!("{index:064}/json"), "{}"));
        }
        let data = match form {
            Form::Gzip => gzip(layer),
            Form::Zstd => zstd(layer),
            Form::Legacy | Form::Blobs | Form::Layout => layer.clone(),
        };
        // The old form writes a layer that appears twice as a link.
        let twin = layers[..index].iter().position(|other| other == layer);
        match twin.filter(|_| form == Form::Legacy) {
            Some(twin) => members.push(link(&path, &format!("../{twin:064}/layer.tar"))),
            None => members.push(Member {
                data,
                ..file(&path, "")
            }),
        }
        names.push(path);
    }
    if form == Form::Layout {
        let (config_number, manifest, index) = (100, 101, 102);
        let described =
            |number: usize| json!({"mediaType": "x", "digest": digest(number), "size": 1});
        let layers: Vec<Value> = (0..layers.len()).map(described).collect();
        members.push(file(&blob(config_number), &config));
        members.push(text(
            &blob(manifest),
            &json!({"schemaVersion": 2, "config": described(config_number), "layers": layers}),
        ));
        let mut attestation = described(7);
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        members.push(text(
            &blob(index),
            &json!({"schemaVersion": 2, "manifests": [attestation, described(manifest)]}),
        ));
        members.push(text(
            "index.json",
            &json!({"schemaVersion": 2, "manifests": [described(index)]}),
        ));
        members.push(text("oci-layout", &json!({"imageLayoutVersion": "1.0.0"})));
    } else {
        members.push(file("config.json", &config));
        members.push(text(
            "manifest.json",
            &json!([{"Config": "config.json", "RepoTags": ["a:b"], "Layers": names}]),
        ));
    }
    archive(&members)
}

pub(super) fn read(bytes: &[u8]) -> Result<Image, SavedError> {
    // Pieces that end anywhere.
    read_image(BufReader::with_capacity(4099, bytes), Secrets::Searched)
}

fn visible(image: &Image) -> Vec<String> {
    Flat::new(&image.layers)
        .iter()
        .map(|(path, _)| path.to_owned())
        .collect()
}

#[test]
fn every_form_reads_as_the_same_image() {
    let long = format!("{}/{}.txt", "d".repeat(90), "n".repeat(120));
    let first = archive(&[
        directory("etc"),
        file("etc/passwd", "app:x:10:10::/:/x\n"),
        file(&long, "deep"),
    ]);
    let second = archive(&[file("app/main.py", "print()"), file("etc/.wh.passwd", "")]);
    let empty = archive(&[]);
    let layers = [first.clone(), empty.clone(), second, empty];
    let config = json!({"config": {"User": "app"}, "history": [
        {"created_by": "one"}, {"created_by": "nothing", "empty_layer": true}, {"created_by": "two"}, {"created_by": "three"}, {"created_by": "four"}]});
    for form in FORMS {
        let image = read(&saved(&layers, &config, form))
            .unwrap_or_else(|error| panic!("{form:?}: {error:?}"));
        assert_eq!(image.config.config.user.as_deref(), Some("app"), "{form:?}");
        assert_eq!(image.made_by, ["one", "two", "three", "four"], "{form:?}");
        assert_eq!(
            visible(&image),
            ["app/main.py", long.as_str(), "etc"],
            "{form:?}"
        );
        assert_eq!(
            image.layers[0].texts["etc/passwd"], "app:x:10:10::/:/x\n",
            "{form:?}"
        );
        assert_eq!(
            image
                .layers
                .iter()
                .map(|layer| layer.size)
                .collect::<Vec<_>>(),
            [22, 0, 7, 0],
            "{form:?}"
        );
    }
}

#[test]
fn whiteouts_hide_what_is_below_only() {
    let table: [(&[Member], &[Member], &[&str]); 7] = [
        (
            &[file("a/x", "1"), file("a/y", "1")],
            &[file("a/.wh.x", "")],
            &["a/y"],
        ),
        (
            &[directory("a"), file("a/x/y", "1")],
            &[file("a/.wh.x", "")],
            &["a"],
        ),
        // An opaque directory, with its mark behind the new files.
        (
            &[file("a/x", "1"), file("ab/x", "1")],
            &[file("a/new", "2"), file("a/.wh..wh..opq", "")],
            &["a/new", "ab/x"],
        ),
        (
            &[file("a/x", "1")],
            &[file("a/x", "2"), file("a/.wh.x", "")],
            &["a/x"],
        ),
        // A file in place of a directory, and the other way round.
        (
            &[directory("a"), file("a/x", "1")],
            &[file("a", "2")],
            &["a"],
        ),
        (
            &[file("a", "1")],
            &[directory("a"), file("a/x", "2")],
            &["a", "a/x"],
        ),
        (
            &[file("a", "1"), file("b", "1")],
            &[file(".wh..wh..opq", "")],
            &[],
        ),
    ];
    for (lower, upper, expected) in table {
        let layers = [archive(lower), archive(upper)];
        let image = read(&saved(&layers, &json!({}), Form::Blobs)).unwrap();
        assert_eq!(visible(&image), expected);
    }
}

#[test]
fn what_is_no_image_is_told() {
    let good = saved(&[archive(&[sized("a", 5000)])], &json!({}), Form::Blobs);
    let cut = &good[..3000];
    let mut broken = good.clone();
    // In the header of the file inside of the layer.
    broken[512 + 10] ^= 1;
    let no_manifest = archive(&[file("hello", "world")]);
    let missing = archive(&[
        file("config.json", "{}"),
        file(
            "manifest.json",
            r#"[{"Config": "config.json", "Layers": ["nowhere"]}]"#,
        ),
    ]);
    let none = archive(&[file("manifest.json", "null")]);
    for (bytes, expected) in [
        (cut, "the stream of the image failed"),
        (&broken, "broken"),
        (&no_manifest, "no saved image"),
        (&missing, "`nowhere` is not in the archive"),
        (&none, "manifest.json"),
        (
            b"not an archive at all, but long enough to hold a header if it were one".as_slice(),
            "no saved image",
        ),
    ] {
        let error = read(bytes)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains(expected), "{error:?} for {expected}");
    }
}

/// A pax header before an entry, as a hostile program would write it.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let records = records.iter().map(|(key, value)| (*key, value.as_bytes()));
    archive.append_pax_extensions(records).unwrap();
    let mut bytes = archive.into_inner().unwrap();
    bytes.truncate(bytes.len() - 1024);
    let mut header = tar::Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_size(0);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

#[test]
fn a_size_that_no_disk_holds_overflows_nothing() {
    let huge = u64::MAX.to_string();
    for size in [huge.as_str(), "9223372036854775808", "1125899906842625"] {
        let layer = pax(&[("size", size)]);
        let form = archive(&[Member {
            path: "layer.tar".to_owned(),
            kind: tar::EntryType::Regular,
            data: layer.clone(),
            mode: 0o644,
        }]);
        for bytes in [&layer, &form] {
            let error = read(bytes).err().map(|error| format!("{error:?}"));
            let error = error.unwrap_or_default();
            assert!(error.contains(&format!("Size({size})")), "{error}");
        }
    }
}

#[test]
fn names_are_bounded_together() {
    let name = "n".repeat((1 << 20) - 100);
    let one = pax(&[("path", &name)]);
    // A stream: the archive itself is never in memory.
    let many = std::iter::repeat_n(one, 300).flatten().collect::<Vec<_>>();
    let error = read(&many).err().map(|error| error.to_string());
    assert!(
        error
            .as_deref()
            .unwrap_or_default()
            .contains("names of the image's files"),
        "{error:?}"
    );
}

#[test]
fn a_record_that_no_name_needs_takes_no_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_path("x").unwrap();
    header.set_cksum();
    let error = read(header.as_bytes())
        .err()
        .map(|error| format!("{error:?}"))
        .unwrap_or_default();
    assert!(error.contains("Record(1099511627776)"), "{error}");
}
