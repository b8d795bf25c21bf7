//! The local cloud: a model of the world with HTTP as its projection.
//!
//! | module | what it models |
//! |---|---|
//! | [`run`] | Cloud Run Admin API v2: services, revisions, operations, IAM policies, secrets |
//! | [`knative`] | Cloud Run Admin API v1 over the same services, in Knative's form |
//! | [`dataplane`] | the addresses of services and tags, and the way from there to instances |
//! | [`logging`] | Cloud Logging: what containers write, what happened to requests |
//! | [`runner`] | how the GitHub runner starts the action: variables, command files, event |
//! | [`runtime`] | where containers run: the Docker engine, or scripted behaviour in tests |
//! | [`iam`] | who may do what: principals, roles, policies, disabled APIs |
//! | [`registry`] | an OCI registry that answers for every `*-docker.pkg.dev` path |
//! | [`tokens`] | GitHub OIDC, Security Token Service, IAM Credentials, OAuth token endpoint |
//! | [`github`] | environments, approvals, deployments and statuses |
//! | [`serviceusage`] | whether an API is enabled |
//! | [`proxy`] | the local cloud as HTTP proxy for Google's host names |
//! | [`admin`] | `/_emulator/…`: faults, clock, what happened |
//! | [`storage`] | what survives a restart |
//! | [`world`] | the sum of them, one value behind every route |
//! | [`server`] | listens, routes, answers 501 with the name of what is not modelled |

pub mod admin;
pub mod dataplane;
pub mod error;
pub mod github;
pub mod iam;
pub mod kms;
pub mod knative;
pub mod logging;
pub mod proxy;
pub mod registry;
pub mod run;
pub mod runner;
pub mod runtime;
pub mod server;
pub mod serviceusage;
pub mod storage;
pub mod tokens;
pub mod world;

pub use server::{Emulator, StartError};
pub use world::{Config, World};
