//! How a service is to be configured: layers → `ServiceSpec`, with the limits that hold between
//! settings.

use std::collections::BTreeMap;

use delivery::spec::{Access, SecretBinding, SecretPlace, ServiceSpec, UpdateStrategy};

use super::layers::Layers;
use super::origin::{Given, Origin};
use super::resource;
use super::value::{self, ValueProblem};

/// Longest value of an environment variable in bytes (the API's limit).
const LONGEST_VARIABLE: usize = 32 * 1024;
/// Most labels of a resource, and longest key and value (the documented limits).
const MOST_LABELS: usize = 64;
const LONGEST_LABEL: usize = 63;
/// What Cloud Run sets by itself, and refuses to take.
const RESERVED_VARIABLES: [&str; 4] = ["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"];
/// What this tool sets, to tell releases apart.
const OWN_VARIABLES: [&str; 2] = ["ML_DEPLOY_VERSION", "ML_DEPLOY_COMMIT"];

/// Reads every setting of the service; what is wrong is reported and left out.
pub fn parse_service(layers: &mut Layers<'_>) -> ServiceSpec {
    let env_vars = variables(layers);
    let secrets = secrets(layers, &env_vars);
    let cpu = layers.parsed("cpu", value::parse_cpu);
    let memory = layers.parsed("memory", value::parse_memory);
    let concurrency = small(layers.number("concurrency"));
    let min_instances = small(layers.number("min_instances"));
    let max_instances = small(layers.number("max_instances"));
    check_size(
        layers,
        cpu,
        memory.as_ref().map(|(mib, _)| *mib),
        concurrency,
    );
    if let (Some(least), Some(most)) = (min_instances, max_instances)
        && least > most
    {
        refuse(
            layers,
            "min_instances",
            ValueProblem::new(format!("must not be more than `max_instances` ({most})"))
                .help(format!("use `{most}`")),
        );
    }
    ServiceSpec {
        env_vars,
        env_vars_update_strategy: strategy(layers, "env_vars_update_strategy"),
        secrets,
        secrets_update_strategy: strategy(layers, "secrets_update_strategy"),
        labels: labels(layers),
        cpu: cpu.map(value::format_cpu),
        memory: memory.map(|(_, text)| text),
        port: layers
            .number("port")
            .and_then(|port| u16::try_from(port).ok()),
        concurrency,
        min_instances,
        max_instances,
        timeout_seconds: small(layers.number("timeout")),
        service_account: layers.parsed("runtime_service_account", resource::parse_service_account),
        startup_probe: probe(layers),
        access: match layers.choice("access") {
            Some("public") => Access::Public,
            _ => Access::Private,
        },
    }
}

/// Limits of the table fit in 32 bits.
fn small(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn refuse(layers: &mut Layers<'_>, name: &'static str, problem: ValueProblem) {
    let given = layers
        .text(name)
        .unwrap_or(Given::new(String::new(), Origin::Default));
    layers.refuse(name, &given, problem);
}

fn strategy(layers: &mut Layers<'_>, name: &'static str) -> UpdateStrategy {
    match layers.choice(name) {
        Some("overwrite") => UpdateStrategy::Overwrite,
        _ => UpdateStrategy::Merge,
    }
}

fn variables(layers: &mut Layers<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (key, given) in layers.pairs("env_vars") {
        match check_variable(&key, &given.value) {
            Ok(()) => {
                variables.insert(key, given.value);
            }
            Err(problem) => layers.refuse_key("env_vars", &key, &given.origin, problem),
        }
    }
    variables
}

fn check_variable(key: &str, value: &str) -> Result<(), ValueProblem> {
    if RESERVED_VARIABLES.contains(&key) {
        let problem = ValueProblem::new("is a variable that Cloud Run sets by itself");
        return Err(if key == "PORT" {
            problem.help("use the input `port`")
        } else {
            problem
        });
    }
    if OWN_VARIABLES.contains(&key) {
        return Err(ValueProblem::new(
            "is a variable that this tool sets by itself",
        ));
    }
    check_variable_name(key)?;
    if value.len() > LONGEST_VARIABLE {
        return Err(ValueProblem::new(format!(
            "has a value of more than {LONGEST_VARIABLE} bytes"
        ))
        .help("put it into a secret that is mounted as a file"));
    }
    Ok(())
}

fn check_variable_name(key: &str) -> Result<(), ValueProblem> {
    let valid = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if valid {
        return Ok(());
    }
    let near: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    Err(
        ValueProblem::new("has a name that is no environment variable: letters, digits and `_`")
            .help(format!("use `{near}`")),
    )
}

fn secrets(layers: &mut Layers<'_>, variables: &BTreeMap<String, String>) -> Vec<SecretBinding> {
    let mut bindings: Vec<SecretBinding> = Vec::new();
    for (place, given) in layers.pairs("secrets") {
        let checked = resource::parse_secret(&place, &given.value).and_then(|binding| {
            check_secret_place(&binding, variables, &bindings).map(|()| binding)
        });
        match checked {
            Ok(binding) => bindings.push(binding),
            Err(problem) => layers.refuse_key("secrets", &place, &given.origin, problem),
        }
    }
    bindings.sort();
    bindings
}

fn check_secret_place(
    binding: &SecretBinding,
    variables: &BTreeMap<String, String>,
    others: &[SecretBinding],
) -> Result<(), ValueProblem> {
    match &binding.place {
        SecretPlace::Variable(name) if variables.contains_key(name) => Err(ValueProblem::new(
            "names a variable that `env_vars` sets as well",
        )
        .help("keep one of them")),
        SecretPlace::Variable(name) => check_variable(name, ""),
        SecretPlace::File(path) => {
            let taken = others.iter().find(|other| match &other.place {
                SecretPlace::File(other_path) => {
                    directory(other_path) == directory(path) && other.secret != binding.secret
                }
                SecretPlace::Variable(_) => false,
            });
            match taken {
                Some(other) => Err(ValueProblem::new(format!(
                    "mounts two secrets in one directory, which Cloud Run cannot do (the other is `{}`)",
                    other.secret
                ))
                .help(format!("use a directory of its own, such as `{}/{}/value`", directory(path), binding.secret))),
                None => Ok(()),
            }
        }
    }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn labels(layers: &mut Layers<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, given) in layers.pairs("labels") {
        let value = given.value.trim().to_owned();
        let plain = |text: &str| {
            text.len() <= LONGEST_LABEL
                && text
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        };
        if plain(&key) && key.starts_with(|c: char| c.is_ascii_lowercase()) && plain(&value) {
            labels.insert(key, value);
        } else {
            let shown = Given::new(format!("{key}={value}"), given.origin);
            let near: String = shown
                .value
                .to_lowercase()
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=') {
                        c
                    } else {
                        '-'
                    }
                })
                .collect();
            layers.refuse("labels", &shown, ValueProblem::new(
                "must have lower-case letters, digits, `_` and `-`, at most 63 of them, a letter first",
            ).help(format!("use `{near}`")));
        }
    }
    if labels.len() > MOST_LABELS {
        refuse(
            layers,
            "labels",
            ValueProblem::new(format!("must hold at most {MOST_LABELS} labels")),
        );
    }
    labels
}

fn probe(layers: &mut Layers<'_>) -> Option<delivery::spec::StartupProbe> {
    let given = layers.text("startup_probe")?;
    match value::parse_probe(&given.value) {
        Ok(probe) => Some(probe),
        Err(problems) => {
            for problem in problems {
                layers.refuse("startup_probe", &given, problem);
            }
            None
        }
    }
}

/// What Cloud Run demands between CPU, memory and concurrency. Checked only where both are said:
/// what is not said stays as the service has it.
fn check_size(
    layers: &mut Layers<'_>,
    cpu: Option<u32>,
    memory_mib: Option<u64>,
    concurrency: Option<u32>,
) {
    const GIB: u64 = 1024;
    if let (Some(cpu), Some(memory)) = (cpu, memory_mib) {
        // Documented floors: more than 4 GiB needs 2 CPUs, and so on.
        let needed: u32 = match memory {
            m if m > 24 * GIB => 8000,
            m if m > 16 * GIB => 6000,
            m if m > 8 * GIB => 4000,
            m if m > 4 * GIB => 2000,
            m if m > GIB => 1000,
            m if m > 512 => 500,
            _ => 80,
        };
        if cpu < needed {
            let (memory, needed) = (format!("{memory}Mi"), value::format_cpu(needed));
            refuse(
                layers,
                "cpu",
                ValueProblem::new(format!("is too little for {memory} of memory"))
                    .help(format!("use `{needed}`, or less memory")),
            );
        }
        let floor = match cpu {
            6000.. => 4 * GIB,
            4000.. => 2 * GIB,
            _ => 0,
        };
        if memory < floor {
            let cpus = value::format_cpu(cpu);
            refuse(
                layers,
                "memory",
                ValueProblem::new(format!("is too little for {cpus} CPUs"))
                    .help(format!("use `{}Gi`, or fewer CPUs", floor / GIB)),
            );
        }
    }
    if let (Some(0..1000), Some(2..)) = (cpu, concurrency) {
        refuse(
            layers,
            "concurrency",
            ValueProblem::new("must be 1 with less than 1 CPU").help("use `1`, or `cpu: 1`"),
        );
    }
}
