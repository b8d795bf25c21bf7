//! `::add-mask::`: the runner stars a secret in everything that is logged from then on.

use super::{Output, command};
use crate::secret::{Masker, Secret};

/// Shortest line that is masked. The runner masks each line of a value, however short: the `{` of a
/// key file would star every brace of the log, and drop every job output that holds one.
const SHORTEST: usize = 8;

/// Masks on a GitHub runner.
pub struct GithubMasker {
    output: Output,
}

impl GithubMasker {
    /// Writes to the job's log.
    pub fn new(output: Output) -> Self {
        Self { output }
    }
}

impl Masker for GithubMasker {
    fn mask(&self, secret: &Secret) {
        let lines = secret.expose().split(['\n', '\r']).map(str::trim);
        let commands: String = lines
            .filter(|line| line.len() >= SHORTEST)
            .map(|line| format!("::add-mask::{}\n", command::escape_data(line)))
            .collect();
        if !commands.is_empty() {
            self.output.say(&commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::Written;

    #[test]
    fn each_line_is_masked_but_not_the_braces_of_a_key_file() {
        let written = Written::default();
        GithubMasker::new(written.output())
            .mask(&Secret::new("{\n  \"private_key\": \"a%b\"\n}\n"));
        assert_eq!(written.text(), "::add-mask::\"private_key\": \"a%25b\"\n");
    }
}
