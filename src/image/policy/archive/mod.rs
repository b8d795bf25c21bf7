//! Archives as streams: nothing is unpacked, memory is bounded.
//!
//! | module | holds |
//! |---|---|
//! | [`tar`] | a tar archive, one entry after another |
//! | [`saved`] | an image as `docker save` and the Engine API write it |
//! | [`flat`] | layers → the files that a container sees |
//! | [`packed`] | gzip, zstd or plain |

pub mod flat;
pub mod packed;
pub mod saved;
pub mod tar;
