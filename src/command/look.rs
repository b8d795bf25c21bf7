//! Commands that only look: status, revisions, logs.

mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::{EnvironmentName, RevisionName};
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
use crate::inputs::{Chosen, EnvironmentInputs, Inputs, typed};
use crate::observe::observe;
use crate::report::{RunSummary, text};
use shown::{revision_json, revision_text, status_json, status_text};

/// `status`: what serves, in each environment, or in the one that is named.
pub(super) async fn status(shell: &Shell, flags: &BTreeMap<&'static str, String>) -> u8 {
    let looked = async {
        let (inputs, targets) = targets(shell, flags)?;
        let environments = targets.iter().map(|(environment, _)| environment);
        let sessions = Session::open_all(shell, &inputs, environments, shell.sink()).await;
        let sessions = sessions.map_err(|problem| vec![problem])?;
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
        let (inputs, environment, target, _) = single(shell, flags, None)?;
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
        let (inputs, environment, target, named) = single(shell, flags, revision)?;
        let (session, snapshot) = look(shell, &inputs, &environment, &target)
            .await
            .map_err(one)?;
        let Some(service) = &snapshot.service else {
            return Err(vec![not_deployed(&target)]);
        };
        let there: Vec<RevisionName> = service.revisions.iter().map(|it| it.name.clone()).collect();
        let unknown = named.clone().filter(|name| !there.contains(name));
        let revision = named.or_else(|| serving(&snapshot));
        let lines = logging::last_lines(&session.api(), &target, revision.as_ref(), count)
            .await
            .map_err(|error| vec![error.into_diagnostic("read the log").or_at(place(&target))])?;
        // The log of a revision outlives it: only where there is nothing, the name is wrong.
        if let Some(name) = unknown.filter(|_| lines.is_empty()) {
            return Err(vec![no_such_revision(&target, &name, &there)]);
        }
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

/// Revisions that a message names, newest first.
const NAMED_REVISIONS: usize = 10;

/// A log is asked of a revision that is not there.
fn no_such_revision(target: &Target, name: &RevisionName, there: &[RevisionName]) -> Diagnostic {
    let named = there.iter().take(NAMED_REVISIONS);
    let named = named
        .map(RevisionName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let rest = match there.len().saturating_sub(NAMED_REVISIONS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Diagnostic::error(
        Code::NoSuchRevision,
        format!(
            "`{}` has no revision `{name}`, and no log of it",
            target.service
        ),
    )
    .at(place(target))
    .state("nothing was changed")
    .help(format!("name one of these: {named}{rest}"))
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
        Code::NotDeployed,
        format!("`{service}` is not deployed yet: it has no log"),
    )
    .at(place(target))
    .state("nothing was changed: the service does not exist")
    .cause(format!(
        "project {project} has no service `{service}` in {region}"
    ))
    .help(format!(
        "deploy it first: `ml-deploy promote REF --environment {}`",
        target.environment.name
    ))
    .help("or check inputs `project_id`, `region` and `service`")
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
    let (inputs, targets, problems) = read_targets(shell, flags);
    if problems.is_empty() {
        Ok((inputs, targets))
    } else {
        Err(problems)
    }
}

fn read_targets(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
) -> (Inputs, Targets, Vec<Diagnostic>) {
    let (inputs, mut problems) = read_inputs(shell, flags);
    let is_wanted = |name: &EnvironmentName| inputs.chosen.name().is_none_or(|it| it == name);
    let mut targets = Vec::new();
    let mut missing = None;
    for environment in &inputs.environments {
        if !is_wanted(&environment.environment.name) {
            continue;
        }
        match environment.targets() {
            Ok(all) => targets.extend(all.into_iter().map(|one| (environment.clone(), one))),
            Err(found) => missing = Some((environment, found)),
        }
    }
    if let Some((environment, missing)) = missing.filter(|_| targets.is_empty()) {
        environment.tell_missing(missing, &mut problems);
    }
    (inputs, targets, problems)
}

/// The one target of the environment that is named, and the revision that a flag names.
fn single(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
    revision: Option<&str>,
) -> Result<(Inputs, EnvironmentInputs, Target, Option<RevisionName>), Vec<Diagnostic>> {
    let (inputs, mut targets, mut problems) = read_targets(shell, flags);
    let revision = revision.map(RevisionName::parse).transpose();
    let revision = revision.unwrap_or_else(|error| {
        let problem = Diagnostic::error(Code::InputInvalid, error.to_string());
        problems.push(problem.at("flag `--revision`"));
        None
    });
    match &inputs.chosen {
        Chosen::Unsaid => {
            let names = inputs.names().join(", ");
            let missing = typed::missing("environment");
            problems.push(missing.help(format!("the environments are {names}")));
        }
        Chosen::Known(_) if targets.len() > 1 => {
            let regions = targets.iter().map(|(_, target)| target.region.as_str());
            let regions = regions.collect::<Vec<_>>().join(", ");
            problems.push(
                Diagnostic::error(
                    Code::RegionsUnlike,
                    "this looks at one region, and the environment has several",
                )
                .cause(format!("the regions are {regions}"))
                .help("name one with `--region`"),
            );
        }
        Chosen::Known(_) | Chosen::Unknown => {}
    }
    match targets.pop() {
        Some((environment, target)) if problems.is_empty() => {
            Ok((inputs, environment, target, revision))
        }
        _ => Err(problems),
    }
}

/// The revision with the largest share.
fn serving(snapshot: &Snapshot) -> Option<RevisionName> {
    let service = snapshot.service.as_ref()?;
    let largest = service.serving.iter().max_by_key(|share| share.percent)?;
    (largest.percent > 0).then(|| largest.revision.clone())
}
