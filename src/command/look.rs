//! Commands that only look: status, revisions, logs.

mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::RevisionName;
use delivery::outcome::{ExitCode, Outcome};
use delivery::plan::render::place;
use delivery::snapshot::Snapshot;
use delivery::target::Target;
use serde_json::{Value, json};

use super::job::read_inputs;
use super::session::Session;
use super::shell::Shell;
use crate::cli::Format;
use crate::execute::{Clock, SystemClock};
use crate::gcp::logging;
use crate::inputs::{EnvironmentInputs, Inputs, typed};
use crate::observe::observe;
use crate::report::{RunSummary, text};
use shown::{revision_json, revision_text, status_json, status_text};

/// `status`: what serves, in each environment, or in the one that is named.
pub(super) async fn status(shell: &Shell, flags: &BTreeMap<&'static str, String>) -> u8 {
    let looked = async {
        let (inputs, targets) = targets(shell, flags)?;
        let sessions = sessions(shell, &inputs, &targets).await?;
        let looks = targets.iter().zip(&sessions).map(|((_, target), session)| {
            let session = Arc::clone(session);
            async move { observe(&session.reader(), target, SystemClock.now()).await }
        });
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        for seen in futures_util::future::join_all(looks).await {
            match seen {
                Ok(snapshot) => rows.push(snapshot),
                Err(problem) if problems.contains(&problem) => {}
                Err(problem) => problems.push(problem),
            }
        }
        for snapshot in &rows {
            write(shell, &status_text(snapshot), &status_json(snapshot));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    };
    finish(shell, looked).await
}

/// `revisions`: of one environment, newest first.
pub(super) async fn revisions(shell: &Shell, flags: &BTreeMap<&'static str, String>) -> u8 {
    let looked = async {
        let (inputs, environment, target) = single(shell, flags)?;
        let (_, snapshot) = look(shell, &inputs, &environment, &target)
            .await
            .map_err(|problem| vec![problem])?;
        let Some(service) = &snapshot.service else {
            write(shell, &status_text(&snapshot), &status_json(&snapshot));
            return Ok(());
        };
        for revision in &service.revisions {
            write(
                shell,
                &revision_text(service, revision),
                &revision_json(service, revision),
            );
        }
        Ok(())
    };
    finish(shell, looked).await
}

/// `logs`: the last lines of a revision, or of the one that serves.
pub(super) async fn logs(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
    revision: Option<&str>,
    count: u32,
) -> u8 {
    let looked = async {
        let one = |problem| vec![problem];
        let (inputs, environment, target) = single(shell, flags)?;
        let named = revision
            .map(RevisionName::parse)
            .transpose()
            .map_err(|error| {
                vec![
                    Diagnostic::error(Code::InputInvalid, error.to_string())
                        .at("flag `--revision`"),
                ]
            })?;
        let (session, snapshot) = look(shell, &inputs, &environment, &target)
            .await
            .map_err(one)?;
        if snapshot.service.is_none() {
            return Err(vec![not_deployed(&target)]);
        }
        let revision = named.or_else(|| serving(&snapshot));
        let lines = logging::last_lines(&session.api(), &target, revision.as_ref(), count)
            .await
            .map_err(|error| vec![error.into_diagnostic("read the log").or_at(place(&target))])?;
        for line in lines {
            let shown = text::plain_lines(&line.text).join("\n  ");
            let text = format!("{} {} {shown}", line.timestamp, line.severity);
            let json =
                json!({"timestamp": line.timestamp, "severity": line.severity, "text": line.text});
            write(shell, &text, &json);
        }
        Ok(())
    };
    finish(shell, looked).await
}

/// A log is asked of a service that does not exist.
fn not_deployed(target: &Target) -> Diagnostic {
    let Target {
        environment: _,
        project,
        region,
        service,
    } = target;
    Diagnostic::error(
        Code::CloudFailed,
        format!("`{service}` is not deployed yet: it has no log"),
    )
    .at(place(target))
    .state("nothing was changed: the service does not exist")
    .cause(format!("project {project} has no service `{service}` in {region}"))
    .help("deploy it first: `ml-deploy promote`; or check inputs `project_id`, `region` and `service`")
}

/// What is said of a service that could not be looked at.
const NOT_SEEN: &str = "not seen: this only looks, and has changed nothing";

/// Looks, but not beyond a signal. On a terminal a look that went well needs no closing word.
pub(super) async fn finish(
    shell: &Shell,
    looked: impl Future<Output = Result<(), Vec<Diagnostic>>>,
) -> u8 {
    let looked = tokio::select! {
        biased;
        () = shell.stop.cancelled() => {
            Err(vec![Diagnostic::error(Code::Interrupted, "interrupted")])
        }
        looked = looked => looked,
    };
    match looked {
        Ok(()) => 0,
        Err(mut problems) => {
            let failed = |one: &&mut Diagnostic| one.code.exit_code() == Some(ExitCode::Cloud);
            for problem in problems.iter_mut().filter(failed) {
                problem.state.get_or_insert_with(|| NOT_SEEN.to_owned());
            }
            let run = RunSummary {
                release_label: Some("the look".to_owned()),
                ..RunSummary::default()
            };
            shell.finish(&Outcome::Stopped(problems), &run)
        }
    }
}

pub(super) fn write(shell: &Shell, text: &str, json: &Value) {
    if shell.format == Format::Json {
        shell.streams.out.say(&format!("{json}\n"));
    } else if shell.on_github {
        shell.note(text);
    } else {
        shell.streams.out.say(&format!("{text}\n"));
    }
}

/// A session for each target. Environments with the same identity share one: its tokens and its
/// connections are made once.
async fn sessions(
    shell: &Shell,
    inputs: &Inputs,
    targets: &Targets,
) -> Result<Vec<Arc<Session>>, Vec<Diagnostic>> {
    let mut known: Vec<(Identity<'_>, Arc<Session>)> = Vec::new();
    let mut sessions = Vec::new();
    for (environment, _) in targets {
        let identity = (
            &environment.workload_identity_provider,
            &environment.service_account,
        );
        let session = match known.iter().find(|(other, _)| *other == identity) {
            Some((_, session)) => Arc::clone(session),
            None => {
                let opened = Session::open(shell, inputs, environment, shell.sink()).await;
                let session = Arc::new(opened.map_err(|problem| vec![problem])?);
                known.push((identity, Arc::clone(&session)));
                session
            }
        };
        sessions.push(session);
    }
    Ok(sessions)
}

/// Provider and service account.
type Identity<'a> = (&'a Option<String>, &'a Option<String>);

async fn look(
    shell: &Shell,
    inputs: &Inputs,
    environment: &EnvironmentInputs,
    target: &Target,
) -> Result<(Session, Snapshot), Diagnostic> {
    let session = Session::open(shell, inputs, environment, shell.sink()).await?;
    let snapshot = observe(&session.reader(), target, SystemClock.now()).await?;
    Ok((session, snapshot))
}

pub(super) type Targets = Vec<(EnvironmentInputs, Target)>;

/// The environment that is named, or every one that is described well enough.
pub(super) fn targets(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
) -> Result<(Inputs, Targets), Vec<Diagnostic>> {
    let (inputs, mut problems) = read_inputs(shell, flags);
    let mut targets = Vec::new();
    let mut missing = Vec::new();
    for environment in &inputs.environments {
        if inputs
            .chosen
            .as_ref()
            .is_some_and(|chosen| *chosen != environment.environment.name)
        {
            continue;
        }
        match environment.targets() {
            Ok(all) => targets.extend(all.into_iter().map(|one| (environment.clone(), one))),
            Err(found) => missing = found,
        }
    }
    if targets.is_empty() {
        problems.extend(missing);
    }
    if problems.is_empty() {
        Ok((inputs, targets))
    } else {
        Err(problems)
    }
}

fn single(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
) -> Result<(Inputs, EnvironmentInputs, Target), Vec<Diagnostic>> {
    let (inputs, mut targets) = targets(shell, flags)?;
    if inputs.chosen.is_none() {
        let names = inputs.names().join(", ");
        return Err(vec![
            typed::missing("environment").help(format!("the environments are {names}")),
        ]);
    }
    if targets.len() > 1 {
        let regions = targets.iter().map(|(_, target)| target.region.as_str());
        let regions = regions.collect::<Vec<_>>().join(", ");
        return Err(vec![
            Diagnostic::error(
                Code::RegionsUnlike,
                "this looks at one region, and the environment has several",
            )
            .cause(format!("the regions are {regions}"))
            .help("name one with `--region`"),
        ]);
    }
    match targets.pop() {
        Some((environment, target)) => Ok((inputs, environment, target)),
        None => Err(vec![typed::missing("environment")]),
    }
}

/// The revision with the largest share.
fn serving(snapshot: &Snapshot) -> Option<RevisionName> {
    let service = snapshot.service.as_ref()?;
    let largest = service.serving.iter().max_by_key(|share| share.percent)?;
    (largest.percent > 0).then(|| largest.revision.clone())
}
