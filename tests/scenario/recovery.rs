//! What a run leaves that is killed, and who ends it: its post step, or a person.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use emulator::admin::{Fault, Rule};
use emulator::runner::{Job, RunningJob};
use testkit::{JobEnd, World, api};

use super::{Failure, PROGRAM, Told, release, world};

const SERVICE: &str = "ml-api-dev";
const STEPS: [&str; 5] = [
    "deploy-candidate",
    "verify",
    "shift-traffic",
    "confirm",
    "record",
];

/// Reads on until a step begins.
pub(super) async fn reach(job: &mut RunningJob, step: &str) -> Told {
    let mut log = String::new();
    while let Some(line) = job.next_line().await? {
        if line.contains(&format!("] {step}:")) {
            return Ok(());
        }
        log.push_str(&line);
        log.push('\n');
    }
    Err(format!("{step} did not begin:\n{log}").into())
}

pub(super) fn send(signal: &str, job: &RunningJob) -> Told {
    let pid = job.pid().ok_or("the job has ended")?.to_string();
    let sent = Command::new("kill").args([signal, &pid]).status()?;
    assert!(sent.success());
    Ok(())
}

/// A job that is killed when a step begins.
pub(super) async fn killed(world: &World, job: &Job, step: &str) -> Result<JobEnd, Failure> {
    let mut running = world.start_job(job)?;
    reach(&mut running, step).await?;
    send("-KILL", &running)?;
    let end = running.finish(|_| Ok(())).await?;
    assert_eq!(end.code, None, "{}", end.log);
    Ok(end)
}

/// What a person sees of a log: masks are shown to nobody.
pub(super) fn said(end: &JobEnd) -> String {
    let lines = end.log.lines();
    let shown: Vec<&str> = lines
        .filter(|line| !line.starts_with("::add-mask::"))
        .collect();
    shown.join("\n")
}

/// The record of the service, as JSON.
async fn record(world: &World) -> Result<serde_json::Value, Failure> {
    let service = world.service(SERVICE).await?.ok_or("no service")?;
    let text = service["annotations"]["ml-deploy/state"].as_str();
    Ok(serde_json::from_str(text.unwrap_or("{}"))?)
}

/// How often Cloud Run was asked.
fn asked(world: &World) -> usize {
    let exchanges = world.exchanges();
    let run = exchanges
        .iter()
        .filter(|one| one.path.contains("/services/ml-api"));
    run.count()
}

pub(super) fn fails(world: &World, point: &str, count: Option<u64>, fault: Fault) {
    let point = point.to_owned();
    let rule = Rule {
        point,
        count,
        fault,
    };
    assert!(rule.check().is_ok(), "a rule for faults");
    world.emulator.world().faults.add(rule);
}

#[tokio::test]
async fn killed_at_each_step_the_post_step_ends_in_the_old_traffic_or_in_the_finished_promotion()
-> Told {
    let world = world().await?;
    let first = World::commit(1);
    world.built(&first, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let mut finished = 0;
    for (number, step) in (2_u8..).zip(STEPS) {
        let before = world.serving(SERVICE).await?;
        let commit = World::commit(number);
        world.built(&commit, api("setosa")).await?;
        let job = world.release_job(&format!("v1.{number}.0"), &commit, "dev");
        let main = killed(&world, &job, step).await?;
        assert!(main.saved("rollout").is_some(), "{}", main.state);
        assert_eq!(main.saved("ended"), None);
        let left = record(&world).await?["intent"].clone();
        let post = world.run_post(&job, &main).await?;
        assert_eq!(post.code, Some(0), "{step}:\n{}", post.log);
        let state = record(&world).await?;
        assert_eq!(state["intent"], serde_json::Value::Null, "{step}: {state}");
        assert_eq!(
            state["rejected"],
            serde_json::json!([]),
            "nobody is at fault"
        );
        let serving = world.serving(SERVICE).await?;
        assert_eq!(serving.len(), 1, "{step}: {serving:?}");
        assert_eq!(
            state["healthy"][0]["revision"], serving[0].0,
            "{step}: {state}"
        );
        if serving != before {
            assert!(
                matches!(step, "shift-traffic" | "confirm" | "record"),
                "{step}: {serving:?}"
            );
            finished += 1;
        }
        // Nothing is ended in silence, and nothing is said where nothing was open.
        if left.is_null() {
            assert_eq!(said(&post), "", "{step}");
        } else {
            assert!(
                post.log.contains("::warning title=D0312"),
                "{step}:\n{}",
                post.log
            );
            assert!(post.summary.contains("D0312"), "{}", post.summary);
        }
        let service = world.service(SERVICE).await?.ok_or("no service")?;
        let tags = service["traffic"].as_array().into_iter().flatten();
        let ours = tags.filter(|entry| {
            entry["tag"]
                .as_str()
                .is_some_and(|tag| tag.starts_with("c-"))
        });
        assert!(ours.count() <= 1, "{step}: {service:#}");
    }
    assert!(finished > 0, "no promotion was finished");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_post_step_asks_nothing_after_a_run_that_ended_and_once_where_nothing_is_open() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let main = world.run(&job).await?;
    assert_eq!(main.code, Some(0), "{}", main.log);
    assert_eq!(main.saved("ended").as_deref(), Some("closed"));
    let before = world.exchanges().len();
    let post = world.run_post(&job, &main).await?;
    assert_eq!((post.code, said(&post).as_str()), (Some(0), ""));
    assert_eq!(world.exchanges().len(), before);
    // As if it had been killed after its last write.
    let mut cut = main.clone();
    cut.state = cut.state.replace("ended<<", "other<<");
    let before = asked(&world);
    let post = world.run_post(&job, &cut).await?;
    assert_eq!((post.code, said(&post).as_str()), (Some(0), ""));
    assert_eq!(asked(&world), before + 1);
    // A run that saved nothing, or a runner that does not hand it on: the inputs say where to look.
    cut.state.clear();
    let before = asked(&world);
    let post = world.run_post(&job, &cut).await?;
    assert_eq!((post.code, said(&post).as_str()), (Some(0), ""));
    assert_eq!(asked(&world), before + 1);
    // What only looks has nothing to end, least of all another job's rollout of the same run.
    for command in ["status", "plan"] {
        let looks = job.clone().with("command", command);
        let before = world.exchanges().len();
        let post = world.run_post(&looks, &cut).await?;
        assert_eq!((post.code, said(&post).as_str()), (Some(0), ""));
        assert_eq!(world.exchanges().len(), before, "{command}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_way_back_that_fails_shows_both_and_the_post_step_tries_again() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving(SERVICE).await?;
    let job = world.release_job("v1.1.0", &second, "dev");
    // The tests find the candidate slow to answer, which is when the runner cancels.
    let patch = "PATCH /v2/**/services/*";
    fails(
        &world,
        patch,
        Some(1),
        Fault {
            delay_ms: 1,
            ..Fault::default()
        },
    );
    let denied = Fault {
        status: "PERMISSION_DENIED".to_owned(),
        message: "Permission 'run.services.update' denied".to_owned(),
        ..Fault::default()
    };
    fails(&world, patch, None, denied);
    let mut running = world.start_job(&job)?;
    reach(&mut running, "verify").await?;
    send("-INT", &running)?;
    let main = running.finish(|_| Ok(())).await?;
    assert_eq!(main.code, Some(5), "{}", main.log);
    let position = |text: &str| {
        main.log
            .find(text)
            .ok_or(format!("no {text}:\n{}", main.log))
    };
    assert!(position("D0305")? < position("D0307")?, "{}", main.log);
    assert!(main.log.contains("act now"), "{}", main.log);
    assert_eq!(main.saved("ended").as_deref(), Some("open"));

    let post = world.run_post(&job, &main).await?;
    assert!(matches!(post.code, Some(5 | 6)), "{}", post.log);
    assert!(post.log.contains("::error"), "{}", post.log);

    world.emulator.world().faults.clear();
    let post = world.run_post(&job, &main).await?;
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert!(post.log.contains("trying again"), "{}", post.log);
    assert!(post.log.contains("D0312"), "{}", post.log);
    assert_eq!(world.serving(SERVICE).await?, before);
    assert!(record(&world).await?["intent"].is_null());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_main_step_that_lives_on_loses_to_its_post_step_and_does_not_begin_anew() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving(SERVICE).await?;
    let job = world.release_job("v1.1.0", &second, "dev");
    // Its second write, the shift, is held until the post step has waited and acted.
    let held = |milliseconds| Fault {
        delay_ms: milliseconds,
        ..Fault::default()
    };
    fails(&world, "PATCH /v2/**/services/*", Some(1), held(1));
    fails(&world, "PATCH /v2/**/services/*", Some(1), held(8_000));
    let mut running = world.start_job(&job)?;
    reach(&mut running, "shift-traffic").await?;
    // The docker client is dead, the container is not: the runner has what was saved so far.
    let saved = main_state(&world, &job)?;
    let begun = Instant::now();
    let post = world.run_post(&job, &saved).await?;
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert!(post.log.contains("D0312"), "{}", post.log);
    assert!(begun.elapsed() > Duration::from_secs(2), "it did not wait");
    let end = running.finish(|_| Ok(())).await?;
    assert_eq!(end.code, Some(4), "{}", end.log);
    assert!(end.log.contains("D0311"), "{}", end.log);
    assert_eq!(world.serving(SERVICE).await?, before);
    assert!(record(&world).await?["intent"].is_null());
    world.end().await;
    Ok(())
}

/// What a job that still runs has saved.
pub(super) fn main_state(world: &World, job: &Job) -> Result<JobEnd, Failure> {
    Ok(JobEnd {
        code: None,
        log: String::new(),
        outputs: String::new(),
        state: std::fs::read_to_string(world.job_folder(job).join("state"))?,
        summary: String::new(),
    })
}

/// `ml-deploy recover` as a person calls it.
pub(super) async fn recover(
    world: &World,
    arguments: &[&str],
) -> Result<(Option<i32>, String), Failure> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["recover", "--environment", "dev"])
        .args(arguments)
        .args([
            "--service-account",
            "me@demo-project.iam.gserviceaccount.com",
        ])
        .args([
            "--workload-identity-provider",
            "projects/1/locations/global/workloadIdentityPools/p/providers/p",
        ])
        .env("ML_DEPLOY_CLOUD_URL", world.url())
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!(
                "{}/_github/oidc?repository=local/ml-api&ref=refs/heads/main",
                world.url()
            ),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local")
        .env_remove("GITHUB_ACTIONS")
        .current_dir(world.checkout());
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    Ok((status.code(), said))
}

#[tokio::test]
async fn a_person_ends_what_a_dead_run_left_by_naming_it() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving(SERVICE).await?;
    let (code, said) = recover(&world, &[]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing is unfinished"), "{said}");

    let job = world.release_job("v1.1.0", &second, "dev");
    killed(&world, &job, "verify").await?;
    // The next run is kept off, and told how to end it.
    let mut next = job.clone();
    next.run_id += 1;
    let kept_off = world.run(&next).await?;
    assert_eq!(kept_off.code, Some(3), "{}", kept_off.log);
    assert!(
        kept_off
            .log
            .contains("recover --environment dev --run 100/1"),
        "{}",
        kept_off.log
    );

    let (code, said) = recover(&world, &[]).await?;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("D0313") && said.contains("100/1"), "{said}");
    let (code, said) = recover(&world, &["--run", "99/1"]).await?;
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = recover(&world, &["--plan", "--run", "100/1"]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("restore") && !record(&world).await?["intent"].is_null(),
        "{said}"
    );
    let (code, said) = recover(&world, &["--run", "100/1"]).await?;
    assert_eq!(code, Some(0), "{said}");
    for expected in ["D0314", "D0312", "its lease ends at", &before[0].0] {
        assert!(said.contains(expected), "no {expected} in:\n{said}");
    }
    assert_eq!(world.serving(SERVICE).await?, before);
    assert!(record(&world).await?["intent"].is_null());
    let next = world.run(&next).await?;
    assert_eq!(next.code, Some(0), "{}", next.log);
    world.end().await;
    Ok(())
}
