//! Against real servers in the process.

mod expect;
mod golden;
mod identity;
mod parse;
mod secrets;
pub(super) mod server;
