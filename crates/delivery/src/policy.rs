//! Policies: what must hold before an image is pushed, and what it does to a run when it does not.

use std::collections::BTreeMap;

/// Largest size of an image in bytes, unless it is said: the runbook's 250 MB.
pub const DEFAULT_SIZE_BUDGET: u64 = 250_000_000;

/// One policy; each has a mode of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Every Python dependency is pinned to one version.
    Pins,
    /// The Dockerfile: several stages, a user who is not root, no pip cache.
    Dockerfile,
    /// Every image that the Dockerfile takes something from is pinned.
    BasePinned,
    /// The built image runs as a user who is not root.
    ImageUser,
    /// The built image is within its budget.
    ImageSize,
    /// The built image holds only what a run needs.
    ImageContents,
    /// No credential is in the build context, the Dockerfile or the image.
    Secrets,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 7] = [
        Self::Pins,
        Self::Dockerfile,
        Self::BasePinned,
        Self::ImageUser,
        Self::ImageSize,
        Self::ImageContents,
        Self::Secrets,
    ];

    /// The input that sets its mode.
    pub fn input(self) -> &'static str {
        match self {
            Self::Pins => "policy_pins",
            Self::Dockerfile => "policy_dockerfile",
            Self::BasePinned => "policy_base_pinned",
            Self::ImageUser => "policy_image_user",
            Self::ImageSize => "policy_image_size",
            Self::ImageContents => "policy_image_contents",
            Self::Secrets => "policy_secrets",
        }
    }
}

/// What a finding of a policy does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The run does not go on.
    #[default]
    Error,
    /// It is told, and the run goes on.
    Warn,
    /// The policy is not checked.
    Off,
}

/// How exactly an image must be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BasePin {
    /// By a tag that names a version, or by digest.
    #[default]
    Tag,
    /// By digest.
    Digest,
}

/// Which policies are checked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    modes: BTreeMap<Policy, Mode>,
    /// How exactly base images must be named.
    pub base_pin: BasePin,
    /// Largest size of the image in bytes, uncompressed.
    pub size_budget: u64,
}

/// Everything is an error.
impl Default for Policies {
    fn default() -> Self {
        Self {
            modes: BTreeMap::new(),
            base_pin: BasePin::default(),
            size_budget: DEFAULT_SIZE_BUDGET,
        }
    }
}

impl Policies {
    /// Every policy switched off.
    pub fn off() -> Self {
        let modes = Policy::ALL.into_iter().map(|policy| (policy, Mode::Off));
        Self {
            modes: modes.collect(),
            ..Self::default()
        }
    }

    /// Sets the mode of one policy.
    pub fn set(&mut self, policy: Policy, mode: Mode) {
        self.modes.insert(policy, mode);
    }

    /// The mode of a policy.
    pub fn mode(&self, policy: Policy) -> Mode {
        self.modes.get(&policy).copied().unwrap_or_default()
    }

    /// Whether any of the policies is checked.
    pub fn any(&self, policies: &[Policy]) -> bool {
        policies
            .iter()
            .any(|policy| self.mode(*policy) != Mode::Off)
    }
}
