//! `ml-deploy demo`: the whole pipeline for real, narrated, on one machine.
//!
//! The local cloud, the image builds, the containers and the jobs are real; only GitHub's scheduler
//! is played by the demo, which starts each job as the runner would.

mod load;
mod narrator;
mod story;
mod workspace;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use emulator::runner::Runner;
use emulator::runtime::DockerRuntime;
use emulator::{Config, Emulator};
use tokio_util::sync::CancellationToken;

use narrator::{Narrator, words};
use story::{CONFIG, IMAGE, Release, SMOKE, Story};
use workspace::Workspace;

/// Requests a second that the client sends to production.
const RATE: u32 = 20;
/// Longest delay of a new address or a new split in the demo's cloud, in milliseconds.
const PROPAGATION_MS: u64 = 1_500;

/// What the demo is told on the command line.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The sample API's folder.
    pub sample: PathBuf,
    /// Stay up at the end until Ctrl-C, to look around.
    pub keep: bool,
}

/// Runs the demo and stops everything that it started.
///
/// # Errors
/// When something did not go as the story says: it is an end-to-end test as well.
pub async fn run(
    options: &DemoOptions,
    out: impl Write,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut narrator = Narrator::new(out, colour);
    let scratch = tempfile_folder()?;
    let runtime = DockerRuntime::connect()
        .await
        .context("the demo needs a Docker engine")?;
    let mut config = Config::loopback(runtime);
    config.propagation_ms = PROPAGATION_MS;
    let cloud = Emulator::start(config).await?;
    let told = tokio::select! {
        told = tell(options, &mut narrator, &cloud, scratch.path()) => told,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    let told = match told {
        Ok(()) => look_around(options, &mut narrator, &cloud, stop).await,
        failed => failed,
    };
    cloud.stop().await;
    told
}

async fn tell<W: Write>(
    options: &DemoOptions,
    narrator: &mut Narrator<W>,
    cloud: &Emulator,
    scratch: &Path,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let url = cloud.world().base_url();
    narrator.chapter("A cloud on this machine")?;
    narrator.say(&format!(
        "Cloud Run, Artifact Registry, token services and GitHub's API answer at {url}"
    ))?;
    narrator.say("Images are built and run by the Docker engine; nothing leaves this machine.")?;
    let workspace = Workspace::create(&options.sample, scratch.join("ml-api")).await?;
    workspace.write(".github/ml-deploy.yml", CONFIG)?;
    workspace.write("smoke.yaml", SMOKE)?;
    let runner = Runner {
        program: std::env::current_exe().context("cannot find this program's own file")?,
        repository: "demo/ml-api".to_owned(),
        cloud_url: url,
        workspace: workspace.root().to_path_buf(),
        scratch: scratch.join("jobs"),
    };
    // A proxy that the environment names cannot reach this machine's own addresses.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut story = Story {
        workspace: &workspace,
        runner: &runner,
        client: &client,
        narrator,
    };

    story.narrator.chapter("A push to main goes to DEV")?;
    let commit = story.push_to_main(1, "Serve the iris model").await?;

    story
        .narrator
        .chapter("Tag v1.0.0: TEST → STAGING → approval → PRODUCTION, one digest")?;
    let production = story
        .promote(&Release {
            tag: "v1.0.0",
            commit,
            run_id: 2,
        })
        .await?;

    story.narrator.chapter(&format!(
        "From now on a client calls production, {RATE} requests a second"
    ))?;
    story.narrator.say(&production)?;
    let stop = CancellationToken::new();
    let calls = tokio::spawn(load::hold_rate(
        client.clone(),
        production,
        RATE,
        stop.clone(),
    ));
    let called = Instant::now();
    let told = releases_under_load(&mut story).await;
    stop.cancel();
    let tally = calls.await.context("the client stopped early")?;
    told?;

    story.narrator.chapter("What the client saw meanwhile")?;
    story.judge_client(&tally, &["v1.0.0", "v1.1.0"], called.elapsed())?;
    narrator.good(&format!(
        "the whole story took {}",
        words(started.elapsed())
    ))?;
    Ok(())
}

/// A second release, a bad one, and the way back, while the client calls.
async fn releases_under_load<W: Write>(story: &mut Story<'_, W>) -> anyhow::Result<()> {
    story.narrator.chapter("A better release, v1.1.0")?;
    story.workspace.replace(
        "app/api.py",
        "Classifies iris flowers.",
        "Classifies iris flowers by four measures.",
    )?;
    let good = story.push_to_main(3, "Describe the API better").await?;
    story
        .promote(&Release {
            tag: "v1.1.0",
            commit: good.clone(),
            run_id: 4,
        })
        .await?;

    story
        .narrator
        .chapter("A bad release, v1.2.0: healthy, but its predictions are wrong")?;
    story.workspace.write(
        "Dockerfile",
        &broken_dockerfile(&story.runner.cloud_url, &good),
    )?;
    let bad = story.push_to_main(5, "Update a data library").await?;
    let release = Release {
        tag: "v1.2.0",
        commit: bad,
        run_id: 6,
    };
    story.promote_until_stopped(&release, "test", 4).await?;

    story
        .narrator
        .chapter("Back to the release before, without a build and without downtime")?;
    story.roll_back(&good, 7).await
}

/// The sample's image with its features in the wrong order, as after an update of a data library:
/// see `examples/ml-api/variants/wrong-model.Dockerfile`.
fn broken_dockerfile(cloud_url: &str, good: &str) -> String {
    let registry = cloud_url.trim_start_matches("http://");
    let path = IMAGE.split_once('/').map_or(IMAGE, |(_, path)| path);
    format!(
        "FROM {registry}/{path}:sha-{good} AS good\n\
         USER 0\n\
         RUN [\"python3\", \"-c\", \"import joblib; a = joblib.load('model.joblib'); \
         a['features'].reverse(); joblib.dump(a, 'model.joblib')\"]\n\
         FROM {registry}/{path}:sha-{good}\n\
         COPY --from=good /app/model.joblib /app/\n\
         USER appuser\n\
         ARG APP_COMMIT=unknown\n\
         ENV APP_COMMIT=${{APP_COMMIT}}\n"
    )
}

/// Ends with the commands to look around; on a terminal (or when asked to) the cloud stays up.
async fn look_around<W: Write>(
    options: &DemoOptions,
    narrator: &mut Narrator<W>,
    cloud: &Emulator,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let url = cloud.world().base_url();
    narrator.chapter("Look around")?;
    narrator.say("in another terminal, while the cloud is up:")?;
    if let Some(folder) = program_folder() {
        narrator.command(&format!("export PATH=\"{}:$PATH\"", folder.display()))?;
    }
    narrator.command(&format!(
        "eval \"$(ml-deploy emulator --env --cloud-url {url})\""
    ))?;
    for command in commands() {
        narrator.command(&command)?;
    }
    if options.keep {
        narrator.say("The cloud stays up until Ctrl-C.")?;
        stop.cancelled().await;
    } else {
        narrator.say(
            "The cloud stops now; `ml-deploy demo --keep` (or `make demo KEEP=1`) keeps it up.",
        )?;
    }
    Ok(())
}

/// What there is to look at, and a way to change it.
fn commands() -> [String; 4] {
    ["status", "revisions", "logs", "rollback --rollback-to v1.1.0"].map(|command| {
        format!(
            "ml-deploy {command} --environment production --service ml-api --project-id demo-project"
        )
    })
}

/// The folder of this program, where a shell would not find it by itself.
fn program_folder() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_found = std::env::split_paths(&path).any(|known| known == folder);
    (!is_found).then_some(folder)
}

fn tempfile_folder() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("ml-deploy-demo-")
        .tempdir()
        .context("cannot make a temporary folder")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    /// As the help and the documents spell it: an alias works, and is a second word for one thing.
    #[test]
    fn the_commands_to_look_around_are_those_of_the_help() {
        for command in super::commands() {
            let words: Vec<&str> = command.split(' ').collect();
            let mut cli = Cli::command();
            cli.clone().try_get_matches_from(&words).unwrap();
            let task = cli.find_subcommand_mut(words[1]).unwrap();
            let flags: Vec<&str> = task
                .get_arguments()
                .filter_map(|one| one.get_long())
                .collect();
            for flag in words.iter().filter_map(|word| word.strip_prefix("--")) {
                assert!(flags.contains(&flag), "--{flag} of `{command}`");
            }
        }
    }
}
