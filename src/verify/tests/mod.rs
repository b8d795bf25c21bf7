//! Against real servers in the process.

mod expect;
mod identity;
mod parse;
mod server;
