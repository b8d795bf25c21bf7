//! The pure domain of delivery: what is wanted and what is seen go in, a plan comes out.
//!
//! Nothing here reads a clock, the environment, a file or the network. Functions are named by
//! phase: `parse_`, `plan_`, `judge_`, `decide_`; they are total and give the same answer for the
//! same input, so that a run can be planned again at any time.
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | newtypes for names: a value that exists is valid |
//! | [`nearest`] | which known word an unknown one is likely to mean |
//! | [`release`] | digest, commit, version: what is promoted |
//! | [`target`] | environments, their order, where each one lives |
//! | [`entrance`] | what keeps a runner from reaching a service |
//! | [`configuration`] | how a revision is configured |
//! | [`difference`] | what changes between two configurations |
//! | [`drift`] | what the environment before has and this one would not |
//! | [`approval`] | who approved, for summary and evidence |
//! | [`spec`] | how the service is to be configured, and its hash |
//! | [`traffic`] | splits that sum to 100 and keep foreign tags |
//! | [`state`] | what is remembered in the service's annotation |
//! | [`snapshot`] | what was seen, when, with the etag |
//! | [`stage`] | from event and ref to what this run is about |
//! | [`plan`] | intent + snapshot → steps, each with its undo |
//! | [`policy`] | what must hold before an image is pushed |
//! | [`statistics`] | samples → figures, how sure they are, and whether a limit can be decided |
//! | [`verdict`] | evidence → verdict |
//! | [`strategy`] | how traffic moves: at once, or in steps that are watched |
//! | [`decide`] | verdict → shift, hold, finish, roll back |
//! | [`attestation`] | what is said of an image by who tested it, and when it counts |
//! | [`gate`] | the gates, and what each failure is called |
//! | [`diagnostic`] | cause, state, way out, exit code |
//! | [`event`] | what happens while a plan is executed |
//! | [`outcome`] | how a run ended, one to one with the exit codes |

pub mod approval;
pub mod attestation;
pub mod configuration;
pub mod decide;
pub mod diagnostic;
pub mod difference;
pub mod drift;
pub mod entrance;
pub mod event;
pub mod gate;
pub mod name;
pub mod nearest;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod release;
pub mod snapshot;
pub mod spec;
pub mod stage;
pub mod state;
pub mod statistics;
pub mod strategy;
pub mod target;
pub mod traffic;
pub mod verdict;
