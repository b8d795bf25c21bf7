//! Many plays at once, on all processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Failures that are shown in full.
const SHOWN: usize = 2;

/// `make soak` plays more of everything.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("ML_DEPLOY_SIM_SOAK").is_some()
}

/// Plays every case; ends the test with what any of them has to tell.
pub(crate) fn all<C: Sync>(what: &str, cases: &[C], play: impl Fn(&C) -> Option<String> + Sync) {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let failures: Mutex<Vec<(usize, String)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else {
                        break;
                    };
                    if let Some(failure) = play(case) {
                        failures.lock().unwrap().push((number, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    println!(
        "{} {what} in {:.1} s",
        cases.len(),
        begun.elapsed().as_secs_f64()
    );
    let shown: Vec<&str> = failures
        .iter()
        .map(|(_, one)| one.as_str())
        .take(SHOWN)
        .collect();
    let firsts: Vec<String> = failures
        .iter()
        .map(|(_, one)| one.lines().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let told = format!(
        "{} of {} {what} failed:\n{}\n\n{}",
        failures.len(),
        cases.len(),
        firsts.join("\n"),
        shown.join("\n")
    );
    assert!(failures.is_empty(), "{told}");
}
