//! The shape of one input: name, kind, default, documentation, and where it may be said.

/// What texts an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text of one line.
    Text,
    /// A text that must not be shown.
    Sensitive,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number within limits, both included.
    Number {
        /// Least.
        least: u64,
        /// Most.
        most: u64,
        /// What it counts.
        unit: &'static str,
    },
    /// A duration with its unit.
    Duration,
    /// A part of a whole.
    Share,
    /// A number above 0.
    Decimal,
    /// CPUs.
    Cpu,
    /// Memory.
    Memory,
    /// `KEY=VALUE` pairs.
    Pairs,
    /// Secret bindings: `KEY=name:version` or `/path=name:version`.
    Secrets,
    /// Texts, one a line, or separated by commas.
    List,
    /// A startup probe.
    Probe,
}

impl Kind {
    /// How the kind is called in the reference.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Sensitive => "text, masked in logs".to_owned(),
            Self::Choice(choices) => choices
                .iter()
                .map(|choice| format!("`{choice}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Number { least, most, unit } => format!("{least} to {most} {unit}"),
            Self::Duration => "a duration: `200ms`, `1.5s`, `2m`; at most an hour".to_owned(),
            Self::Share => "a part: `5%` or `0.05`".to_owned(),
            Self::Decimal => "a number above 0".to_owned(),
            Self::Cpu => "CPUs: 1, 2, 4, 6, 8, or 0.08 to 0.99".to_owned(),
            Self::Memory => "memory: 128Mi to 32Gi".to_owned(),
            Self::Pairs => "`KEY=VALUE`, one a line".to_owned(),
            Self::Secrets => "`KEY=name:version` or `/path=name:version`, one a line".to_owned(),
            Self::List => "texts, one a line".to_owned(),
            Self::Probe => "`tcp` or `http:/path`, then settings".to_owned(),
        }
    }
}

/// How deep in the configuration file an input may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFile {
    /// Not at all: it belongs to one run.
    No,
    /// At the top level only.
    Top,
    /// At the top level and in each environment.
    Environment,
}

/// Under which heading the reference shows an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What runs, and where it goes.
    Target,
    /// How the image is built.
    Build,
    /// What must hold before an image is pushed.
    Policies,
    /// How a candidate is tested.
    Tests,
    /// How quick it must be, and how near to what serves.
    Limits,
    /// How the service is configured.
    Service,
    /// What is guarded.
    Safety,
    /// Who the run is.
    Identity,
}

impl Section {
    /// In the order of the reference.
    pub const ALL: [Self; 8] = [
        Self::Target,
        Self::Service,
        Self::Build,
        Self::Policies,
        Self::Tests,
        Self::Limits,
        Self::Safety,
        Self::Identity,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Target => "What is deployed, and where",
            Self::Build => "Build",
            Self::Policies => "Policies",
            Self::Tests => "Tests",
            Self::Limits => "Load, replay and cold start",
            Self::Service => "The service",
            Self::Safety => "Guards",
            Self::Identity => "Identity",
        }
    }
}

/// One input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSpec {
    /// `snake_case`; the flag is the same in `kebab-case`.
    pub name: &'static str,
    /// Where the reference shows it.
    pub section: Section,
    /// What texts it takes.
    pub kind: Kind,
    /// What counts when it is not said; `None` is described in `doc`.
    pub default: Option<&'static str>,
    /// Whether the action declares it. What it declares, the command line takes as a flag.
    pub action: bool,
    /// Whether the configuration file takes it.
    pub file: InFile,
    /// Environment variables that are asked when nothing else says it, first one first.
    pub variables: &'static [&'static str],
    /// An example value, for documentation and error messages.
    pub example: &'static str,
    /// In sentences.
    pub doc: &'static str,
}

impl InputSpec {
    /// An input of the action, said nowhere else.
    pub const fn new(
        section: Section,
        name: &'static str,
        kind: Kind,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            section,
            kind,
            default: None,
            action: true,
            file: InFile::No,
            variables: &[],
            example,
            doc,
        }
    }

    /// Sets the default.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// The configuration file takes it at its top level.
    pub const fn in_file(mut self) -> Self {
        self.file = InFile::Top;
        self
    }

    /// The configuration file takes it at its top level and in each environment.
    pub const fn per_environment(mut self) -> Self {
        self.file = InFile::Environment;
        self
    }

    /// Only the configuration file takes it.
    pub const fn file_only(mut self) -> Self {
        self.action = false;
        self
    }

    /// Environment variables to ask.
    pub const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }

    /// The name of its flag, without hyphens in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}
