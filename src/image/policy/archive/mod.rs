//! Archives as streams: nothing is unpacked, memory is bounded.

pub mod tar;
