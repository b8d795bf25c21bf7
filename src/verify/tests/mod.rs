//! Against real servers in the process.

mod expect;
mod golden;
mod identity;
mod parse;
pub(super) mod server;
