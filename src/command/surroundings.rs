//! What is to be known of the world around the target before it is planned.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::drift::Earlier;
use delivery::event::{Event, EventSink};
use delivery::plan::{Intent, Surroundings};
use delivery::policy::Mode;
use delivery::target::Tier;

use super::job::Job;
use super::session::Session;
use crate::observe::observe_configuration;

/// Reads what the environment before has; what cannot be read is told, and the run goes on.
///
/// # Errors
/// When the run must end.
pub(super) async fn look(
    job: &Job<'_>,
    session: &Session,
    intent: &Intent,
) -> Result<Surroundings, Diagnostic> {
    let safety = &job.environment.safety;
    let compares = matches!(intent, Intent::Promote { .. })
        && job.environment.environment.tier == Tier::Production
        && safety.drift != Mode::Off;
    let earlier = if compares {
        let looking = earlier(job, session);
        job.guarded("look at the environment before", looking)
            .await?
    } else {
        None
    };
    Ok(Surroundings {
        reach: safety.reach,
        earlier,
        regions: Vec::new(),
    })
}

async fn earlier(job: &Job<'_>, session: &Session) -> Option<Earlier> {
    let before = job.inputs.before(&job.environment.environment.name)?;
    let name = &before.environment.name;
    let unknown = || {
        Diagnostic::warning(
            Code::DriftUnknown,
            format!("the configuration of {name} cannot be read, so it is not compared"),
        )
        .at(format!("environment {name}"))
    };
    let target = match before.target() {
        Ok(target) => target,
        Err(missing) => {
            let mut warning = unknown();
            warning
                .cause
                .extend(missing.into_iter().map(|one| one.title));
            job.sink.emit(Event::Warning(warning));
            return None;
        }
    };
    match observe_configuration(&session.reader(), &target).await {
        Ok(configuration) => configuration.map(|configuration| Earlier {
            environment: name.clone(),
            configuration,
            mode: job.environment.safety.drift,
        }),
        Err(problem) => {
            let Diagnostic {
                title, cause, help, ..
            } = problem;
            let mut warning = unknown().cause(title);
            warning.cause.extend(cause);
            warning.help = help;
            job.sink.emit(Event::Warning(
                warning.help("or, to compare nothing, say `drift: off`"),
            ));
            None
        }
    }
}
