//! What the image holds and no run needs.

use std::collections::BTreeMap;

use crate::image::policy::archive::flat::{Flat, is_whiteout};
use crate::image::policy::archive::saved::Image;
use crate::image::policy::archive::tar::Kind;
use crate::image::policy::finding::{Finding, Policy};

use super::packages::Packages;
use super::{layer_name, megabytes, whole};

/// Paths that a finding names.
const MOST_NAMED: usize = 5;

/// Programs that build something.
const BUILD_TOOLS: [&str; 30] = [
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "gfortran",
    "ld",
    "as",
    "make",
    "gmake",
    "cmake",
    "ninja",
    "meson",
    "autoconf",
    "automake",
    "libtool",
    "pkg-config",
    "git",
    "hg",
    "svn",
    "cargo",
    "rustc",
    "go",
    "javac",
    "nvcc",
    "bazel",
    "dpkg-buildpackage",
    "rpmbuild",
    "patch",
];
/// Directories of programs.
const PROGRAMS: [&str; 6] = [
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/go/bin",
];
/// Debian packages that build something.
const BUILD_PACKAGES: [&str; 12] = [
    "build-essential",
    "gcc",
    "g++",
    "make",
    "cmake",
    "git",
    "clang",
    "gfortran",
    "binutils",
    "dpkg-dev",
    "libc6-dev",
    "python3-dev",
];
/// Files with the permissions of their owner that Debian's and Alpine's base systems have.
const KNOWN_SETUID: [&str; 20] = [
    "su",
    "mount",
    "umount",
    "passwd",
    "chsh",
    "chfn",
    "newgrp",
    "gpasswd",
    "chage",
    "expiry",
    "unix_chkpwd",
    "wall",
    "write",
    "ssh-agent",
    "bbsuid",
    "pam_extrausers_chkpwd",
    "ssh-keysign",
    "dotlockfile",
    "crontab",
    "bsd-write",
];
/// Set user and set group.
const SETUID: u32 = 0o6000;

pub(super) fn check(image: &Image, flat: &Flat<'_>, findings: &mut Vec<Finding>) {
    findings.extend(build_tools(image, flat));
    findings.extend(caches(image));
    findings.extend(tests(image, flat));
    findings.extend(repositories(flat));
    findings.extend(setuid(image, flat));
}

fn finding(rule: &'static str, title: impl Into<String>, paths: &[String]) -> Finding {
    let mut finding = Finding::new(Policy::ImageContents, rule, whole(), title);
    for path in paths.iter().take(MOST_NAMED) {
        finding = finding.detail(path.clone());
    }
    if paths.len() > MOST_NAMED {
        finding = finding.detail(format!("and {} more", paths.len() - MOST_NAMED));
    }
    finding
}

fn build_tools(image: &Image, flat: &Flat<'_>) -> Option<Finding> {
    let mut tools: BTreeMap<String, String> = BTreeMap::new();
    for (path, visible) in flat.iter() {
        let Some((directory, name)) = path.rsplit_once('/') else {
            continue;
        };
        if visible.entry.kind != Kind::Directory && PROGRAMS.contains(&directory) {
            let tool = BUILD_TOOLS.iter().find(|tool| is_tool(name, tool));
            if let Some(tool) = tool {
                tools
                    .entry((*tool).to_owned())
                    .or_insert_with(|| format!("/{path}"));
            }
        }
    }
    let status = flat
        .get("var/lib/dpkg/status")
        .and_then(|visible| image.layers[visible.layer].texts.get("var/lib/dpkg/status"));
    let packages = status.map(|text| installed(text)).unwrap_or_default();
    if tools.is_empty() && packages.is_empty() {
        return None;
    }
    let names: Vec<&str> = tools
        .keys()
        .map(String::as_str)
        .chain(packages.iter().map(String::as_str))
        .collect();
    let mut names = names;
    names.sort_unstable();
    names.dedup();
    let title = format!("the image holds build tools: {}", names.join(", "));
    let paths: Vec<String> = tools
        .values()
        .cloned()
        .chain(packages.iter().map(|package| format!("package {package}")))
        .collect();
    Some(
        finding("build-tools", title, &paths)
            .help("build in an earlier stage, and copy only its result into the last one"),
    )
}

/// `gcc`, `gcc-14`, `x86_64-linux-gnu-gcc-14`.
fn is_tool(name: &str, tool: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let bare = if bare.len() < name.len() {
        bare.strip_suffix('-').unwrap_or(bare)
    } else {
        bare
    };
    // Names that end in digits are other programs, unless a hyphen divides them.
    let is_versioned = name.len() == bare.len() || name[bare.len()..].starts_with('-');
    let is_crossed = bare.strip_suffix(tool).is_some_and(|rest| {
        rest.is_empty() || rest.ends_with("-linux-gnu-") || rest.ends_with("-linux-musl-")
    });
    is_versioned && is_crossed
}

/// Packages of Debian's record that build something.
fn installed(status: &str) -> Vec<String> {
    status
        .split("\n\n")
        .filter(|block| block.contains("\nStatus: install ok installed"))
        .filter_map(|block| block.lines().next()?.strip_prefix("Package: "))
        .filter(|name| BUILD_PACKAGES.contains(name))
        .map(str::to_owned)
        .collect()
}

/// A cache, how it is called, and what keeps it out.
fn cache_of(
    path: &str,
    pip_cache: Option<&str>,
) -> Option<(&'static str, &'static str, &'static str)> {
    let has = |part: &str| path.contains(part) || path.starts_with(part.trim_start_matches('/'));
    const PIP: &str = "install with `pip install --no-cache-dir`, or with `RUN --mount=type=cache,target=/root/.cache`";
    const APT: &str =
        "end the same `RUN` with `rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*`";
    if has("/.cache/pip/") || pip_cache.is_some_and(|cache| path.starts_with(cache)) {
        return Some(("pip-cache", "the cache of pip", PIP));
    }
    if has("/.cache/uv/")
        || has("/.cache/pypoetry/")
        || has("/.cache/pdm/")
        || has("/opt/conda/pkgs/")
    {
        return Some(("package-cache", "the cache of a package manager", PIP));
    }
    let is_list = path.starts_with("var/lib/apt/lists/") && !path.ends_with("/lock");
    let is_archive =
        path.starts_with("var/cache/apt/") && (path.ends_with(".deb") || path.ends_with(".bin"));
    if is_list || is_archive {
        return Some(("apt-lists", "the lists and archives of apt", APT));
    }
    let other = [
        "var/cache/apk/",
        "var/cache/dnf/",
        "var/cache/yum/",
        "var/cache/microdnf/",
    ];
    if other.iter().any(|start| path.starts_with(start)) {
        return Some((
            "package-cache",
            "the cache of a package manager",
            "install with `apk add --no-cache`, or end the same `RUN` with `dnf clean all`",
        ));
    }
    None
}

/// Caches count in each layer: what a later one deletes still has to be pulled.
fn caches(image: &Image) -> Vec<Finding> {
    let env = image.config.config.env.as_deref().unwrap_or_default();
    let pip_cache = env
        .iter()
        .find_map(|pair| pair.strip_prefix("PIP_CACHE_DIR="))
        .map(|path| path.trim_matches('/').to_owned() + "/")
        .filter(|path| path.len() > 1);
    let mut found: BTreeMap<&'static str, (&str, &str, Vec<String>, u64)> = BTreeMap::new();
    for (index, layer) in image.layers.iter().enumerate() {
        let mut sizes: BTreeMap<&'static str, u64> = BTreeMap::new();
        for entry in layer
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::File && !is_whiteout(&entry.path))
        {
            if let Some((rule, words, help)) = cache_of(&entry.path, pip_cache.as_deref()) {
                *sizes.entry(rule).or_default() += entry.size;
                found
                    .entry(rule)
                    .or_insert_with(|| (words, help, Vec::new(), 0));
            }
        }
        for (rule, size) in sizes {
            if let Some((_, _, places, total)) = found.get_mut(rule) {
                places.push(format!(
                    "{} in {}",
                    megabytes(size),
                    layer_name(image, index)
                ));
                *total += size;
            }
        }
    }
    // Empty files are what a clean installation leaves.
    found.retain(|_, (_, _, _, total)| *total > 0);
    found
        .into_iter()
        .map(|(rule, (words, help, places, total))| {
            finding(
                rule,
                format!("the image holds {words}: {}", megabytes(total)),
                &places,
            )
            .help(help)
        })
        .collect()
}

/// Where the application is: the working directory, or where it is by custom.
fn app_directories(image: &Image) -> Vec<String> {
    let mut directories: Vec<String> = ["app", "srv", "code", "usr/src/app", "workspace"]
        .map(str::to_owned)
        .to_vec();
    let working = image
        .config
        .config
        .working_dir
        .as_deref()
        .unwrap_or_default()
        .trim_matches('/');
    if !working.is_empty() && !directories.iter().any(|known| known == working) {
        directories.push(working.to_owned());
    }
    directories
}

/// Tests of the application. Those of its packages are not its own, and large: numpy's are a third
/// of it.
fn tests(image: &Image, flat: &Flat<'_>) -> Option<Finding> {
    let packages = Packages::new(image);
    let directories = app_directories(image);
    let paths: Vec<String> = flat
        .iter()
        .filter(|(_, visible)| visible.entry.kind == Kind::File)
        .filter_map(|(path, _)| {
            let inside = directories
                .iter()
                .find_map(|directory| path.strip_prefix(directory.as_str())?.strip_prefix('/'))?;
            let parts: Vec<&str> = inside.split('/').collect();
            let (name, folders) = parts.split_last()?;
            let is_foreign = packages.hold(path);
            let is_python = name.ends_with(".py");
            let is_named = is_python
                && (name.starts_with("test_")
                    || name.ends_with("_test.py")
                    || *name == "conftest.py");
            let in_tests = is_python
                && folders
                    .iter()
                    .any(|folder| matches!(*folder, "tests" | "test"));
            (!is_foreign && (is_named || in_tests)).then(|| format!("/{path}"))
        })
        .collect();
    if paths.is_empty() {
        return None;
    }
    let title = format!(
        "the image holds {} of the application's test files",
        paths.len()
    );
    Some(
        finding("tests", title, &paths)
            .help("copy only what runs, or name the tests in .dockerignore"),
    )
}

fn repositories(flat: &Flat<'_>) -> Option<Finding> {
    let paths: Vec<String> = flat
        .iter()
        .filter_map(|(path, _)| path.strip_suffix(".git/HEAD"))
        .filter(|path| path.is_empty() || path.ends_with('/'))
        .map(|path| format!("/{path}.git"))
        .collect();
    if paths.is_empty() {
        return None;
    }
    Some(
        finding(
            "git-directory",
            "the image holds a Git repository with its whole history",
            &paths,
        )
        .help("name `.git` in .dockerignore"),
    )
}

/// Programs that run with their owner's rights, beyond those of the base system.
fn setuid(image: &Image, flat: &Flat<'_>) -> Option<Finding> {
    let paths: Vec<String> = flat
        .iter()
        .filter(|(_, visible)| visible.entry.kind == Kind::File && visible.entry.mode & SETUID != 0)
        .filter(|(path, _)| {
            !path
                .rsplit('/')
                .next()
                .is_some_and(|name| KNOWN_SETUID.contains(&name))
        })
        .map(|(path, visible)| format!("/{path} in {}", layer_name(image, visible.layer)))
        .collect();
    if paths.is_empty() {
        return None;
    }
    Some(
        finding(
            "setuid",
            "the image holds programs that run with their owner's rights",
            &paths,
        )
        .help("take the right away: `RUN chmod a-s FILE`")
        .hint(),
    )
}
