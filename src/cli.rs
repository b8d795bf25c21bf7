//! Command line: clap types only.

use std::collections::BTreeMap;
#[cfg(feature = "local-cloud")]
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum,
};

use crate::inputs::catalogue::INPUTS;
use crate::inputs::pages::reference::has_flag;
use crate::inputs::table::{InputSpec, Kind, Section};

const LONG_ABOUT: &str = "\
Promotes one image of an ML API through its environments on Cloud Run.

An image is built once, from a push to the main branch. A version tag takes that same image, by its
digest, through dev, test, staging and production. In each environment the new revision first gets
no traffic and an address of its own; API tests run against it there; only then it serves. When
anything fails, what served before goes on serving.

Inside of a GitHub job the program needs no command: it reads the action's inputs and the event.";

const EXAMPLES: &str = "\
Examples:
  ml-deploy status --service ml-api --project-id my-project
      What serves in each environment.
  ml-deploy plan v1.4.0 --environment staging
      What promoting that version would do. Writes nothing.
  ml-deploy promote v1.4.0 --environment staging
      Do it.
  ml-deploy rollback --environment production
      Back to the revision that served before.
  ml-deploy recover --environment production
      End what a run that died has left there.
  ml-deploy demo
      See all of it on this machine, without an account.

Settings that stay the same belong into .github/ml-deploy.yml; docs/inputs.md describes each one.
Exit codes: 0 done · 2 bad input · 3 blocked · 4 tests failed or interrupted, nothing promoted · 5 rollback failed,
act now · 6 cloud, registry or credentials · 1 a defect of this program.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "ml-deploy", version, about = "Promotes one image of an ML API through its environments on Cloud Run",
    long_about = LONG_ABOUT, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What is printed: text for people, or one JSON object a line.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
    /// What to do. None inside of a GitHub job.
    #[command(subcommand)]
    pub command: Option<Task>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Show what a promotion would do; writes nothing
    #[command(after_help = "Example:\n  ml-deploy plan v1.4.0 --environment production")]
    Plan(PlanArgs),
    /// Bring a version, or a commit of the main branch, into one environment
    #[command(
        after_help = "Examples:\n  ml-deploy promote v1.4.0 --environment test\n  ml-deploy promote main --build      build, push and deploy the checked-out commit to the first environment"
    )]
    Promote(PromoteArgs),
    /// Move traffic back to a revision that was healthy
    #[command(
        after_help = "Examples:\n  ml-deploy rollback --environment production\n  ml-deploy rollback --environment production --rollback-to v1.3.2"
    )]
    Rollback(RollbackArgs),
    /// End a rollout that a run which died left unfinished: take it back, or finish it
    #[command(
        after_help = "Examples:\n  ml-deploy recover                                            in every environment\n  ml-deploy recover --environment production --run 1234567/1   that run is known to be dead\n\nA run that may still be at work is left alone until its lease ends (exit code 3)."
    )]
    Recover(RecoverArgs),
    /// Show what serves in each environment
    Status(ReadArgs),
    /// List the revisions of an environment, and what is known about each
    Revisions(ReadArgs),
    /// Show the last lines that a revision logged
    Logs(LogsArgs),
    /// Show which environments have passed with an image, as the image's evidence says
    #[command(
        after_help = "Examples:\n  ml-deploy evidence v1.4.0                                     in every environment\n  ml-deploy evidence v1.4.0 --environment staging\n  ml-deploy --format json evidence --digest sha256:…\n\nWhat an environment's key has not signed does not count, where it has one. Reads only."
    )]
    Evidence(Box<EvidenceArgs>),
    /// Run the API tests against an address
    #[command(
        after_help = "Examples:\n  ml-deploy verify http://127.0.0.1:8080 --tests golden.yaml\n  ml-deploy verify --url https://ml-api-x.a.run.app --tests 'tests/*.yaml' --junit report.xml\n  ml-deploy verify http://127.0.0.1:8080 --tests golden.yaml --slo-p95 200ms --load-rate 50\n  ml-deploy verify https://c-1---ml-api-x.a.run.app --tests golden.yaml --replay --serving https://ml-api-x.a.run.app\n  ml-deploy verify http://127.0.0.1:8080 --record golden.jsonl --inputs inputs.csv"
    )]
    Verify(Box<VerifyArgs>),
    /// Check dependencies, Dockerfile, build context and image against the policies
    #[command(
        after_help = "Examples:\n  ml-deploy check                       what a build of this folder would be refused for\n  ml-deploy check api --image ml-api    and the image that was built from it\n\nExit codes: 0 nothing found, or warnings only · 3 a policy is broken."
    )]
    Check(CheckArgs),
    /// Run a local cloud: Cloud Run, the registry, the token services and GitHub's API on one port
    #[cfg(feature = "local-cloud")]
    #[command(
        after_help = "Examples:\n  ml-deploy emulator\n  eval \"$(ml-deploy emulator --env)\"      in another terminal: point this tool, gcloud and Google's clients at it\n  eval \"$(ml-deploy emulator --env --unset)\"      and away from it again"
    )]
    Emulator(EmulatorArgs),
    /// Show a release going from a push to production, a bad one stopped, and a rollback
    #[cfg(feature = "local-cloud")]
    Demo(DemoArgs),
    /// Write action.yml, the references and the schemas from the code
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// What is promoted.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A version tag such as v1.2.3, or a branch. Unless given: the branch that is checked out
    #[arg(value_name = "REF")]
    pub reference: Option<String>,
    /// The full commit. Unless given: what REF names in this checkout
    #[arg(long, value_name = "SHA")]
    pub commit: Option<String>,
    /// Inputs.
    #[command(flatten)]
    pub flags: RunFlags,
}

/// What is promoted, and how.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// What.
    #[command(flatten)]
    pub what: PlanArgs,
    /// Build and push the image first
    #[arg(long)]
    pub build: bool,
}

/// Where traffic goes back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Show what would be done; write nothing
    #[arg(long)]
    pub plan: bool,
    /// Inputs.
    #[command(flatten)]
    pub flags: RunFlags,
}

/// Whose unfinished rollout is ended.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// This run is known to be dead: do not wait for the end of its lease
    #[arg(long, value_name = "RUN", conflicts_with = "force")]
    pub run: Option<String>,
    /// Wait for nobody's lease
    #[arg(long)]
    pub force: bool,
    /// Show what would be done; write nothing
    #[arg(long)]
    pub plan: bool,
    /// Inputs.
    #[command(flatten)]
    pub flags: RecoverFlags,
}

/// What is looked at.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Inputs.
    #[command(flatten)]
    pub flags: ReadFlags,
}

/// Whose evidence is shown.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// A version tag such as v1.2.3, or a branch. Unless given: the commit that is checked out
    #[arg(value_name = "REF", conflicts_with = "digest")]
    pub reference: Option<String>,
    /// The full commit. Unless given: what REF names in this checkout
    #[arg(long, value_name = "SHA", conflicts_with = "digest")]
    pub commit: Option<String>,
    /// The image itself, `sha256:…`
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Inputs.
    #[command(flatten)]
    pub flags: EvidenceFlags,
}

/// Which lines are shown.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The revision. Unless given: the one that serves
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
    /// How many lines
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub lines: u32,
    /// Inputs.
    #[command(flatten)]
    pub flags: ReadFlags,
}

/// What is tested, and as whom.
///
/// An ID token for a private address comes from the variable ML_DEPLOY_ID_TOKEN, or is made for
/// `--audience` with the credentials that are found.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Address of the API
    #[arg(value_name = "URL", required_unless_present = "url_flag")]
    pub url: Option<String>,
    /// The same
    #[arg(long = "url", value_name = "URL", conflicts_with = "url")]
    pub url_flag: Option<String>,
    /// Address of what serves now, for the gates that compare; the ID token is sent there too
    #[arg(long, value_name = "URL")]
    pub serving: Option<String>,
    /// API test files, or patterns such as `tests/*.yaml`. Unless given, only the health path is asked
    #[arg(long, value_name = "FILE")]
    pub tests: Vec<String>,
    /// A path that answers 200
    #[arg(long, value_name = "PATH", default_value = "/health")]
    pub health_path: String,
    /// A path that tells version and commit
    #[arg(long, value_name = "PATH", default_value = "/version")]
    pub version_path: String,
    /// The commit that it must tell
    #[arg(long, value_name = "SHA")]
    pub commit: Option<String>,
    /// The version that it must tell
    #[arg(long, value_name = "VERSION")]
    pub release: Option<String>,
    /// The model version that it must tell
    #[arg(long, value_name = "TEXT")]
    pub model_version: Option<String>,
    /// Make an ID token for this audience with the credentials that are found
    #[arg(long, value_name = "URL")]
    pub audience: Option<String>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Compare the OpenAPI document with that of `--serving`: a breaking change needs a new MAJOR version
    #[arg(long, requires = "serving")]
    pub semver_gate: bool,
    /// Send requests that the OpenAPI document allows and forbids, and hold the answers against it
    #[arg(long)]
    pub conformance: bool,
    /// A path that answers the OpenAPI document
    #[arg(long, value_name = "PATH", default_value = crate::verify::openapi::DEFAULT_OPENAPI_PATH)]
    pub openapi_path: String,
    /// Test nothing: send each row of --inputs and write the answers into this golden file (.jsonl)
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub record: Option<PathBuf>,
    /// Inputs to record: .jsonl or .csv
    #[arg(long, value_name = "FILE", requires = "record")]
    pub inputs: Option<String>,
    /// Where inputs are sent
    #[arg(long, value_name = "PATH", default_value = "/predict")]
    pub predict_path: String,
    /// Inputs.
    #[command(flatten)]
    pub limits: LimitFlags,
}

/// What is checked.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The folder that a build would send. Unless given: the input `context`
    #[arg(value_name = "FOLDER")]
    pub path: Option<String>,
    /// An image of the Docker engine, by name or identifier
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Inputs.
    #[command(flatten)]
    pub flags: CheckFlags,
}

/// How the local cloud runs.
#[cfg(feature = "local-cloud")]
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8085")]
    pub listen: SocketAddr,
    /// The address on which each service and each tag gets a port of its own
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub data_plane: IpAddr,
    /// Seed of everything that is random in it
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Longest time for which a new address answers 404 and an old split lingers, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1500)]
    pub propagation_ms: u64,
    /// How long an instance is kept without a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    pub idle_seconds: u64,
    /// Instances of one revision at most, whatever its template allows: all run on this machine
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_instances: u16,
    /// Keep the state in this directory: services, images, logs and tokens are there again after a
    /// restart. Unless given, they are gone when the local cloud ends
    #[arg(long, value_name = "DIR", conflicts_with = "env")]
    pub data_dir: Option<PathBuf>,
    /// Start nothing: print the variables that point a shell at a running local cloud
    #[arg(long)]
    pub env: bool,
    /// The running local cloud, with --env
    #[arg(long, value_name = "URL", requires = "env")]
    pub cloud_url: Option<String>,
    /// With --env: print how to take the variables back
    #[arg(long, requires = "env")]
    pub unset: bool,
}

/// How the demo runs.
#[cfg(feature = "local-cloud")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder of the sample API
    #[arg(long, value_name = "FOLDER", default_value = "examples/ml-api")]
    pub sample: PathBuf,
    /// Keep the local cloud up at the end, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// What is written.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Write nothing; end with 1 and say which files are old
    #[arg(long)]
    pub check: bool,
    /// The repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub root: PathBuf,
}

/// Flags of everything that changes a service: one for each input.
#[derive(Debug, Clone, Default)]
pub struct RunFlags(pub BTreeMap<&'static str, String>);

/// Flags of everything that only looks.
#[derive(Debug, Clone, Default)]
pub struct ReadFlags(pub BTreeMap<&'static str, String>);

/// Flags of what reads evidence.
#[derive(Debug, Clone, Default)]
pub struct EvidenceFlags(pub BTreeMap<&'static str, String>);

/// Inputs that name the image and its environment, and tell as whom it is read.
fn is_for_evidence(spec: &InputSpec) -> bool {
    is_for_reading(spec) && spec.name != "region" || spec.name == "image"
}

/// Flags of what ends an unfinished rollout.
#[derive(Debug, Clone, Default)]
pub struct RecoverFlags(pub BTreeMap<&'static str, String>);

/// Inputs that name the service and tell who answers there.
fn is_for_recovery(spec: &InputSpec) -> bool {
    is_for_reading(spec) || spec.name == "version_path"
}

/// Flags of the gates that measure: load, replay, cold start.
#[derive(Debug, Clone, Default)]
pub struct LimitFlags(pub BTreeMap<&'static str, String>);

/// Inputs that limit what is measured at an address. Traffic in shares is a service's.
fn is_limit(spec: &InputSpec) -> bool {
    let is_about_shares = matches!(spec.name, "traffic_steps" | "soak" | "on_inconclusive")
        || spec.name.starts_with("canary_");
    has_flag(spec) && spec.section == Section::Limits && !is_about_shares
}

/// Flags of the policies, and of what they look at.
#[derive(Debug, Clone, Default)]
pub struct CheckFlags(pub BTreeMap<&'static str, String>);

/// Inputs that say what is checked, and how.
fn is_for_checking(spec: &InputSpec) -> bool {
    let is_about_the_build = matches!(spec.name, "config" | "file" | "target" | "build_args");
    has_flag(spec) && (spec.section == Section::Policies || is_about_the_build)
}

/// Inputs that name what is looked at, and by whom.
fn is_for_reading(spec: &InputSpec) -> bool {
    has_flag(spec)
        && matches!(spec.section, Section::Target | Section::Identity)
        && !matches!(spec.name, "branches" | "rollback_to" | "image")
}

fn argument(spec: &'static InputSpec) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.flag())
        .help(spec.doc)
        .help_heading(spec.section.title())
        .value_name(match spec.kind {
            Kind::Choice(choices) => choices.join("|"),
            Kind::Switch => "true|false".to_owned(),
            Kind::Number { .. } => "NUMBER".to_owned(),
            Kind::Duration => "DURATION".to_owned(),
            Kind::Share => "SHARE".to_owned(),
            Kind::Decimal => "NUMBER".to_owned(),
            Kind::Pairs => "KEY=VALUE".to_owned(),
            Kind::Secrets => "KEY=NAME:VERSION".to_owned(),
            Kind::List => "ITEM".to_owned(),
            Kind::Text | Kind::Sensitive | Kind::Cpu | Kind::Memory | Kind::Probe => {
                "TEXT".to_owned()
            }
        });
    // What people type in a hurry.
    let argument = if spec.name == "rollback_to" {
        argument.visible_alias("to")
    } else {
        argument
    };
    match spec.kind {
        Kind::Pairs | Kind::Secrets | Kind::List => argument.action(ArgAction::Append),
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => argument,
    }
}

/// The values that were given; repeated ones become lines.
fn given(matches: &ArgMatches, wanted: fn(&InputSpec) -> bool) -> BTreeMap<&'static str, String> {
    INPUTS
        .iter()
        .filter(|spec| wanted(spec))
        .filter_map(|spec| {
            let values: Vec<&str> = matches
                .get_many::<String>(spec.name)?
                .map(String::as_str)
                .collect();
            Some((spec.name, values.join("\n")))
        })
        .collect()
}

macro_rules! flags {
    ($name:ident, $wanted:path) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                command.args(INPUTS.iter().filter(|spec| $wanted(spec)).map(argument))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(given(matches, $wanted)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                self.0.extend(given(matches, $wanted));
                Ok(())
            }
        }
    };
}

flags!(RunFlags, has_flag);
flags!(ReadFlags, is_for_reading);
flags!(EvidenceFlags, is_for_evidence);
flags!(RecoverFlags, is_for_recovery);
flags!(LimitFlags, is_limit);
flags!(CheckFlags, is_for_checking);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_input_but_secrets_is_a_flag() {
        let cli = Cli::parse_from([
            "ml-deploy",
            "promote",
            "v1.0.0",
            "--project-id",
            "p-1",
            "--env-vars",
            "A=1",
            "--env-vars",
            "B=2",
            "--no-cache",
        ]);
        let Some(Task::Promote(promote)) = cli.command else {
            panic!("{cli:?}")
        };
        let given = promote.what.flags.0;
        assert_eq!(given["project_id"], "p-1");
        assert_eq!(given["env_vars"], "A=1\nB=2");
        assert_eq!(given["no_cache"], "true");
        assert!(Cli::try_parse_from(["ml-deploy", "promote", "--github-token", "x"]).is_err());
        assert!(Cli::try_parse_from(["ml-deploy", "status", "--cpu", "1"]).is_err());
    }
}
