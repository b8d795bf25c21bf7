//! The shell of `ml-deploy`: IO, wiring and words around the pure core in `delivery`.
//!
//! ```text
//! argv + env ─▶ inputs ──┐
//!                        ├─ delivery::plan ─▶ Plan ─▶ execute ─▶ Event… ─▶ report
//! cloud ─▶ gcp ─ observe ┘   (deliver)          └─ verify ─▶ Evidence ─▶ delivery::verdict
//! ```
//! Imports go one way: `command` → `deliver` → {`observe`, `execute`}; `command` → {`inputs`, `observe`, `execute`, `verify`, `image`, `evidence`,
//! `report`, `github`} → `gcp`, `delivery`; `report` → `delivery`; `gcp` → `cloud_api`, `delivery` (the only
//! place where wire becomes domain).

pub mod cli;
pub mod command;
pub mod deliver;
pub mod evidence;
pub mod execute;
pub mod gcp;
pub mod github;
pub mod image;
pub mod inputs;
pub mod observe;
pub mod report;
pub mod secret;
pub mod verify;
