//! Against real servers in the process.

mod parse;
mod server;
