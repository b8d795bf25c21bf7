//! Wires the rooms together, one command a file.
