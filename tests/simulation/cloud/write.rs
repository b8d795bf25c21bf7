//! Creating and changing the service.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::api::{HttpAnswer, error};
use super::{
    Cloud, Condition, Event, Operation, Readiness, Revision, SERVICE, Service, Target, To,
};

/// Longest tag and service name together.
const TAG_AND_SERVICE: usize = 46;

impl Cloud {
    pub(super) fn create(&mut self, body: &Value) -> HttpAnswer {
        if self.service.is_some() {
            return error(409, "ALREADY_EXISTS", "Resource 'api' already exists.");
        }
        let traffic = match parse_traffic(body.get("traffic")) {
            Ok(traffic) => traffic,
            Err(text) => return error(400, "INVALID_ARGUMENT", &text),
        };
        let template = body.get("template").cloned().unwrap_or_default();
        if template.pointer("/containers/0/image").is_none() {
            return error(400, "INVALID_ARGUMENT", "template.containers: required");
        }
        let etag = self.next();
        self.service = Some(Service {
            generation: 1,
            observed: 0,
            etag,
            labels: texts(body.get("labels")),
            annotations: texts(body.get("annotations")),
            template: Value::Null,
            traffic,
            invoker_iam_disabled: body["invokerIamDisabled"] == true,
            others: Map::new(),
            revisions: Vec::new(),
            latest_created: None,
            latest_ready: None,
            shown: Vec::new(),
            routed: Vec::new(),
            programmed: Vec::new(),
            shown_by: 0,
            routed_by: 0,
            condition: Condition::Reconciling,
            updated: self.now,
            ended: self.now,
            bindings: Vec::new(),
            policy_etag: 0,
        });
        if let Err(answer) = self.make_revision(template) {
            self.service = None;
            return answer;
        }
        self.accepted()
    }

    pub(super) fn patch(&mut self, mask: &str, body: &Value) -> HttpAnswer {
        let Some(service) = &self.service else {
            return super::api::not_found();
        };
        if let Some(etag) = body["etag"].as_str()
            && etag != format!("\"{}\"", service.etag)
        {
            let text = format!(
                "Conflict for resource 'api': version '{etag}' was specified but current version is '{}'.",
                service.etag
            );
            return error(409, "ABORTED", &text);
        }
        let mut next = service.clone();
        let mut template = None;
        for field in mask.split(',') {
            match field {
                "annotations" => next.annotations = texts(body.get(field)),
                "labels" => next.labels = texts(body.get(field)),
                "invokerIamDisabled" => next.invoker_iam_disabled = body[field] == true,
                "traffic" => match parse_traffic(body.get(field)) {
                    Ok(traffic) => next.traffic = traffic,
                    Err(text) => return error(400, "INVALID_ARGUMENT", &text),
                },
                "template" => template = body.get(field).cloned(),
                other => {
                    let text = format!("updateMask: `{other}` is not known here");
                    return error(400, "INVALID_ARGUMENT", &text);
                }
            }
        }
        let before = self.service.replace(next);
        if let Some(template) = template
            && let Err(answer) = self.make_revision(template)
        {
            self.service = before;
            return answer;
        }
        self.changed();
        self.accepted()
    }

    /// Another tool has changed the service.
    pub(crate) fn foreign_write(&mut self) {
        self.changed();
        let pause = self.pace.route;
        self.schedule(pause, Event::Reconcile);
    }

    /// A new generation.
    fn changed(&mut self) {
        let (etag, now) = (self.next(), self.now);
        if let Some(service) = &mut self.service {
            service.updated = now;
            service.ended = now;
            service.generation += 1;
            service.etag = etag;
            service.condition = Condition::Reconciling;
        }
    }

    fn accepted(&mut self) -> HttpAnswer {
        let generation = self.service.as_ref().map_or(0, |one| one.generation);
        let pause = self.pace.route;
        self.schedule(pause, Event::Reconcile);
        let name =
            format!("projects/demo-project/locations/us-central1/operations/op-{generation}");
        let operation = Operation {
            generation,
            ended: None,
        };
        let answer = self.operation_json(&name, &operation);
        self.operations.insert(name, operation);
        HttpAnswer::json(200, answer)
    }

    /// Makes a revision from a template; the server names it where the template does not.
    pub(crate) fn make_revision(&mut self, template: Value) -> Result<(), HttpAnswer> {
        let created = self.now;
        let Some(service) = &mut self.service else {
            return Err(super::api::not_found());
        };
        let named = template.get("revision").and_then(Value::as_str);
        let name = named.map_or_else(
            || format!("api-{:05}-xyz", service.revisions.len() + 1),
            str::to_owned,
        );
        if service.revision(&name).is_some() {
            let text =
                format!("Revision named '{name}' with different configuration already exists.");
            return Err(error(409, "ALREADY_EXISTS", &text));
        }
        let mut own = template.clone();
        if let Some(own) = own.as_object_mut() {
            own.remove("revision");
        }
        service.template = template;
        service.revisions.push(Revision {
            name: name.clone(),
            template: own,
            created,
            ready_since: None,
            readiness: Readiness::Pending,
        });
        service.latest_created = Some(name.clone());
        let pause = self.pace.ready;
        self.schedule(pause, Event::Settle(name));
        Ok(())
    }

    pub(super) fn set_policy(&mut self, body: &Value) -> HttpAnswer {
        let policy_etag = self.next();
        let Some(service) = &mut self.service else {
            return super::api::not_found();
        };
        let policy = &body["policy"];
        if let Some(etag) = policy["etag"].as_str()
            && etag != service.policy_etag.to_string()
        {
            return error(409, "ABORTED", "There were concurrent policy changes.");
        }
        let bindings = policy["bindings"].as_array().cloned().unwrap_or_default();
        let members = |binding: &Value| -> Vec<String> {
            let members = binding["members"].as_array().cloned().unwrap_or_default();
            let texts = members.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        service.bindings = bindings
            .iter()
            .map(|one| {
                let role = one["role"].as_str().unwrap_or_default();
                (role.to_owned(), members(one))
            })
            .collect();
        service.policy_etag = policy_etag;
        HttpAnswer::json(200, Self::policy_json(service))
    }

    pub(super) fn policy_json(service: &Service) -> Value {
        let bindings: Vec<Value> = service
            .bindings
            .iter()
            .map(|(role, members)| json!({"role": role, "members": members}))
            .collect();
        json!({"version": 1, "etag": service.policy_etag.to_string(), "bindings": bindings})
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let object = value.and_then(Value::as_object);
    let pairs = object.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The wanted traffic; none means everything to LATEST.
fn parse_traffic(value: Option<&Value>) -> Result<Vec<Target>, String> {
    let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
    if list.is_empty() {
        return Ok(vec![Target {
            to: To::Latest,
            percent: 100,
            tag: None,
        }]);
    }
    let mut targets = Vec::new();
    for one in &list {
        let to = match (one["type"].as_str(), one["revision"].as_str()) {
            (Some(kind), None) if kind.ends_with("_LATEST") => To::Latest,
            (Some(kind), Some(name)) if kind.ends_with("_REVISION") => {
                To::Revision(name.to_owned())
            }
            _ => return Err("traffic: type and revision do not fit".to_owned()),
        };
        targets.push(Target {
            to,
            percent: u32::try_from(one["percent"].as_u64().unwrap_or(0)).unwrap_or(u32::MAX),
            tag: one["tag"].as_str().map(str::to_owned),
        });
    }
    let sum: u32 = targets.iter().map(|one| one.percent).sum();
    if sum != 100 {
        return Err(format!(
            "traffic: percents sum to {sum}, they must sum to 100"
        ));
    }
    let mut tags: Vec<&String> = targets.iter().filter_map(|one| one.tag.as_ref()).collect();
    let service = SERVICE.rsplit('/').next().unwrap_or_default();
    if tags
        .iter()
        .any(|tag| tag.len() + service.len() > TAG_AND_SERVICE)
    {
        return Err("traffic[].tag: tag and service name are too long".to_owned());
    }
    let count = tags.len();
    tags.sort();
    tags.dedup();
    if tags.len() != count {
        return Err("traffic[].tag: a tag is there twice".to_owned());
    }
    Ok(targets)
}
