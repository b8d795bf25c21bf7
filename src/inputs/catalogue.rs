//! Every input, once. `action.yml`, the reference, the flags, the schema of the configuration file
//! and the parser all follow from this list.

use super::table::Section::{Build, Identity, Limits, Policies, Safety, Service, Target, Tests};
use super::table::{InputSpec, Kind};

/// Longest value that Cloud Run takes for a request timeout, in seconds (its documented limit).
pub const LONGEST_REQUEST_SECONDS: u64 = 3600;
/// Most requests at once per instance (Cloud Run's documented limit).
pub const MOST_CONCURRENCY: u64 = 1000;
/// Where the configuration file is looked for.
pub const DEFAULT_CONFIG: &str = ".github/ml-deploy.yml";
/// Longest deadline of a run in minutes: GitHub ends a job after 360.
pub const LONGEST_DEADLINE_MINUTES: u64 = 350;
/// Most instances that can be asked for; the quota of the region decides below that.
pub const MOST_INSTANCES: u64 = 1000;

/// Highest rate of a load: beyond it, one machine measures itself.
pub const MOST_LOAD_RATE: u64 = 10_000;
/// Largest budget of an image's size: what Cloud Run takes is not limited, what a start can wait for is.
pub const MOST_MEGABYTES: u64 = 100_000;
/// What a policy does to the run.
const MODE: Kind = Kind::Choice(&["error", "warn", "off"]);

/// Every input.
pub const INPUTS: &[InputSpec] = &[
    InputSpec::new(Target, "command", Kind::Choice(&["auto", "deploy", "promote", "plan", "status"]), "plan",
        "What to do. `auto` follows from the event: a pull request builds and tests, a push to a \
         configured branch deploys to the first environment, a version tag promotes. `deploy` ends \
         when the candidate has passed, without traffic, and gives its `candidate_url`; `promote`, \
         later in the same job, gives that candidate the traffic. `plan` shows \
         what `auto` would do and writes nothing. `status` shows what serves.")
        .default("auto"),
    InputSpec::new(Target, "environment", Kind::Text, "staging",
        "The environment that this job deploys to: a name from the list of environments \
         (dev, test, staging and production unless the configuration file says otherwise). \
         A push to a branch goes to the first one without being told; a version tag needs it.")
        .variables(&["ML_DEPLOY_ENVIRONMENT"]),
    InputSpec::new(Target, "service", Kind::Text, "ml-api",
        "Base name of the Cloud Run service. Each environment appends its own name: `ml-api` is \
         `ml-api-dev`, `ml-api-test`, `ml-api-staging` and `ml-api-prod`. An environment whose entry \
         in the configuration file has a `service` of its own uses that one, as it is.")
        .per_environment(),
    InputSpec::new(Target, "image", Kind::Text, "us-central1-docker.pkg.dev/my-project/ml/ml-api",
        "Repository of the image in Artifact Registry, without tag and digest. Tags follow from the \
         commit and the version; what is deployed is always a digest. An environment may have a repository \
         of its own: image and evidence are then copied into it, by digest, from that of the environment before.")
        .per_environment(),
    InputSpec::new(Target, "project_id", Kind::Text, "my-project",
        "The Google Cloud project of the service.")
        .per_environment()
        .variables(&["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "GCLOUD_PROJECT"]),
    InputSpec::new(Target, "region", Kind::List, "europe-west1, us-central1",
        "The region of the service, or several: candidates are tested everywhere first, then traffic moves; \
         if one region fails, all go back.")
        .default("us-central1")
        .per_environment(),
    InputSpec::new(Target, "config", Kind::Text, DEFAULT_CONFIG,
        "The configuration file. It may be absent when it is at its default place.")
        .default(DEFAULT_CONFIG)
        .variables(&["ML_DEPLOY_CONFIG"]),
    InputSpec::new(Target, "branches", Kind::List, "main",
        "Branches whose pushes are built and deployed to the first environment.")
        .default("main")
        .in_file(),
    InputSpec::new(Target, "rollback_to", Kind::Text, "previous",
        "Move traffic back instead of deploying: `previous` (the last revision that was healthy \
         before the one that serves), a version such as `v1.2.3`, or the name of a revision."),

    InputSpec::new(Service, "env_vars", Kind::Pairs, "LOG_LEVEL=info",
        "Environment variables of the service, one `KEY=VALUE` a line. On a single line a comma \
         separates where every part begins with `KEY=`, and `\\,` is a comma. JSON and spaces are kept. \
         A value of several lines is written `KEY<<END`, its lines, `END`.")
        .per_environment(),
    InputSpec::new(Service, "env_vars_update_strategy", Kind::Choice(&["merge", "overwrite"]), "overwrite",
        "`merge` adds to the variables that the service has; `overwrite` removes those that are not named.")
        .default("merge")
        .per_environment(),
    InputSpec::new(Service, "secrets", Kind::Secrets, "API_KEY=api-key:latest",
        "Secrets from Secret Manager, one a line: `KEY=name:version` for an environment variable, \
         `/path/to/file=name:version` for a file.")
        .per_environment(),
    InputSpec::new(Service, "secrets_update_strategy", Kind::Choice(&["merge", "overwrite"]), "overwrite",
        "As `env_vars_update_strategy`, for secrets.")
        .default("merge")
        .per_environment(),
    InputSpec::new(Service, "labels", Kind::Pairs, "team=ml",
        "Labels of the service and its revisions, `key=value`.")
        .per_environment(),
    InputSpec::new(Service, "cpu", Kind::Cpu, "1", "CPUs of one instance. Unless said, as the service has it; Cloud Run begins with 1.")
        .per_environment(),
    InputSpec::new(Service, "memory", Kind::Memory, "1Gi",
        "Memory of one instance. Unless said, as the service has it; Cloud Run begins with 512Mi.")
        .per_environment(),
    InputSpec::new(Service, "port", Kind::Number { least: 1, most: 65535, unit: "(a port)" }, "8080",
        "The port that the container listens on; it is told in `PORT`. Cloud Run begins with 8080.")
        .per_environment(),
    InputSpec::new(Service, "concurrency", Kind::Number { least: 1, most: MOST_CONCURRENCY, unit: "requests" }, "20",
        "Requests that one instance works on at once. With less than 1 CPU it must be 1.")
        .per_environment(),
    InputSpec::new(Service, "min_instances", Kind::Number { least: 0, most: MOST_INSTANCES, unit: "instances" }, "1",
        "Instances that are kept although idle. 0 saves money, and a cold model costs its first caller seconds.")
        .per_environment(),
    InputSpec::new(Service, "max_instances", Kind::Number { least: 1, most: MOST_INSTANCES, unit: "instances" }, "10",
        "Most instances at once.")
        .per_environment(),
    InputSpec::new(Service, "timeout", Kind::Number { least: 1, most: LONGEST_REQUEST_SECONDS, unit: "seconds" }, "60",
        "Longest duration of one request, in seconds. How long the run may take is `deadline`.")
        .per_environment(),
    InputSpec::new(Service, "runtime_service_account", Kind::Text, "ml-api@my-project.iam.gserviceaccount.com",
        "The service account that the container runs as.")
        .per_environment(),
    InputSpec::new(Service, "startup_probe", Kind::Probe, "http:/health period=5 failure_threshold=24",
        "Decides when the container has started: `tcp` or `http:/path`, then any of `initial_delay=`, \
         `period=`, `timeout=` (seconds, at most 240) and `failure_threshold=`.")
        .per_environment(),
    InputSpec::new(Service, "access", Kind::Choice(&["public", "private"]), "public",
        "Who may call the service: everybody, or callers with an ID token and the invoker role. It holds for \
         each promotion: to leave it out closes a service that was public, which the plan shows and warns of (D0226).")
        .default("private")
        .per_environment(),

    InputSpec::new(Build, "context", Kind::Text, "examples/ml-api", "Directory that is sent to the Docker engine.")
        .default(".")
        .in_file(),
    InputSpec::new(Build, "file", Kind::Text, "docker/Dockerfile",
        "The Dockerfile, relative to the repository. Unless said: `Dockerfile` in `context`.")
        .in_file(),
    InputSpec::new(Build, "target", Kind::Text, "runtime", "The stage of the Dockerfile to build. Unless said: the last one.")
        .in_file(),
    InputSpec::new(Build, "build_args", Kind::Pairs, "PYTHON=3.13", "Arguments of the Dockerfile, `NAME=value`, one a line.")
        .in_file(),
    InputSpec::new(Build, "platform", Kind::Text, "linux/amd64", "The platform to build for. Cloud Run runs linux/amd64.")
        .default("linux/amd64")
        .in_file(),
    InputSpec::new(Build, "cache_from", Kind::List, "us-central1-docker.pkg.dev/my-project/ml/ml-api:cache",
        "Images whose layers may be used again, one a line.")
        .in_file(),
    InputSpec::new(Build, "no_cache", Kind::Switch, "true", "Build every layer anew.").default("false").in_file(),
    InputSpec::new(Build, "build_on_tag", Kind::Switch, "true",
        "Build when a version tag's commit has no image yet. The new image then begins at the first environment.")
        .default("false")
        .in_file(),
    InputSpec::new(Build, "wait_for_build", Kind::Number { least: 0, most: 120, unit: "minutes" }, "15",
        "How long a version tag waits for the image of its commit, in minutes: the branch's build may be under way.")
        .default("15")
        .in_file(),

    InputSpec::new(Policies, "policy_pins", MODE, "warn",
        "Every Python dependency is pinned to one version: requirements files and what they include, `pip install` \
         in the Dockerfile, `pyproject.toml` without a lock file, conda's `environment.yml`. `error` stops before the build, `warn` tells, `off` does not look.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "policy_dockerfile", MODE, "warn",
        "The Dockerfile has several stages, ends as a user who is not root, and lets pip keep no cache.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "policy_base_pinned", MODE, "warn",
        "Every image that the Dockerfile builds on or copies from is named as exactly as `base_pin` says.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "base_pin", Kind::Choice(&["tag", "digest"]), "digest",
        "How exactly: by a tag that names a version (or a digest), or by digest alone.")
        .default("tag")
        .in_file(),
    InputSpec::new(Policies, "policy_image_user", MODE, "warn",
        "The built image runs as a user who is in its `/etc/passwd` and is not root.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "policy_image_size", MODE, "warn",
        "The built image is not larger than `image_size_budget`.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "image_size_budget", Kind::Number { least: 1, most: MOST_MEGABYTES, unit: "MB" }, "400",
        "Largest size of the image in MB (1,000,000 bytes): the sum of its layers, uncompressed, as `docker images` shows it.")
        .default("250")
        .in_file(),
    InputSpec::new(Policies, "policy_image_contents", MODE, "warn",
        "The built image holds no build tools, no caches and lists of package managers, and no tests of the application.")
        .default("error")
        .in_file(),
    InputSpec::new(Policies, "policy_secrets", MODE, "warn",
        "No credential is in the build context, in the Dockerfile, or in the image: its layers (what a later layer deletes \
         too), variables, history and labels.")
        .default("error")
        .in_file(),

    InputSpec::new(Tests, "tests", Kind::List, "tests/*.yaml",
        "The API test files, or patterns of them: requests and the answers that are expected, with \
         tolerances, scenarios and golden predictions (docs/tests.md). Unless said, only `health_path` and `version_path` are asked.")
        .per_environment(),
    InputSpec::new(Tests, "health_path", Kind::Text, "/health", "A path that answers 200 when the service is well.")
        .default("/health")
        .per_environment(),
    InputSpec::new(Tests, "version_path", Kind::Text, "/version",
        "A path that answers JSON with `version` and `commit`, so that what answers can be told from what should. \
         `none` when the API has no such path.")
        .default("/version")
        .per_environment(),

    InputSpec::new(Tests, "openapi_path", Kind::Text, "/openapi.json",
        "A path that answers the API's OpenAPI 3 document, for `semver_gate` and `conformance`. `none` when \
         there is none; nothing is asked then.")
        .default("/openapi.json")
        .per_environment(),
    InputSpec::new(Tests, "semver_gate", Kind::Choice(&["require", "warn", "off"]), "warn",
        "Compares the candidate's OpenAPI document with that of what serves. A breaking change needs a new MAJOR \
         version, an addition a new MINOR one. `require` stops the release, `warn` tells, `off` does not compare.")
        .default("require")
        .per_environment(),
    InputSpec::new(Tests, "conformance", Kind::Choice(&["require", "warn", "off"]), "require",
        "Sends requests that the candidate's OpenAPI document allows, and some that it forbids, and holds the answers \
         against it. Every operation but DELETE is called, so it is off unless asked for.")
        .default("off")
        .per_environment(),
    InputSpec::new(Tests, "model_version", Kind::Text, "iris-20f4eb650e",
        "What `version_path` must answer as `model_version`, so that a healthy API with the wrong model is \
         stopped. Unless said, it is not looked at.")
        .per_environment(),
    InputSpec::new(Tests, "junit", Kind::Text, "reports/ml-deploy.xml",
        "A file for the results of all gates as JUnit XML, relative to the workspace."),
    InputSpec::new(Tests, "results", Kind::Text, "reports/ml-deploy.json",
        "A file for the results of all gates as JSON, relative to the workspace."),

    InputSpec::new(Limits, "slo_p95", Kind::Duration, "200ms",
        "95 of 100 answers come within this time, under `load_rate`. A load is sent only when this, `slo_p99` or \
         `max_error_rate` is said (docs/gates.md).")
        .per_environment(),
    InputSpec::new(Limits, "slo_p99", Kind::Duration, "500ms", "99 of 100 answers come within this time, under `load_rate`.")
        .per_environment(),
    InputSpec::new(Limits, "max_error_rate", Kind::Share, "1%",
        "Part of the load's requests that may have no right answer. Where one of the times is said and this is not: `1%`.")
        .per_environment(),
    InputSpec::new(Limits, "load_rate", Kind::Number { least: 1, most: MOST_LOAD_RATE, unit: "requests a second" }, "50",
        "Requests that the load sends each second, whatever the answers do.")
        .default("20")
        .per_environment(),
    InputSpec::new(Limits, "load_duration", Kind::Duration, "60s", "How long the load is measured, after a warm-up of 3 s.")
        .default("30s")
        .per_environment(),
    InputSpec::new(Limits, "load_request", Kind::List, "predicts setosa",
        "Names of the test cases that the load sends, in turn. Unless said: every case of one request.")
        .per_environment(),
    InputSpec::new(Limits, "max_cold_start", Kind::Duration, "10s",
        "Longest time to the candidate's first right answer, measured before anything else is asked of it.")
        .per_environment(),
    InputSpec::new(Limits, "replay", Kind::Switch, "true",
        "Sends the inputs of `tests` to the candidate and to what serves, and compares what they predict (docs/gates.md).")
        .default("false")
        .per_environment(),
    InputSpec::new(Limits, "max_flip_rate", Kind::Share, "2%",
        "Part of the replayed inputs for which a label may change. Unless said: `5%`, which takes at least 73 inputs to show.")
        .per_environment(),
    InputSpec::new(Limits, "max_prediction_delta", Kind::Decimal, "0.2",
        "Largest difference of any number that both predict for the same input. Unless said, it is told and judges nothing.")
        .per_environment(),
    InputSpec::new(Limits, "max_psi", Kind::Decimal, "0.25",
        "Largest population stability index of any output. Unless said, it is told and judges nothing.")
        .per_environment(),
    InputSpec::new(Limits, "max_latency_ratio", Kind::Decimal, "1.5",
        "Largest ratio of the candidate's p50 and p95 to those of what serves. Unless said, it is told and judges nothing.")
        .per_environment(),
    InputSpec::new(Limits, "replay_ignore", Kind::List, "/model_version",
        "Outputs that the replay does not compare, as JSON pointers; `*` stands for any key or index.")
        .per_environment(),

    InputSpec::new(Limits, "traffic_steps", Kind::List, "5,25,50,100",
        "Percents of the traffic that a release which passed its tests gets one after the other. Each below 100 is \
         watched for `soak` under own load of `load_rate`, beside what serves (docs/canary.md). Unless said, it gets \
         everything at once.")
        .default("100")
        .per_environment(),
    InputSpec::new(Limits, "soak", Kind::Duration, "5m", "How long each share of `traffic_steps` below 100 is watched.")
        .default("2m")
        .per_environment(),
    InputSpec::new(Limits, "on_inconclusive", Kind::Choice(&["fail", "hold", "proceed"]), "hold",
        "What is done when a watch had too few requests to decide: `fail` moves traffic back, `hold` watches again (at \
         most 3 times, all of it counts) and then moves back, `proceed` goes on with a warning.")
        .default("fail")
        .per_environment(),
    InputSpec::new(Limits, "canary_latency_ratio", Kind::Decimal, "1.2",
        "Most that the p50, p95 and p99 of a candidate with a share of the traffic may be over those of what serves, in \
         the same window. Times below 10 ms count as 10 ms.")
        .default("1.5")
        .per_environment(),
    InputSpec::new(Limits, "canary_error_delta", Kind::Share, "0.5%",
        "Most that its error rate may be above that of what serves, in the same window.")
        .default("1%")
        .per_environment(),

    InputSpec::new(Safety, "approval", Kind::Choice(&["required", "external", "none"]), "external",
        "Who approves. `required`: the GitHub environment must have required reviewers, and it is checked. \
         `external`: something outside GitHub. `none`: nobody. Unless said: `required` for production, \
         `none` for the others.")
        .per_environment(),
    InputSpec::new(Safety, "evidence", Kind::Choice(&["require", "warn", "off"]), "warn",
        "Whether a release must have evidence, attached to its image, that it passed the environment before this \
         one (docs/evidence.md). `require` stops it without, `warn` goes on and says so, `off` neither asks for \
         evidence nor attaches any.")
        .default("require")
        .per_environment(),
    InputSpec::new(Safety, "evidence_kms_key", Kind::Text,
        "projects/my-project/locations/europe-west1/keyRings/deploy/cryptoKeys/staging/cryptoKeyVersions/1",
        "The Cloud KMS key that signs this environment's evidence, with its version. The environment after it \
         verifies with it, so it belongs into the configuration file. Unless said, the evidence is unsigned, \
         and whoever may push to the repository could have written it.")
        .per_environment(),
    InputSpec::new(Safety, "prevent_self_review", Kind::Switch, "true",
        "With `approval: required`: who starts a run must not be able to approve it. The GitHub environment has to \
         prevent self-review, and it is checked.")
        .default("false")
        .per_environment(),
    InputSpec::new(Safety, "reachable", Kind::Choice(&["check", "assume"]), "assume",
        "Whether the runner can call the service. `check`: a service with limited ingress that does not answer the \
         runner, without its default URL or behind Identity-Aware Proxy is refused before anything is deployed, for its \
         candidate could not be tested. `assume`: the runner is inside; the tests decide.")
        .default("check")
        .per_environment(),
    InputSpec::new(Safety, "drift", Kind::Choice(&["warn", "error", "off"]), "error",
        "What it does to a promotion to production when the environment before has variables or secrets that \
         production would not have. Names are compared, never values. `off` does not look.")
        .default("warn")
        .per_environment(),
    InputSpec::new(Safety, "retry_rejected", Kind::Switch, "true", "Promote a digest again that was rolled back in this environment.")
        .default("false"),
    InputSpec::new(Safety, "deadline", Kind::Number { least: 1, most: LONGEST_DEADLINE_MINUTES, unit: "minutes" }, "30",
        "Longest duration of the run, in minutes. What is not done by then is undone.")
        .default("60")
        .in_file(),

    InputSpec::new(Identity, "workload_identity_provider", Kind::Text,
        "projects/123456789/locations/global/workloadIdentityPools/github/providers/my-repo",
        "The workload identity provider that trusts this repository. Needs `permissions: id-token: write`.")
        .per_environment(),
    InputSpec::new(Identity, "service_account", Kind::Text, "deployer@my-project.iam.gserviceaccount.com",
        "The service account to act as. What the container runs as is `runtime_service_account`.")
        .per_environment(),
    InputSpec::new(Identity, "credentials_json", Kind::Sensitive, "${{ secrets.GCP_KEY }}",
        "A service account key. Workload identity is better: a key can leak, and does not end."),
    InputSpec::new(Identity, "github_token", Kind::Sensitive, "${{ github.token }}",
        "Token to read the environment's rules and approvals. Needs `permissions: actions: read`.")
        .default("${{ github.token }}")
        .variables(&["GITHUB_TOKEN"]),
    InputSpec::new(Identity, "cloud_url", Kind::Text, "http://127.0.0.1:8085",
        "A local cloud (`ml-deploy emulator`) that stands in for every Google API. Loopback and private addresses only.")
        .variables(&["ML_DEPLOY_CLOUD_URL"]),
];

/// The input of this name.
pub fn find(name: &str) -> Option<&'static InputSpec> {
    INPUTS.iter().find(|spec| spec.name == name)
}

/// Keys of an entry of `environments:` that are no inputs, and what they mean.
pub const ENVIRONMENT_KEYS: &[(&str, &str)] = &[
    ("name", "Name of the environment."),
    (
        "github_environment",
        "The GitHub environment that its job runs in. Unless said: its name.",
    ),
    (
        "tier",
        "`production` for the environment that users reach; `preproduction` for the others. \
              Unless said: `production` for an environment named `production` or `prod`. A list without \
              production asks nobody for an approval and keeps no order of versions: each run tells that (D0218) \
              until the last environment has a `tier` of its own, whichever it is.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_documented() {
        let names: BTreeSet<_> = INPUTS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), INPUTS.len());
        for spec in INPUTS {
            assert!(spec.doc.ends_with('.'), "{}: {}", spec.name, spec.doc);
            assert!(
                spec.name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            );
        }
    }
}
