//! Failures and their way out. Each story brings a failure about by its natural cause, looks at
//! every part of what is printed, carries out exactly the fix that is printed, and runs again.
//!
//! ```text
//! let told = fails(&world, &job).await?;      // runs the job, reads what it printed
//! told.expect(&Expected { … })?;              // code, cause, state, help, one by one
//! told.carry_out("gcloud secrets", &world).await?;   // the printed command
//! job = told.set("memory", job)?;             // the printed input
//! passes(&world, &job).await?;
//! ```

mod access;
mod access_cloud;
mod access_tokens;
mod failures;
mod gcloud;
mod grants;
pub(crate) mod printed;
mod settings;

use testkit::{Job, JobEnd, World};

use super::Told;
use printed::Printed;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a failed run must have printed.
#[derive(Debug, Default)]
struct Expected<'a> {
    /// Exit code of the run.
    exit: i32,
    /// The documented code, such as `D0301`.
    code: &'a str,
    /// Pieces of text; each is in one of the `cause:` lines.
    cause: &'a [&'a str],
    /// In the `state:` line: what serves now.
    state: &'a str,
    /// Pieces of text; each is in one of the `help:` lines.
    help: &'a [&'a str],
    /// Pieces of text; each is in one of the container's last lines.
    logs: &'a [&'a str],
}

/// Runs a job that must fail, and reads the diagnostic that it printed.
async fn fails(world: &World, job: &Job) -> Result<Printed, Failure> {
    let end = world.run(job).await?;
    let JobEnd { code, log, .. } = &end;
    assert_ne!(*code, Some(0), "the run went well:\n{log}");
    Printed::read(&end)
}

/// Runs a job that must go well now.
async fn passes(world: &World, job: &Job) -> Result<JobEnd, Failure> {
    let end = world.run(job).await?;
    assert_eq!(end.code, Some(0), "after the fix:\n{}", end.log);
    Ok(end)
}

/// The job as a person starts it once more after a fix: a new run.
fn once_more(job: &Job) -> Job {
    let mut job = job.clone();
    job.run_id += 1;
    job
}
