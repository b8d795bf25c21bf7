//! What the action's image is made of.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::engine;

/// The limit that we promise for the sum of the layers, uncompressed.
const MOST_BYTES: u64 = 15_000_000;
/// The limit for the binary. JSON Schema, regular expressions and the readers of policies and tests
/// are some 5 MB of it.
const MOST_BINARY_BYTES: usize = 14_200_000;
const BINARY: &str = "ml-deploy";
/// The action's `post-entrypoint`: a link to the binary.
const POST: &str = "ml-deploy-post";
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Files of all layers, by path, with their content.
struct Contents {
    files: Vec<(String, Vec<u8>)>,
    layer_bytes: u64,
}

#[test]
fn the_image_is_one_static_binary_and_the_certificate_authorities() {
    let contents = read_layers(engine::action_image());
    let mut paths: Vec<&str> = contents
        .files
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, [AUTHORITIES, BINARY, POST]);
    assert!(
        content(&contents, POST).is_empty(),
        "the post step's program is a link, not a copy"
    );
    assert!(
        contents.layer_bytes < MOST_BYTES,
        "the layers have {} bytes",
        contents.layer_bytes
    );

    let binary = content(&contents, BINARY);
    assert!(
        binary.len() <= MOST_BINARY_BYTES,
        "{BINARY} has {} bytes",
        binary.len()
    );
    assert!(
        !names_an_interpreter(binary),
        "{BINARY} is linked to a loader that is not there"
    );
    let authorities = String::from_utf8_lossy(content(&contents, AUTHORITIES));
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
}

#[test]
fn the_image_starts_the_binary_as_root_and_sets_nothing() {
    let printed = engine::docker(&["image", "inspect", engine::action_image()]);
    let inspected: Value = serde_json::from_str(&printed).unwrap();
    let config = &inspected[0]["Config"];
    assert_eq!(config["Entrypoint"], serde_json::json!(["/ml-deploy"]));
    assert_eq!(
        config["User"], "",
        "the socket and the command files belong to root"
    );
    assert!(config["Cmd"].is_null(), "{config}");
    assert!(
        config["Labels"]["org.opencontainers.image.title"].is_string(),
        "{config}"
    );
}

fn content<'a>(contents: &'a Contents, path: &str) -> &'a [u8] {
    let found = contents.files.iter().find(|(found, _)| found == path);
    &found.expect("a file of the image").1
}

/// Reads what `docker save` writes: an archive of the layers' archives and their description.
fn read_layers(image: &str) -> Contents {
    let mut save = Command::new("docker")
        .args(["save", image])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the docker client");
    let mut parts = Vec::new();
    let mut archive = tar::Archive::new(save.stdout.take().unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        parts.push((path, bytes));
    }
    assert!(save.wait().unwrap().success());
    let part = |name: &str| &parts.iter().find(|(path, _)| path == name).unwrap().1;
    let manifest: Value = serde_json::from_slice(part("manifest.json")).unwrap();
    let mut contents = Contents {
        files: Vec::new(),
        layer_bytes: 0,
    };
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        add_layer(&mut contents, part(layer.as_str().unwrap()));
    }
    contents
}

fn add_layer(contents: &mut Contents, layer: &[u8]) {
    for entry in tar::Archive::new(layer).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        contents.layer_bytes += bytes.len() as u64;
        contents.files.push((path, bytes));
    }
}

/// Whether an ELF file of 64 bits, little endian, has a PT_INTERP segment.
fn names_an_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    assert_eq!(&elf[..5], b"\x7fELF\x02", "no ELF file of 64 bits");
    let short = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let table = usize::try_from(u64::from_le_bytes(elf[32..40].try_into().unwrap())).unwrap();
    let (size, count) = (short(54), short(56));
    (0..count).any(|index| {
        let at = table + index * size;
        u32::from_le_bytes(elf[at..at + 4].try_into().unwrap()) == PT_INTERP
    })
}

#[test]
fn an_interpreter_is_found_in_a_dynamic_binary() {
    let shell = std::fs::read("/bin/sh").unwrap();
    assert!(names_an_interpreter(&shell));
}
