//! The ordered list of environments, with everything that is said for each.

use std::collections::BTreeMap;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::entrance::Reach;
use delivery::gate::Mode;
use delivery::name::{EnvironmentName, NameError, ProjectId, Region, ServiceName};
use delivery::policy;
use delivery::target::{Approval, Environment, Tier};

use super::config::{Config, EnvironmentEntry, Level};
use super::layers::Layers;
use super::limits::parse_limits;
use super::origin::{Given, Origin};
use super::raw::RawInputs;
use super::resource;
use super::service;
use super::traffic::parse_traffic;
use super::typed::{EnvironmentInputs, SafetyInputs};
use super::value::{self, ValueProblem};
use crate::gcp::kms::{KeyNameError, KeyVersion};

/// The list that holds when the configuration file has none, in the order of promotion.
pub const DEFAULT_ENVIRONMENTS: [&str; 4] = ["dev", "test", "staging", "production"];

/// Reads the list. When it cannot be read, the default one stands in, so that the rest is checked.
pub fn parse_environments(
    raw: &RawInputs,
    config: &Config,
    chosen: Option<&EnvironmentName>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<EnvironmentInputs> {
    let default = || {
        DEFAULT_ENVIRONMENTS
            .iter()
            .map(|name| default_entry(name))
            .collect::<Vec<_>>()
    };
    let entries = config
        .environments
        .clone()
        .filter(|entries| !entries.is_empty())
        .unwrap_or_else(default);
    // Inputs belong to the environment of this job. While nobody knows which one that is, they are
    // checked against each.
    let chosen = chosen.filter(|chosen| entries.iter().any(|entry| is_named(entry, chosen)));
    let mut environments: Vec<EnvironmentInputs> = Vec::new();
    for entry in &entries {
        let Some(name) = parse_name(entry, problems) else {
            continue;
        };
        if environments
            .iter()
            .any(|known| known.environment.name == name)
        {
            problems.push(
                Diagnostic::error(
                    Code::InputInvalid,
                    format!("the environment `{name}` is listed twice"),
                )
                .at(entry.origin.to_string()),
            );
            continue;
        }
        let inputs_count = chosen.is_none_or(|chosen| *chosen == name);
        let mut layers = Layers::new(raw, inputs_count, Some(&entry.level), &config.top, problems);
        let environment = parse_environment(name, entry, &mut layers);
        environments.push(environment);
    }
    check_distinct(&environments, &entries, problems);
    environments
}

fn is_named(entry: &EnvironmentEntry, name: &EnvironmentName) -> bool {
    entry
        .keys
        .get("name")
        .is_some_and(|given| given.value.trim() == name.as_str())
}

fn default_entry(name: &str) -> EnvironmentEntry {
    EnvironmentEntry {
        keys: BTreeMap::from([("name", Given::new(name.to_owned(), Origin::Default))]),
        level: Level::new(),
        origin: Origin::Default,
    }
}

fn parse_name(entry: &EnvironmentEntry, problems: &mut Vec<Diagnostic>) -> Option<EnvironmentName> {
    let Some(given) = entry.keys.get("name") else {
        problems.push(
            Diagnostic::error(Code::InputMissing, "an environment has no `name`")
                .at(entry.origin.to_string())
                .help("write `- name: staging`"),
        );
        return None;
    };
    match EnvironmentName::parse(given.value.trim()) {
        Ok(name) => Some(name),
        Err(error) => {
            problems.push(
                Diagnostic::error(
                    Code::InputInvalid,
                    format!(
                        "`{}` cannot name an environment: {}",
                        error.value, error.rule
                    ),
                )
                .at(given.origin.to_string())
                .help(format!(
                    "use `{}`",
                    given
                        .value
                        .trim()
                        .to_lowercase()
                        .replace([' ', '_', '.'], "-")
                )),
            );
            None
        }
    }
}

fn parse_environment(
    name: EnvironmentName,
    entry: &EnvironmentEntry,
    layers: &mut Layers<'_>,
) -> EnvironmentInputs {
    let tier = parse_tier(&name, entry, layers);
    let approval = match layers.choice("approval") {
        Some("required") => Approval::Required,
        Some("external") => Approval::External,
        Some(_) => Approval::None,
        None if tier == Tier::Production => Approval::Required,
        None => Approval::None,
    };
    let github_environment = entry
        .keys
        .get("github_environment")
        .map(|given| given.value.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| name.to_string());
    let service = parse_service_name(&name, entry, layers);
    let limits = parse_limits(layers);
    let mut inputs = EnvironmentInputs {
        traffic: parse_traffic(layers, &limits),
        limits,
        service,
        project: layers.parsed("project_id", |text| {
            ProjectId::parse(text).map_err(from_name)
        }),
        regions: parse_regions(layers),
        spec: service::parse_service(layers),
        tests: layers.list("tests"),
        model_version: layers.text("model_version").map(|given| given.value),
        health_path: path(layers, "health_path"),
        version_path: layers.parsed("version_path", parse_optional_path).flatten(),
        openapi_path: layers.parsed("openapi_path", parse_optional_path).flatten(),
        semver_gate: mode(layers, "semver_gate"),
        conformance: mode(layers, "conformance"),
        image: layers.parsed("image", resource::parse_image),
        evidence: mode(layers, "evidence"),
        evidence_kms_key: layers.parsed("evidence_kms_key", parse_key_version),
        safety: parse_safety(layers),
        workload_identity_provider: layers
            .parsed("workload_identity_provider", resource::parse_provider),
        service_account: layers.parsed("service_account", resource::parse_service_account),
        environment: Environment {
            name,
            github_environment,
            tier,
            approval,
        },
        refused: Vec::new(),
    };
    inputs.refused = layers.refused().to_vec();
    inputs
}

fn parse_safety(layers: &mut Layers<'_>) -> SafetyInputs {
    SafetyInputs {
        prevent_self_review: layers.switch("prevent_self_review"),
        reach: match layers.choice("reachable") {
            Some("assume") => Reach::Assume,
            _ => Reach::Check,
        },
        drift: match layers.choice("drift") {
            Some("error") => policy::Mode::Error,
            Some("off") => policy::Mode::Off,
            _ => policy::Mode::Warn,
        },
    }
}

fn parse_tier(name: &EnvironmentName, entry: &EnvironmentEntry, layers: &mut Layers<'_>) -> Tier {
    let by_name = match name.as_str() {
        "production" | "prod" => Tier::Production,
        _ => Tier::Preproduction,
    };
    let Some(given) = entry.keys.get("tier") else {
        return by_name;
    };
    match value::parse_choice(&given.value, &["production", "preproduction"]) {
        Ok("production") => Tier::Production,
        Ok(_) => Tier::Preproduction,
        Err(problem) => {
            layers.refuse("tier", given, problem);
            by_name
        }
    }
}

/// Tells a list without production: the last environment is called something else, as a rule, and is
/// left without an approval although users reach it. One whose tier is said is meant as it is, and the
/// default list has a production.
pub fn no_production(config: &Config, environments: &[EnvironmentInputs]) -> Option<Diagnostic> {
    let last = config.environments.as_ref()?.last()?;
    let name = last.keys.get("name")?.value.trim();
    let has_production = environments
        .iter()
        .any(|one| one.environment.tier == Tier::Production);
    if has_production || last.keys.contains_key("tier") {
        return None;
    }
    Some(
        Diagnostic::warning(
            Code::NoProduction,
            "no environment has the tier `production`: nobody is asked to approve, and no order of versions is kept",
        )
        .at(last.origin.to_string())
        .cause(format!(
            "without `tier`, only an environment named `production` or `prod` has it; the last one is `{name}`"
        ))
        .help(format!(
            "where users reach `{name}`, write `tier: production` into its entry"
        ))
        .help("where none of them is for users, write `tier: preproduction` into it, and this is not told again"),
    )
}

/// The entry's own service as it is; otherwise the base name and the environment's.
fn parse_service_name(
    name: &EnvironmentName,
    entry: &EnvironmentEntry,
    layers: &mut Layers<'_>,
) -> Option<ServiceName> {
    let own = entry.level.contains_key("service");
    let suffix = if name.as_str() == "production" {
        "prod"
    } else {
        name.as_str()
    };
    if own {
        let super::config::Said::Text(text) = &entry.level["service"].value else {
            return None;
        };
        let given = Given::new(
            text.trim().to_owned(),
            entry.level["service"].origin.clone(),
        );
        return match ServiceName::parse(given.value.clone()) {
            Ok(service) => Some(service),
            Err(error) => {
                layers.refuse("service", &given, from_name(error));
                None
            }
        };
    }
    layers.parsed("service", |base| {
        ServiceName::parse(format!("{base}-{suffix}")).map_err(|error| {
            if ServiceName::parse(base).is_ok() {
                ValueProblem::new(format!(
                    "gives `{}`, which is longer than 49 characters",
                    error.value
                ))
                .help("give the environment a shorter `service` of its own")
            } else {
                from_name(ServiceName::parse(base).err().unwrap_or(error))
            }
        })
    })
}

/// Each region once, in the order in which they are said.
fn parse_regions(layers: &mut Layers<'_>) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for region in layers.parsed_list("region", parse_region) {
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    regions
}

fn parse_region(text: &str) -> Result<Region, ValueProblem> {
    let region = Region::parse(text).map_err(from_name)?;
    // `us-central1-a` is a zone.
    if text.rsplit('-').next().is_some_and(|last| last.len() == 1) {
        let near = text.rsplit_once('-').map_or(text, |(region, _)| region);
        return Err(ValueProblem::new("must be a region, not a zone").help(format!("use `{near}`")));
    }
    Ok(region)
}

fn from_name(error: NameError) -> ValueProblem {
    let near = error
        .value
        .trim()
        .to_lowercase()
        .replace(['_', ' ', '.'], "-");
    let problem = ValueProblem::new(format!("must be a {} ({})", error.kind, error.rule));
    if near == error.value {
        problem
    } else {
        problem.help(format!("use `{near}`"))
    }
}

fn path(layers: &mut Layers<'_>, name: &'static str) -> String {
    layers
        .parsed(name, resource::parse_url_path)
        .unwrap_or_else(|| "/".to_owned())
}

fn mode(layers: &mut Layers<'_>, name: &'static str) -> Mode {
    match layers.choice(name) {
        Some("warn") => Mode::Warn,
        Some("off") => Mode::Off,
        _ => Mode::Require,
    }
}

fn parse_key_version(text: &str) -> Result<KeyVersion, ValueProblem> {
    KeyVersion::parse(text).map_err(|error| {
        let problem = ValueProblem::new(error.to_string());
        match error {
            KeyNameError::NoVersion => problem.help(format!(
                "use `{}/cryptoKeyVersions/1`",
                text.trim().trim_end_matches('/')
            )),
            KeyNameError::Form => problem,
        }
    })
}

/// `none` says that the API has no such path.
fn parse_optional_path(text: &str) -> Result<Option<String>, ValueProblem> {
    if text == "none" {
        return Ok(None);
    }
    resource::parse_url_path(text).map(Some)
}

/// Two environments on one service would undo each other.
fn check_distinct(
    environments: &[EnvironmentInputs],
    entries: &[EnvironmentEntry],
    problems: &mut Vec<Diagnostic>,
) {
    for (index, second) in environments.iter().enumerate() {
        let same = |first: &&EnvironmentInputs| {
            second.service.is_some()
                && first.service == second.service
                && first.project == second.project
                && first.regions.iter().any(|one| second.regions.contains(one))
        };
        if let Some(first) = environments[..index].iter().find(same) {
            let title = format!(
                "`{}` and `{}` are the same service",
                first.environment.name, second.environment.name
            );
            let at = entries
                .get(index)
                .map(|entry| entry.origin.to_string())
                .unwrap_or_default();
            problems.push(
                Diagnostic::error(Code::InputInvalid, title)
                    .at(at)
                    .help("give each environment a service, a project or a region of its own"),
            );
        }
    }
}
