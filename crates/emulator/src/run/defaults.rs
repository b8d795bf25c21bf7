//! What the server writes into a service where the caller left a gap.

use cloud_api::run::{TRAFFIC_LATEST, TRAFFIC_REVISION};
use serde_json::{Map, Value, json};

use super::key::{ServiceKey, project_number};
use super::quantity::cpu_millis;

/// Port of a container that names none.
pub(crate) const DEFAULT_PORT: u64 = 8080;
/// Seconds that the default startup probe (a TCP connection) waits for the container.
pub(crate) const DEFAULT_PROBE_SECONDS: u64 = 240;

/// Fills the gaps of a service's writable fields.
pub(crate) fn fill(key: &ServiceKey, spec: &mut Map<String, Value>) {
    spec.entry("launchStage").or_insert_with(|| json!("GA"));
    spec.entry("ingress")
        .or_insert_with(|| json!("INGRESS_TRAFFIC_ALL"));
    fill_traffic(spec);
    if let Some(Value::Object(template)) = spec.get_mut("template") {
        fill_template(key, template);
    }
}

/// Without an entry all traffic goes to the latest ready revision, and that is written down.
fn fill_traffic(spec: &mut Map<String, Value>) {
    let traffic = spec.entry("traffic").or_insert_with(|| json!([]));
    let Some(targets) = traffic.as_array_mut() else {
        return;
    };
    if targets.is_empty() {
        targets.push(json!({"type": TRAFFIC_LATEST, "percent": 100}));
    }
    for target in targets.iter_mut().filter_map(Value::as_object_mut) {
        let named = target.contains_key("revision");
        target.entry("type").or_insert_with(|| {
            json!(if named {
                TRAFFIC_REVISION
            } else {
                TRAFFIC_LATEST
            })
        });
        if target.get("percent") == Some(&json!(0)) {
            target.remove("percent");
        }
    }
}

fn fill_template(key: &ServiceKey, template: &mut Map<String, Value>) {
    if template.get("revision") == Some(&json!("")) {
        template.remove("revision");
    }
    template.entry("timeout").or_insert_with(|| json!("300s"));
    template.entry("serviceAccount").or_insert_with(|| {
        json!(format!(
            "{}-compute@developer.gserviceaccount.com",
            project_number(&key.project)
        ))
    });
    if let Value::Object(scaling) = template.entry("scaling").or_insert_with(|| json!({})) {
        scaling
            .entry("maxInstanceCount")
            .or_insert_with(|| json!(100));
    }
    let mut slow_cpu = false;
    if let Some(Value::Array(containers)) = template.get_mut("containers") {
        for (index, container) in containers.iter_mut().enumerate() {
            if let Value::Object(container) = container {
                fill_container(index, container);
                slow_cpu |= cpu_of(container).is_some_and(|millis| millis < 1000);
            }
        }
    }
    let concurrency = template
        .entry("maxInstanceRequestConcurrency")
        .or_insert_with(|| json!(0));
    if *concurrency == json!(0) {
        *concurrency = json!(if slow_cpu { 1 } else { 80 });
    }
}

fn cpu_of(container: &Map<String, Value>) -> Option<u64> {
    let limits = container.get("resources")?.get("limits")?;
    cpu_millis(limits.get("cpu")?.as_str()?)
}

fn fill_container(index: usize, container: &mut Map<String, Value>) {
    let named = container
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.is_empty());
    if !named {
        let image = container
            .get("image")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let name = format!("{}-{}", last_segment(image), index + 1);
        container.insert("name".to_owned(), json!(name));
    }
    let resources = container
        .entry("resources")
        .or_insert_with(|| json!({"cpuIdle": true}));
    if let Value::Object(resources) = resources
        && let Value::Object(limits) = resources.entry("limits").or_insert_with(|| json!({}))
    {
        limits.entry("cpu").or_insert_with(|| json!("1"));
        limits.entry("memory").or_insert_with(|| json!("512Mi"));
    }
    if container.get("ports") == Some(&json!([])) {
        container.remove("ports");
    }
    let ports = container
        .entry("ports")
        .or_insert_with(|| json!([{"containerPort": DEFAULT_PORT}]));
    if let Some(Value::Object(port)) = ports.get_mut(0) {
        port.entry("name").or_insert_with(|| json!("http1"));
        port.entry("containerPort")
            .or_insert_with(|| json!(DEFAULT_PORT));
    }
    let port = ports[0]["containerPort"].clone();
    fill_probe(container, &port);
}

/// The default probe follows the container's port; a configured one keeps what it says.
fn fill_probe(container: &mut Map<String, Value>, port: &Value) {
    let default = default_probe(port);
    let probe = container
        .entry("startupProbe")
        .or_insert_with(|| default.clone());
    if is_default_probe(probe) {
        *probe = default;
        return;
    }
    let Value::Object(probe) = probe else {
        return;
    };
    probe.entry("timeoutSeconds").or_insert_with(|| json!(1));
    probe.entry("periodSeconds").or_insert_with(|| json!(10));
    probe.entry("failureThreshold").or_insert_with(|| json!(3));
    if let Some(Value::Object(get)) = probe.get_mut("httpGet") {
        get.entry("path").or_insert_with(|| json!("/"));
        get.entry("port").or_insert_with(|| port.clone());
    } else if !probe.contains_key("grpc")
        && let Value::Object(socket) = probe.entry("tcpSocket").or_insert_with(|| json!({}))
    {
        socket.entry("port").or_insert_with(|| port.clone());
    }
}

fn default_probe(port: &Value) -> Value {
    json!({"timeoutSeconds": DEFAULT_PROBE_SECONDS, "periodSeconds": DEFAULT_PROBE_SECONDS,
        "failureThreshold": 1, "tcpSocket": {"port": port}})
}

/// True for the probe that the server itself writes, whatever its port.
pub(crate) fn is_default_probe(probe: &Value) -> bool {
    let port = &probe["tcpSocket"]["port"];
    !port.is_null() && *probe == default_probe(port)
}

/// `i` in `REGION-docker.pkg.dev/p/r/i:latest`.
fn last_segment(image: &str) -> &str {
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(spec: Value) -> Value {
        let Value::Object(mut spec) = spec else {
            panic!("no object");
        };
        fill(&ServiceKey::new("demo", "us-central1", "hello"), &mut spec);
        Value::Object(spec)
    }

    #[test]
    fn a_bare_container_gets_the_documented_defaults() {
        let spec = filled(
            json!({"template": {"containers": [{"image": "us-docker.pkg.dev/p/r/api:v1"}]}}),
        );
        assert_eq!(
            spec["traffic"],
            json!([{"type": TRAFFIC_LATEST, "percent": 100}])
        );
        let template = &spec["template"];
        assert_eq!(template["timeout"], "300s");
        assert_eq!(template["maxInstanceRequestConcurrency"], 80);
        assert_eq!(
            template["containers"][0],
            json!({"name": "api-1", "image": "us-docker.pkg.dev/p/r/api:v1",
                "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "cpuIdle": true},
                "ports": [{"name": "http1", "containerPort": 8080}],
                "startupProbe": {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {"port": 8080}}})
        );
    }

    #[test]
    fn filling_twice_changes_nothing() {
        let once = filled(
            json!({"template": {"containers": [{"image": "i", "startupProbe": {"httpGet": {}}}]}}),
        );
        assert_eq!(filled(once.clone()), once);
    }

    #[test]
    fn the_default_probe_follows_the_port_and_less_cpu_means_one_request() {
        let mut spec = filled(
            json!({"template": {"containers": [{"image": "i", "resources": {"limits": {"cpu": "0.5"}}}]}}),
        );
        assert_eq!(spec["template"]["maxInstanceRequestConcurrency"], 1);
        assert!(
            spec["template"]["containers"][0]["resources"]
                .get("cpuIdle")
                .is_none()
        );
        spec["template"]["containers"][0]["ports"][0]["containerPort"] = json!(9000);
        let spec = filled(spec);
        assert_eq!(
            spec["template"]["containers"][0]["startupProbe"]["tcpSocket"]["port"],
            9000
        );
    }
}
