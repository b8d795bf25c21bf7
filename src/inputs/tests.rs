//! From what was said to typed values: precedence, defaults, and every problem at once.

use std::collections::BTreeMap;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::EnvironmentName;
use delivery::spec::Access;
use delivery::target::{Approval, Tier};

use super::*;

fn read(inputs: &[(&str, &str)], file: Option<&str>) -> (Inputs, Vec<Diagnostic>) {
    let environment: BTreeMap<String, String> = inputs
        .iter()
        .map(|(name, value)| {
            (
                format!("INPUT_{}", name.to_uppercase()),
                (*value).to_owned(),
            )
        })
        .collect();
    let raw = RawInputs::gather(&BTreeMap::new(), &environment);
    let raw = match file {
        Some(text) => raw.with_config(Ok(text.to_owned())),
        None => raw,
    };
    parse_inputs(&raw)
}

fn good(inputs: &[(&str, &str)], file: Option<&str>) -> Inputs {
    let (inputs, problems) = read(inputs, file);
    assert_eq!(problems, [], "{problems:#?}");
    inputs
}

fn of<'a>(inputs: &'a Inputs, name: &str) -> &'a EnvironmentInputs {
    inputs
        .environment(&EnvironmentName::parse(name).unwrap())
        .unwrap()
}

#[test]
fn nothing_said_gives_the_documented_defaults() {
    let inputs = good(&[], None);
    assert_eq!(inputs.names(), ["dev", "test", "staging", "production"]);
    assert_eq!(inputs.branches, ["main"]);
    assert_eq!(inputs.deadline.as_secs(), 3600);
    assert_eq!(inputs.build.platform, "linux/amd64");
    let production = of(&inputs, "production");
    assert_eq!(production.environment.tier, Tier::Production);
    assert_eq!(production.environment.approval, Approval::Required);
    assert_eq!(production.regions[0].as_str(), "us-central1");
    assert_eq!(production.spec.access, Access::Private);
    assert_eq!(of(&inputs, "dev").environment.approval, Approval::None);
    assert!(
        inputs.github_token.is_none(),
        "a default that GitHub evaluates is no token here"
    );
}

#[test]
fn the_service_of_each_environment_follows_from_the_base_name() {
    let inputs = good(&[("service", "ml-api")], None);
    let names: Vec<_> = inputs
        .environments
        .iter()
        .map(|one| one.service.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(
        names,
        ["ml-api-dev", "ml-api-test", "ml-api-staging", "ml-api-prod"]
    );
}

#[test]
fn inputs_win_over_the_environment_and_that_over_the_top_level() {
    let file = "
service: ml-api
cpu: 1
memory: 1Gi
env_vars: {A: top, B: top, C: top}
environments:
  - name: dev
  - name: prod
    memory: 2Gi
    service: the-api
    project_id: project-prod
    env_vars:
      B: prod
      C: prod
    github_environment: Production EU
";
    let inputs = good(
        &[
            ("environment", "prod"),
            ("cpu", "2"),
            ("env_vars", "C=input"),
            ("service", "other"),
        ],
        Some(file),
    );
    let prod = of(&inputs, "prod");
    assert_eq!(prod.spec.cpu.as_deref(), Some("2"));
    assert_eq!(prod.spec.memory.as_deref(), Some("2Gi"));
    assert_eq!(prod.spec.env_vars["A"], "top");
    assert_eq!(prod.spec.env_vars["B"], "prod");
    assert_eq!(prod.spec.env_vars["C"], "input");
    assert_eq!(prod.service.as_ref().unwrap().as_str(), "the-api");
    assert_eq!(prod.environment.github_environment, "Production EU");
    assert_eq!(prod.environment.tier, Tier::Production);
    let dev = of(&inputs, "dev");
    assert_eq!(
        dev.spec.cpu.as_deref(),
        Some("1"),
        "inputs belong to the job's environment alone"
    );
    assert_eq!(dev.service.as_ref().unwrap().as_str(), "ml-api-dev");
}

/// What is told of a list of environments, as `title`, `at`, `cause` and `help`.
fn told_of(environments: &str) -> Vec<Diagnostic> {
    good(&[], Some(&format!("environments: {environments}"))).warnings
}

#[test]
fn a_list_without_production_is_told_with_the_last_environment_and_the_key() {
    let file = "environments:\n- dev\n- test\n- name: live\n  cpu: 2\n";
    let told = good(&[("environment", "dev")], Some(file)).warnings;
    let expected = Diagnostic::warning(
        Code::NoProduction,
        "no environment has the tier `production`: nobody is asked to approve, and no order of versions is kept",
    )
    .at(".github/ml-deploy.yml:4:3")
    .cause("without `tier`, only an environment named `production` or `prod` has it; the last one is `live`")
    .help("where users reach `live`, write `tier: production` into its entry")
    .help("where none of them is for users, write `tier: preproduction` into it, and this is not told again");
    assert_eq!(told, [expected]);
}

#[test]
fn production_by_name_or_by_tier_is_production_and_a_tier_that_is_said_is_meant() {
    assert_eq!(good(&[], None).warnings, []);
    for quiet in [
        "[dev, production]",
        "[prod, mirror]",
        "[dev, {name: live, tier: production}]",
        "[{name: live, tier: production}, mirror]",
        "[dev, {name: live, tier: preproduction}]",
        "[{name: sandbox, tier: preproduction}]",
    ] {
        assert_eq!(told_of(quiet), [], "{quiet}");
    }
    for told in [
        "[dev, live]",
        "[live]",
        "[{name: dev, tier: preproduction}, live]",
    ] {
        let codes: Vec<Code> = told_of(told).iter().map(|one| one.code).collect();
        assert_eq!(codes, [Code::NoProduction], "{told}");
    }
    // The name alone is not enough where the tier says something else.
    let both = "[dev, {name: production, tier: preproduction}, live]";
    assert_eq!(told_of(both)[0].code, Code::NoProduction);
}

#[test]
fn the_file_wins_over_what_other_tools_export() {
    let environment = BTreeMap::from([(
        "GOOGLE_CLOUD_PROJECT".to_owned(),
        "exported-project".to_owned(),
    )]);
    let raw = RawInputs::gather(&BTreeMap::new(), &environment);
    let (inputs, _) = parse_inputs(
        &raw.clone()
            .with_config(Ok("project_id: in-the-file".to_owned())),
    );
    assert_eq!(
        inputs.environments[0].project.as_ref().unwrap().as_str(),
        "in-the-file"
    );
    let (inputs, _) = parse_inputs(&raw);
    assert_eq!(
        inputs.environments[0].project.as_ref().unwrap().as_str(),
        "exported-project"
    );
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let file = "servce: x\nmemory: 512MB\nenvironments:\n  - name: dev\n    branches: x\n  - tier: production\n  - name: Bad_Name\n";
    let (_, problems) = read(
        &[
            ("cpu", "3"),
            ("env_vars", "PORT=1\nA=1\nA=2\nB"),
            ("environment", "devv"),
            ("regoin", "x"),
            ("access", "open"),
            ("secrets", "KEY=name"),
        ],
        Some(file),
    );
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            format!(
                "{} | {} | {}",
                problem.at.clone().unwrap_or_default(),
                problem.title,
                problem.help.join("; ")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    .github/ml-deploy.yml:1:1 | the key `servce` is not known | did you mean `service`?
    .github/ml-deploy.yml:5:5 | `branches` cannot be said here | move it to the top level of the file
    input `env_vars` | `env_vars`, line 4: `B` has no `=`: write `B=value` | write one `KEY=VALUE` a line
    input `env_vars` | `env_vars`, line 3: `A` is given twice | keep one of them
    input `env_vars` | `env_vars`: `PORT` is a variable that Cloud Run sets by itself | use the input `port`
    input `secrets` | `secrets`: `KEY` names no version of the secret | use `KEY=name:latest`
    input `cpu` | `cpu` must be 1, 2, 4, 6 or 8 CPUs, or 0.08 to 0.99 in steps of 0.01, not `3` | use `4`
    .github/ml-deploy.yml:2:9 | `memory` must be an amount from 128Mi to 32Gi, such as `512Mi` or `2Gi`, not `512MB` | use `512Mi`
    input `access` | `access` must be one of `public`, `private`, not `open` | use one of `public`, `private`
    .github/ml-deploy.yml:6:5 | an environment has no `name` | write `- name: staging`
    .github/ml-deploy.yml:7:11 | `Bad_Name` cannot name an environment: lower-case letters, digits and hyphens, starting with a letter, at most 30 characters | use `bad-name`
    input `environment` | `environment` must be one of the environments dev, not `devv` | did you mean `dev`?
    input `regoin` | the input `regoin` is not known | did you mean `region`?
    ");
}

#[test]
fn a_file_that_is_no_yaml_is_one_problem_with_its_place() {
    let (_, problems) = read(&[], Some("a: [1\nb: 2\n"));
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, Code::ConfigUnreadable);
    assert!(
        problems[0]
            .at
            .as_ref()
            .unwrap()
            .starts_with(".github/ml-deploy.yml:2:")
    );
}

#[test]
fn rules_between_settings() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[("cpu", "1"), ("memory", "8Gi")],
            "use `2`, or less memory",
        ),
        (
            &[("cpu", "2"), ("memory", "16Gi")],
            "use `4`, or less memory",
        ),
        (
            &[("cpu", "4"), ("memory", "1Gi")],
            "use `2Gi`, or fewer CPUs",
        ),
        (
            &[("cpu", "8"), ("memory", "2Gi")],
            "use `4Gi`, or fewer CPUs",
        ),
        (
            &[("cpu", "0.5"), ("concurrency", "80")],
            "use `1`, or `cpu: 1`",
        ),
        (&[("min_instances", "5"), ("max_instances", "2")], "use `2`"),
        (
            &[("env_vars", "K=1"), ("secrets", "K=name:1")],
            "keep one of them",
        ),
        (&[("env_vars", "my-key=1")], "use `my_key`"),
        (&[("env_vars", "ML_DEPLOY_COMMIT=1")], ""),
        (
            &[("secrets", "/a/b/x=one:1\n/a/b/y=two:1")],
            "use a directory of its own, such as `/a/b/two/value`",
        ),
        (&[("labels", "Team=ML")], "use `team=ml`"),
        (
            &[("service", "a23456789012345678901234567890123456789012345")],
            "give the environment a shorter `service` of its own",
        ),
        (&[("service", "ML_API")], "use `ml-api`"),
        (&[("region", "us-central1-a")], "use `us-central1`"),
        (&[("context", "../x")], ""),
        (&[("platform", "linux/arm64")], "use `linux/amd64`"),
        (
            &[("credentials_json", "not json")],
            "store the whole file in the secret",
        ),
        (
            &[("cloud_url", "localhost:80")],
            "use `http://localhost:80`",
        ),
    ];
    for (inputs, help) in table {
        let (_, problems) = read(inputs, None);
        assert!(!problems.is_empty(), "{inputs:?} was accepted");
        assert_eq!(
            problems[0].help.join("; "),
            *help,
            "{inputs:?}: {problems:#?}"
        );
    }
}

#[test]
fn texts_that_may_be_secret_are_not_repeated() {
    let (_, problems) = read(
        &[
            ("credentials_json", "hunter2-key"),
            ("env_vars", "PORT=hunter2\nhunter2/x"),
            ("secrets", "A=hunter2 x:1"),
        ],
        None,
    );
    assert!(problems.len() >= 4, "{problems:#?}");
    assert!(
        !format!("{problems:?}").contains("hunter2"),
        "{problems:#?}"
    );
}

#[test]
fn a_target_says_what_is_missing_and_where_it_can_be_said() {
    let inputs = good(&[], None);
    let problems = of(&inputs, "dev").target().unwrap_err();
    let titles: Vec<_> = problems
        .iter()
        .map(|problem| problem.title.as_str())
        .collect();
    assert_eq!(titles, ["`project_id` is missing", "`service` is missing"]);
    assert!(
        problems[0]
            .help
            .iter()
            .any(|line| line.contains("--project-id"))
    );
}

#[test]
fn two_environments_on_one_service_are_refused() {
    let (_, problems) = read(
        &[],
        Some("environments:\n - {name: a, service: x}\n - {name: b, service: x}\n - a\n"),
    );
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem.title == "`a` and `b` are the same service")
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.title == "the environment `a` is listed twice")
    );
}
