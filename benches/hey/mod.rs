//! `hey`, and programs whose memory is watched: what two benches share.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What goes wrong in a bench.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs `hey` to its end; gives its requests a second, and the most memory that it held, in bytes.
/// `how_long` is `["-n", COUNT]` or `["-z", TIME]`.
pub(crate) fn turn(
    hey: &Path,
    how_long: [&str; 2],
    at_once: usize,
    body: &str,
    url: &str,
) -> Result<(f64, u64), Failure> {
    let mut command = Command::new(hey);
    command.args(how_long);
    command.args(["-c", &at_once.to_string(), "-m", "POST"]);
    command.args(["-T", "application/json", "-d", body, url]);
    let (said, bytes) = watch(&mut command)?;
    let rate = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.ok_or_else(|| format!("hey said no rate:\n{said}"))?;
    Ok((rate.trim().parse()?, bytes))
}

/// What a program said, and the most memory that was resident in it, in bytes.
pub(crate) fn watch(command: &mut Command) -> Result<(String, u64), Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    // The output is a few lines, which the pipe holds until the end.
    while child.try_wait()?.is_none() {
        most = most.max(resident(&status).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), most))
}

/// The high-water mark of the resident set, in bytes.
fn resident(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes = line.trim().strip_suffix(" kB")?.trim();
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}

/// Where it is: unpacked by `scripts/setup load-tools`, or installed.
pub(crate) fn find() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/hey");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others: Vec<PathBuf> = std::env::split_paths(&path)
        .map(|folder| folder.join("hey"))
        .collect();
    std::iter::once(ours)
        .chain(others)
        .find(|program| program.is_file())
}

/// The value in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
