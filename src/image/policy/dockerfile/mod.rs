//! Dockerfiles: several stages, a user who is not root, pinned bases, no pip cache, no secrets in
//! `ARG` and `ENV`. Pure.

pub mod base;
pub mod expand;
pub mod parse;
pub mod shell;
pub mod stage;

use std::collections::BTreeMap;

use self::base::{BasePin, Moving, judge_base, judge_frontend};
use self::expand::{Variables, expand};
use self::parse::{Instruction, Parsed, parse};
use self::shell::{PipInstall, Tool, commands, pip_install};
use self::stage::{Numbers, Stage, chain, find, pairs, stages};
use super::finding::{Finding, Place, Policy, Spot, shown};
use super::requirements::judge::judge;
use super::requirements::line::{Said, Source, read_line};
use super::secret::names_secret;

/// What the check must know beside the text.
#[derive(Debug, Clone, Default)]
pub struct DockerfileRequest {
    /// Path of the file, for positions.
    pub path: String,
    /// Values that the build gives to `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// The stage that is built; the last one if not given.
    pub target: Option<String>,
    /// How exactly images must be named.
    pub base_pin: BasePin,
}

/// Every finding in a Dockerfile, of all policies that look at it.
pub fn check_dockerfile(text: &str, request: &DockerfileRequest) -> Vec<Finding> {
    let parsed = parse(text);
    let stages = stages(&parsed, &request.build_args);
    let check = Check {
        request,
        parsed: &parsed,
        stages: &stages,
    };
    let mut findings = Vec::new();
    check.bases(&mut findings);
    if let Some(last) = check.final_stage() {
        findings.extend(check.multi_stage(last));
        findings.extend(check.user(last));
    }
    check.installs(&mut findings);
    check.secrets(&mut findings);
    findings.sort_by(|a, b| (&a.place, a.rule).cmp(&(&b.place, b.rule)));
    findings.dedup();
    findings
}

struct Check<'a> {
    request: &'a DockerfileRequest,
    parsed: &'a Parsed,
    stages: &'a [Stage],
}

impl Check<'_> {
    fn place(&self, (line, column): (usize, usize)) -> Place {
        Place::File(Spot::new(&self.request.path, line, column))
    }

    fn finding(
        &self,
        policy: Policy,
        rule: &'static str,
        instruction: &Instruction,
        at: usize,
        title: impl Into<String>,
    ) -> Finding {
        let place = self.place(instruction.line.place(at));
        Finding::new(policy, rule, place, title).detail(shown(&instruction.line.text))
    }

    fn final_stage(&self) -> Option<usize> {
        let named = self.request.target.as_deref();
        named
            .and_then(|name| find(self.stages, name, Numbers::Taken))
            .or_else(|| self.stages.len().checked_sub(1))
    }

    // ── bases ────────────────────────────────────────────────────────────────────────────────────

    fn bases(&self, findings: &mut Vec<Finding>) {
        if let Some((image, at)) = &self.parsed.syntax
            && let Err(moving) = judge_frontend(image, self.request.base_pin)
        {
            let place = self.place(*at);
            let finding = Finding::new(Policy::BasePinned, moving.rule, place, moving.why);
            findings.push(
                finding
                    .detail(format!("# syntax={image}"))
                    .help(moving.help),
            );
        }
        for (index, stage) in self.stages.iter().enumerate() {
            if stage.parent.is_none() {
                findings.extend(self.base_of(stage));
            }
            for (instruction, variables) in &stage.body {
                for (image, at) in taken_from(instruction, variables) {
                    if find(&self.stages[..index], &image, Numbers::Taken).is_none() {
                        findings.extend(self.judge_image(instruction, &image, at));
                    }
                }
            }
        }
    }

    fn base_of(&self, stage: &Stage) -> Option<Finding> {
        let from = &stage.from;
        match &stage.base {
            Some(base) => self.judge_image(from, base, stage.base_at),
            None => {
                let title = "the base image depends on a build argument without a default";
                let finding = self.finding(
                    Policy::BasePinned,
                    "base-unknown",
                    from,
                    stage.base_at,
                    title,
                );
                Some(finding.help("give the `ARG` before `FROM` a default, such as `ARG BASE=python:3.13-slim`, or set it in `build_args`"))
            }
        }
    }

    fn judge_image(&self, instruction: &Instruction, image: &str, at: usize) -> Option<Finding> {
        if image.eq_ignore_ascii_case("scratch") {
            return None;
        }
        let Moving { rule, why, help } = judge_base(image, self.request.base_pin).err()?;
        Some(
            self.finding(Policy::BasePinned, rule, instruction, at, why)
                .help(help),
        )
    }

    // ── stages and user ──────────────────────────────────────────────────────────────────────────

    /// The image must be made of what an earlier stage built.
    fn multi_stage(&self, last: usize) -> Option<Finding> {
        let chain = chain(self.stages, last);
        let copies = chain.iter().any(|index| {
            self.stages[*index]
                .body
                .iter()
                .any(|(instruction, variables)| {
                    taken_from(instruction, variables)
                        .into_iter()
                        .any(|(name, _)| {
                            find(&self.stages[..*index], &name, Numbers::Taken)
                                .is_some_and(|found| !chain.contains(&found))
                        })
                })
        });
        if copies {
            return None;
        }
        let from = &self.stages[last].from;
        let title = if self.stages.len() == 1 {
            "the image has one stage: what is needed to build it stays in it"
        } else {
            "the last stage takes nothing from an earlier one: what is needed to build it stays in it"
        };
        let finding = self.finding(Policy::Dockerfile, "multi-stage", from, 0, title);
        Some(finding.help("install in a first stage, `FROM … AS build`, and take the result with `COPY --from=build …` into a stage without build tools"))
    }

    fn user(&self, last: usize) -> Option<Finding> {
        let chain = chain(self.stages, last);
        let said = chain.iter().rev().find_map(|index| {
            let users = self.stages[*index].body.iter().rev();
            users
                .into_iter()
                .find(|(instruction, _)| instruction.keyword == "USER")
        });
        let help =
            "make a user in the image and end with it: `RUN useradd -m appuser` and `USER appuser`";
        let Some((instruction, variables)) = said else {
            let root = &self.stages[*chain.first()?];
            // The images of distroless whose user is not root say so in their tag.
            if root
                .base
                .as_deref()
                .is_some_and(|base| base.contains("nonroot"))
            {
                return None;
            }
            let from = &self.stages[last].from;
            let title = "no `USER` is set: the container runs as the base image's user, which is root for most";
            return Some(
                self.finding(Policy::Dockerfile, "user-missing", from, 0, title)
                    .help(help),
            );
        };
        let written = instruction.arguments();
        let at = instruction.arguments_at;
        let Some(user) =
            expand(written.trim_matches('"'), variables).filter(|user| !user.is_empty())
        else {
            let title = "the user depends on a build argument without a default";
            let finding = self.finding(Policy::Dockerfile, "user-unknown", instruction, at, title);
            return Some(finding.help("give the `ARG` a default, or name the user"));
        };
        let name = user.split(':').next().unwrap_or(&user).trim();
        let is_zero = name.parse::<u64>() == Ok(0);
        if name == "root" || is_zero {
            let title = format!("the container runs as root: `USER {written}`");
            return Some(
                self.finding(Policy::Dockerfile, "user-root", instruction, at, title)
                    .help(help),
            );
        }
        None
    }

    // ── pip ──────────────────────────────────────────────────────────────────────────────────────

    fn installs(&self, findings: &mut Vec<Finding>) {
        for stage in self.stages {
            for (instruction, variables) in &stage.body {
                if instruction.keyword != "RUN" {
                    continue;
                }
                let all = commands(instruction);
                let clears = all.iter().any(|command| {
                    let text = command.text();
                    text.contains("pip cache purge")
                        || (text.starts_with("rm ") && text.contains(".cache"))
                });
                for command in &all {
                    let Some(install) = pip_install(command) else {
                        continue;
                    };
                    let place = command.words[install.at].place;
                    let shown_command = shown(&command.text());
                    if !clears
                        && !install.is_without_cache
                        && !cache_is_elsewhere(instruction, variables, install.tool)
                    {
                        let (tool, option) = match install.tool {
                            Tool::Pip => ("pip", "--no-cache-dir"),
                            Tool::Uv => ("uv", "--no-cache"),
                        };
                        let title = format!("{tool} keeps what it downloads in the image");
                        let finding =
                            Finding::new(Policy::Dockerfile, "pip-cache", self.place(place), title);
                        findings.push(finding.detail(shown_command).help(format!(
                            "add `{option}`, or `--mount=type=cache,target=/root/.cache` to `RUN`"
                        )));
                    }
                    self.pins(&install, variables, findings);
                }
            }
        }
    }

    /// What is installed by name is a dependency as those in a file.
    fn pins(&self, install: &PipInstall, variables: &Variables, findings: &mut Vec<Finding>) {
        for word in &install.requirements {
            // What a shell would put in is known where `ARG` and `ENV` say it.
            let Some(text) = expand(&word.text, variables) else {
                continue;
            };
            let Said::Package(package) = read_line(text.trim()) else {
                continue;
            };
            // The project itself, or a wheel that an earlier stage built.
            if matches!(package.source, Source::Path(_)) {
                continue;
            }
            if let Err(unpinned) = judge(&package) {
                let title = super::secret::redact(&unpinned.why);
                let finding =
                    Finding::new(Policy::Pins, unpinned.rule, self.place(word.place), title);
                findings.push(
                    finding
                        .detail(shown(&format!("pip install {text}")))
                        .help(unpinned.help),
                );
            }
        }
    }

    // ── secrets ──────────────────────────────────────────────────────────────────────────────────

    fn secrets(&self, findings: &mut Vec<Finding>) {
        let help = "give it to the one command that needs it: `RUN --mount=type=secret,id=NAME …`; at run time use the input `secrets`";
        for instruction in &self.parsed.instructions {
            let keyword = instruction.keyword.as_str();
            let named: Vec<(String, Option<String>)> = match keyword {
                "ARG" => instruction
                    .words()
                    .into_iter()
                    .map(|(_, word)| match word.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (word, None),
                    })
                    .collect(),
                "ENV" => pairs(instruction)
                    .into_iter()
                    .map(|(name, value)| (name, Some(value)))
                    .collect(),
                _ => continue,
            };
            for (name, value) in named {
                if !names_secret(&name, value.as_deref()) {
                    continue;
                }
                let at = instruction.line.text.find(&name).unwrap_or_default();
                let place = self.place(instruction.line.place(at));
                let title = format!("`{keyword} {name}` puts a secret into the image's history");
                findings.push(
                    Finding::new(Policy::Secrets, "secret-variable", place, title).help(help),
                );
            }
        }
    }
}

/// Whether pip's cache does not stay in the layer.
fn cache_is_elsewhere(run: &Instruction, variables: &Variables, tool: Tool) -> bool {
    let switched_off = match tool {
        Tool::Pip => "PIP_NO_CACHE_DIR",
        Tool::Uv => "UV_NO_CACHE",
    };
    let is_set = variables
        .get(switched_off)
        .is_some_and(|value| !value.is_empty());
    let is_mounted = run.flag("mount").any(|flag| {
        let options = options(&flag.value);
        let target = option(&options, &["target", "dst", "destination"]).unwrap_or_default();
        matches!(option(&options, &["type"]), Some("cache" | "tmpfs"))
            && (target.contains("cache") || target.contains("pip") || target.contains("uv"))
    });
    is_set || is_mounted
}

fn options(value: &str) -> Vec<(&str, &str)> {
    value
        .split(',')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect()
}

fn option<'a>(options: &[(&str, &'a str)], names: &[&str]) -> Option<&'a str> {
    options
        .iter()
        .find(|(name, _)| names.contains(name))
        .map(|(_, value)| *value)
}

/// The images and stages that an instruction takes files from, with their places in its line.
fn taken_from(instruction: &Instruction, variables: &Variables) -> Vec<(String, usize)> {
    let expanded = |text: &str| expand(text, variables).unwrap_or_else(|| text.to_owned());
    match instruction.keyword.as_str() {
        "COPY" | "ADD" => instruction
            .flag("from")
            .filter(|flag| !flag.value.is_empty())
            .map(|flag| (expanded(&flag.value), flag.at))
            .collect(),
        "RUN" => instruction
            .flag("mount")
            .filter_map(|flag| {
                let from = option(&options(&flag.value), &["from"])?;
                Some((expanded(from), flag.at))
            })
            .collect(),
        _ => Vec::new(),
    }
}
