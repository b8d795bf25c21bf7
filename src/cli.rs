//! Command line: clap types only.
