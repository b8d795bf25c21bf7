//! Cloud Run Admin API v2 resources.
//!
//! Source: the discovery document `run.v2` and
//! <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>.
//! 64-bit integers are JSON strings, durations are `"300s"`, timestamps RFC 3339.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Rest;

/// `TrafficTarget.type`: whichever revision is the latest ready one.
pub const TRAFFIC_LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
/// `TrafficTarget.type`: the named revision.
pub const TRAFFIC_REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// `Condition.state`: not yet looked at.
pub const CONDITION_PENDING: &str = "CONDITION_PENDING";
/// `Condition.state`: work goes on.
pub const CONDITION_RECONCILING: &str = "CONDITION_RECONCILING";
/// `Condition.state`: ended badly.
pub const CONDITION_FAILED: &str = "CONDITION_FAILED";
/// `Condition.state`: ended well.
pub const CONDITION_SUCCEEDED: &str = "CONDITION_SUCCEEDED";

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Service {
    /// `projects/P/locations/L/services/S`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Set by the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Counts each change of the specification (64-bit integer as a string).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generation: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations; the namespaces of Cloud Run and Knative are refused by v2.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub create_time: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub update_time: String,
    /// Name of the client that made the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `INGRESS_TRAFFIC_ALL` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<String>,
    /// What new revisions are made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<RevisionTemplate>,
    /// Wanted traffic; percents sum to 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficTarget>,
    /// True: anyone can call, whatever the IAM policy says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub invoker_iam_disabled: bool,
    /// True: neither the service nor its tags have an address of Cloud Run's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default_uri_disabled: bool,
    /// True: Identity-Aware Proxy asks every caller for a login first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub iap_enabled: bool,
    /// Generation that the status fields below belong to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_generation: String,
    /// The `Ready` condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_condition: Option<Condition>,
    /// The other conditions (`RoutesReady`, `ConfigurationsReady`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Full name of a revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub latest_ready_revision: String,
    /// Full name of a revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub latest_created_revision: String,
    /// Traffic as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic_statuses: Vec<TrafficTargetStatus>,
    /// The main address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// All addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// True while a change is under way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reconciling: bool,
    /// Opaque; sent back in a write, it refuses the write when somebody else wrote in between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What revisions are made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RevisionTemplate {
    /// Name of the revision to make; the server composes one where it is absent. A name that is
    /// echoed with another configuration is refused (409).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Labels of the revision.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the revision.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Instances per revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<RevisionScaling>,
    /// Longest duration of one request, such as `300s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// E-mail of the run-time service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Containers; one of them has a port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
    /// Volumes (secrets mounted as files are among them).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Requests at once per instance, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_request_concurrency: Option<u32>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Instances per revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RevisionScaling {
    /// Instances that are kept although idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_instance_count: Option<u32>,
    /// Most instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_count: Option<u32>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Name; optional with a single container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Image, by tag or digest.
    pub image: String,
    /// Overrides the image's entry point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Overrides the image's arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// The one port that takes requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ContainerPort>,
    /// Where volumes appear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Decides when the container has started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One environment variable: a value, or a secret's version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Plain value, at most 32,768 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Value from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_source: Option<EnvVarSource>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvVarSource {
    /// Secret Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeySelector>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A secret's version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// `name` or `projects/P/secrets/name`.
    pub secret: String,
    /// `latest`, a number or an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// `cpu`, `memory`, `nvidia.com/gpu`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// True: CPU only during requests. Must be said whenever `resources` is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_idle: Option<bool>,
    /// More CPU while starting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_cpu_boost: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerPort {
    /// `http1` or `h2c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 1 to 65535.
    pub container_port: u16,
}

/// A mounted volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeMount {
    /// Name of the volume.
    pub name: String,
    /// Absolute path.
    pub mount_path: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// Name.
    pub name: String,
    /// A secret as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVolumeSource>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A secret as files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretVolumeSource {
    /// Secret.
    pub secret: String,
    /// Which versions appear under which file names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<VersionToPath>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One version of a secret as one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VersionToPath {
    /// File name, relative to the mount.
    pub path: String,
    /// `latest`, a number or an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A probe; one of `http_get` and `tcp_socket` (and `grpc`, kept in `rest`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Probe {
    /// Seconds, at most 240 for a startup probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay_seconds: Option<u32>,
    /// Seconds, 1 to 3600, not above the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Seconds, default 10, at most 240 for a startup probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_seconds: Option<u32>,
    /// Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<u32>,
    /// Asks a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGetAction>,
    /// Opens a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocketAction>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Asks a path; an answer from 200 to 399 passes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpGetAction {
    /// Path, default `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Port, default the container's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Opens a connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpSocketAction {
    /// Port, default the container's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Wanted traffic of one revision or tag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrafficTarget {
    /// [`TRAFFIC_LATEST`] or [`TRAFFIC_REVISION`].
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// SHORT name of the revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// 0 to 100; absent means 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub percent: u32,
    /// Gives the revision an address of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

/// Traffic of one revision or tag as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrafficTargetStatus {
    /// [`TRAFFIC_LATEST`] or [`TRAFFIC_REVISION`].
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// SHORT name of the revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// 0 to 100; absent means 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub percent: u32,
    /// The tag, if any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The tag's own address, if any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A condition of a service or revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `RoutesReady`, `ContainerHealthy`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// One of the `CONDITION_…` constants.
    pub state: String,
    /// Text for the developer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_transition_time: String,
    /// `ERROR` (also when absent), `WARNING`, `INFO`; only the first counts as a failure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// Common reason, such as `CONTAINER_MISSING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Reason of a revision, such as `HEALTH_CHECK_CONTAINER_ERROR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_reason: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Revision {
    /// `projects/P/locations/L/services/S/revisions/R`.
    pub name: String,
    /// Set by the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// 64-bit integer as a string.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generation: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub create_time: String,
    /// SHORT name of the service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<RevisionScaling>,
    /// Longest duration of one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Run-time service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Containers, images resolved to digests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
    /// Volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Requests at once per instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_request_concurrency: Option<u32>,
    /// `Ready`, `Active`, `ContainerHealthy`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// 64-bit integer as a string.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_generation: String,
    /// Where the logs are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log_uri: String,
    /// True while a change is under way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reconciling: bool,
    /// Opaque.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One page of services.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListServicesResponse {
    /// Newest first.
    pub services: Vec<Service>,
    /// Empty on the last page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next_page_token: String,
}

/// One page of revisions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListRevisionsResponse {
    /// Newest first.
    pub revisions: Vec<Revision>,
    /// Empty on the last page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next_page_token: String,
}

/// An IAM policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// 1 or 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Who has which role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    /// Base64; guards a write.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// One role and its members.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Binding {
    /// `roles/run.invoker` and others.
    pub role: String,
    /// `allUsers`, `serviceAccount:…`, …
    pub members: Vec<String>,
    /// Everything else, conditions among it.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The body of `:setIamPolicy`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetIamPolicyRequest {
    /// The whole new policy.
    pub policy: Policy,
}
