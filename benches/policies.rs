//! How fast the policies read an image beside `docker save IMAGE | cat >/dev/null`, in one run on one
//! machine, turn by turn. What limits both is the engine, which writes the archive.
//!
//! Seconds differ from machine to machine; the ratio of the medians is the figure. Needs a Docker
//! engine with an image: `ML_DEPLOY_BENCH_IMAGE`, or the sample's base.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use delivery::policy::Policies;
use ml_deploy::image::Engine;

/// Turns of each way.
const TURNS: usize = 9;
/// Built by `make base-images`.
const DEFAULT_IMAGE: &str = "python:3.13-slim-trixie";
/// The policies must read at this share of the engine's rate, at least.
const LEAST_SHARE: f64 = 0.6;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let image = std::env::var("ML_DEPLOY_BENCH_IMAGE").unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    let engine = Engine::connect()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let bytes = engine
        .inspect(&image)
        .await
        .map_err(|error| format!("{error:?}"))?
        .bytes;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let start = Instant::now();
        let findings = engine.check(&image, &Policies::default()).await;
        let our_time = start.elapsed();
        let findings = findings.map_err(|error| format!("{error:?}"))?;
        let their_time = saved(&image)?;
        if turn == 0 {
            // The first turn fills the engine's caches.
            write(&format!(
                "{image}: {} MB, {} findings\n",
                bytes / 1_000_000,
                findings.len()
            ));
            continue;
        }
        ours.push(our_time);
        theirs.push(their_time);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let share = theirs.as_secs_f64() / ours.as_secs_f64();
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    write(&format!(
        "policies                           {:>6} ms  {:>5.0} MB/s\n\
         docker save … | cat > /dev/null    {:>6} ms  {:>5.0} MB/s\n\
         share of the rate: {share:.2} (at least {LEAST_SHARE})\n",
        ours.as_millis(),
        rate(ours),
        theirs.as_millis(),
        rate(theirs),
    ));
    if share < LEAST_SHARE {
        return Err("the policies read more slowly than they should".into());
    }
    Ok(())
}

fn saved(image: &str) -> Result<Duration, Failure> {
    let mut command = Command::new("sh");
    command
        .args(["-c", "docker save \"$1\" | cat > /dev/null", "sh", image])
        .stdin(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    if !status.success() {
        return Err("docker save failed".into());
    }
    Ok(start.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the figures are the bench's result")]
fn write(text: &str) {
    print!("{text}");
}
