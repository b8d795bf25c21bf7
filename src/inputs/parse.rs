//! `RawInputs` → `Inputs`, with every problem at once.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::EnvironmentName;
use delivery::policy::{BasePin, Mode, Policies, Policy};

use super::config;
use super::environments;
use super::layers::Layers;
use super::origin::Given;
use super::raw::RawInputs;
use super::suggest;
use super::typed::{BuildInputs, Chosen, EnvironmentInputs, Inputs, Wish};
use super::value::ValueProblem;
use crate::secret::Secret;

/// Reads everything that was said. The values hold only when no problem is returned with them.
pub fn parse_inputs(raw: &RawInputs) -> (Inputs, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let config = config::parse_config(&raw.config, &mut problems);
    let layers = Layers::new(raw, true, None, &config.top, &mut problems);
    let named = layers.text("environment");
    let wanted = named
        .as_ref()
        .and_then(|given| EnvironmentName::parse(given.value.clone()).ok());
    let environments =
        environments::parse_environments(raw, &config, wanted.as_ref(), &mut problems);
    let warnings = environments::no_production(&config, &environments)
        .into_iter()
        .collect();
    let mut layers = Layers::new(raw, true, None, &config.top, &mut problems);
    let chosen = parse_chosen(named, &environments, &mut layers);
    layers.report_unknown();
    let inputs = Inputs {
        command: match layers.choice("command") {
            Some("deploy") => Wish::Deploy,
            Some("promote") => Wish::Promote,
            Some("plan") => Wish::Plan,
            Some("status") => Wish::Status,
            _ => Wish::Auto,
        },
        environments,
        chosen,
        branches: layers.list("branches"),
        rollback_to: layers.text("rollback_to").map(|given| given.value),
        build: parse_build(&mut layers),
        junit: layers.parsed("junit", parse_relative),
        results: layers.parsed("results", parse_relative),
        policies: parse_policies(&mut layers),
        retry_rejected: layers.switch("retry_rejected"),
        deadline: minutes(&mut layers, "deadline"),
        github_token: layers
            .text("github_token")
            .map(|given| Secret::new(given.value)),
        credentials_json: parse_key(&mut layers),
        cloud_url: layers.parsed("cloud_url", parse_cloud_url),
        warnings,
    };
    check_identity(&inputs, &mut layers);
    (inputs, problems)
}

fn parse_chosen(
    named: Option<Given<String>>,
    environments: &[EnvironmentInputs],
    layers: &mut Layers<'_>,
) -> Chosen {
    let Some(given) = named else {
        return Chosen::Unsaid;
    };
    let names = environments.iter().map(|known| &known.environment.name);
    if let Some(known) = names.clone().find(|name| name.as_str() == given.value) {
        return Chosen::Known(known.clone());
    }
    let names: Vec<&str> = names.map(EnvironmentName::as_str).collect();
    let why = format!("must be one of the environments {}", names.join(", "));
    let problem = ValueProblem::new(why).help(suggest::help_for(&given.value, &names));
    layers.refuse("environment", &given, problem);
    Chosen::Unknown
}

fn parse_build(layers: &mut Layers<'_>) -> BuildInputs {
    BuildInputs {
        context: layers
            .parsed("context", parse_relative)
            .unwrap_or_else(|| ".".to_owned()),
        file: layers.parsed("file", parse_relative),
        target: layers.text("target").map(|given| given.value),
        build_args: build_args(layers),
        platform: layers
            .parsed("platform", parse_platform)
            .unwrap_or_default(),
        cache_from: layers.list("cache_from"),
        no_cache: layers.switch("no_cache"),
        build_on_tag: layers.switch("build_on_tag"),
        wait_for_build: minutes(layers, "wait_for_build"),
    }
}

fn parse_policies(layers: &mut Layers<'_>) -> Policies {
    let mut policies = Policies::default();
    policies.base_pin = match layers.choice("base_pin") {
        Some("digest") => BasePin::Digest,
        _ => BasePin::Tag,
    };
    policies.size_budget = layers.number("image_size_budget").unwrap_or_default() * 1_000_000;
    for policy in Policy::ALL {
        let mode = match layers.choice(policy.input()) {
            Some("warn") => Mode::Warn,
            Some("off") => Mode::Off,
            _ => Mode::Error,
        };
        policies.set(policy, mode);
    }
    policies
}

fn build_args(layers: &mut Layers<'_>) -> BTreeMap<String, String> {
    layers
        .pairs("build_args")
        .into_iter()
        .map(|(key, given)| (key, given.value))
        .collect()
}

fn minutes(layers: &mut Layers<'_>, name: &'static str) -> Duration {
    Duration::from_secs(layers.number(name).unwrap_or_default() * 60)
}

/// A path inside the workspace.
fn parse_relative(text: &str) -> Result<String, ValueProblem> {
    let bare = text.trim_start_matches("./").trim_end_matches('/');
    if text.starts_with("http://") || text.starts_with("https://") || text.starts_with("git@") {
        return Err(
            ValueProblem::new("must be a path in the repository, not an address")
                .help("check the code out before this step"),
        );
    }
    if bare.split('/').any(|part| part == "..") {
        return Err(ValueProblem::new("must not leave the repository"));
    }
    Ok(if bare.is_empty() {
        ".".to_owned()
    } else {
        bare.to_owned()
    })
}

fn parse_platform(text: &str) -> Result<String, ValueProblem> {
    if text == "linux/amd64" {
        return Ok(text.to_owned());
    }
    if text.contains(',') {
        return Err(ValueProblem::new("must be one platform").help("use `linux/amd64`"));
    }
    Err(ValueProblem::new("must be a platform that Cloud Run runs").help("use `linux/amd64`"))
}

/// Checks the form alone; which hosts are accepted is decided where it is used.
fn parse_cloud_url(text: &str) -> Result<String, ValueProblem> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(ValueProblem::new("must be an http address").help(format!("use `http://{text}`")))
    }
}

/// A service account key must be the JSON of one; its text is never shown.
fn parse_key(layers: &mut Layers<'_>) -> Option<Secret> {
    layers
        .parsed("credentials_json", |text| {
            let value: serde_json::Value = serde_json::from_str(text).map_err(|_| {
                ValueProblem::new("must be the JSON text of a key file")
                    .help("store the whole file in the secret")
            })?;
            match value.get("type").and_then(|kind| kind.as_str()) {
                Some("service_account" | "external_account" | "authorized_user") => {
                    Ok(text.to_owned())
                }
                _ => Err(ValueProblem::new(
                    "must have a `type`, such as `service_account`",
                )),
            }
        })
        .map(Secret::new)
}

/// Two identities at once: which one counts would be a guess.
fn check_identity(inputs: &Inputs, layers: &mut Layers<'_>) {
    let federated = inputs
        .environments
        .iter()
        .any(|inputs| inputs.workload_identity_provider.is_some());
    if federated && inputs.credentials_json.is_some() {
        let diagnostic = Diagnostic::error(
            Code::InputInvalid,
            "`credentials_json` and `workload_identity_provider` are both said",
        )
        .at("input `credentials_json`")
        .help("keep `workload_identity_provider`, which needs no key");
        layers.report(diagnostic);
    }
}
