//! Against real servers in the process.

mod expect;
mod parse;
mod server;
