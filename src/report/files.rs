//! The runner's command files: `GITHUB_OUTPUT`, `GITHUB_STATE`, `GITHUB_STEP_SUMMARY`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use delivery::outcome::Outcome;

use super::token::Words;
use super::{RunSummary, summary};

/// Where the runner reads values from; absent outside of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandFiles {
    /// `GITHUB_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `GITHUB_STATE`.
    pub state: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary: Option<PathBuf>,
}

impl CommandFiles {
    /// Finds them in the environment.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Self {
        let path = |name: &str| {
            environment
                .get(name)
                .filter(|text| !text.is_empty())
                .map(PathBuf::from)
        };
        Self {
            output: path("GITHUB_OUTPUT"),
            state: path("GITHUB_STATE"),
            summary: path("GITHUB_STEP_SUMMARY"),
        }
    }

    /// Writes outputs and summary of a run that ended.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn publish(
        &self,
        outcome: &Outcome,
        run: &RunSummary,
        words: &Words,
    ) -> std::io::Result<()> {
        self.write_outputs(&run.outputs(outcome), words)?;
        self.write_summary(&summary::render(outcome, run))
    }

    /// Writes outputs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_outputs(&self, pairs: &[(&str, String)], words: &Words) -> std::io::Result<()> {
        append(self.output.as_deref(), &key_values(pairs, words))
    }

    /// Writes what the post step of the same step finds in its environment as `STATE_name`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_state(&self, pairs: &[(&str, String)], words: &Words) -> std::io::Result<()> {
        append(self.state.as_deref(), &key_values(pairs, words))
    }

    /// Writes the summary page.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_summary(&self, page: &str) -> std::io::Result<()> {
        append(self.summary.as_deref(), page)
    }
}

/// The heredoc form for every pair: a value may hold anything but its delimiter, which nobody can guess.
fn key_values(pairs: &[(&str, String)], words: &Words) -> String {
    pairs
        .iter()
        .map(|(name, value)| {
            let delimiter = format!("ml-deploy-{}", words.next());
            format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
        })
        .collect()
}

fn append(path: Option<&Path>, text: &str) -> std::io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file as strictly as the runner: first of `=` and `<<` decides, the delimiter is exact.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut lines = text.split('\n');
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let heredoc = line.find("<<").unwrap();
            assert!(
                line.find('=').is_none_or(|equals| heredoc < equals),
                "{line}"
            );
            let delimiter = &line[heredoc + 2..];
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            pairs.push((line[..heredoc].to_owned(), value.join("\n")));
        }
        pairs
    }

    #[test]
    fn what_is_written_is_read_back_whatever_it_holds() {
        let words = Words::from_seed([7; 32]);
        let nasty = "a=b\nurl<<EOF\nhttps://evil.example\nEOF\n\nx\r\n".to_owned();
        let pairs = [
            ("url", "https://x.example/?a=b".to_owned()),
            ("digest", nasty),
        ];
        let text = key_values(&pairs, &words);
        let delimiters: std::collections::BTreeSet<&str> = text
            .lines()
            .filter(|line| line.starts_with("ml-deploy-"))
            .collect();
        assert_eq!(
            delimiters.len(),
            pairs.len(),
            "each value has a delimiter of its own"
        );
        let read = read(&text);
        assert_eq!(read, pairs.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn files_are_appended_to_and_absent_ones_are_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary");
        let files = CommandFiles {
            summary: Some(path.clone()),
            ..CommandFiles::default()
        };
        files.write_summary("a\n").unwrap();
        files.write_summary("b\n").unwrap();
        files
            .write_outputs(&[("a", "b".to_owned())], &Words::from_seed([1; 32]))
            .unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a\nb\n");
    }
}
