//! What is said of an image by who tested it, and when it counts.
//!
//! After an environment passes, two statements are attached to the image's digest: the verdict, in
//! the words that any in-toto tool reads ([`test_result`]), and the record, with everything that
//! those words have no field for ([`record`]). The next environment asks for the verdict.
//!
//! Nothing of a signed statement is parsed before its signature was verified, and what was verified
//! is what is parsed. Only what is found can admit a release: nothing that is missing or that
//! somebody adds beside it changes an admission.
//!
//! | module | holds |
//! |---|---|
//! | [`statement`] | in-toto Statement v1: what is said, of which digests |
//! | [`test_result`] | the verdict as a predicate |
//! | [`record`] | the record as a predicate |
//! | [`candidate`] | what was measured of a candidate that waits: no pass yet |
//! | [`envelope`] | DSSE: what is signed, and by which key |
//! | [`stored`] | how an envelope lies in a registry |
//! | [`judge`] | seen envelopes + trusted key → what counts |
//! | [`mod@admit`] | what counts + what is asked → go on, or the diagnostic |

pub mod admit;
pub mod candidate;
pub mod envelope;
pub mod judge;
pub mod record;
pub mod statement;
pub mod stored;
pub mod test_result;

#[cfg(test)]
mod tests;

pub use admit::{Asked, admit};
pub use candidate::{CandidateRecord, Waiting};
pub use envelope::{Envelope, Signature, pae};
pub use judge::{Finding, Passed, SeenEvidence, TrustedKey, judge_evidence};
pub use record::DeliveryRecord;
pub use statement::{ResourceDescriptor, Statement};
pub use stored::{Stored, StoredError};
pub use test_result::{TestOutcome, TestResult};

/// Largest envelope that is read, in bytes: ours are a few KiB; a record of many measurements stays
/// far below.
pub const LARGEST_ENVELOPE: usize = 1 << 20;
