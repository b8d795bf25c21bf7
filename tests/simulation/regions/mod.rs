//! Deliveries to two regions together: each has a world of its own, on one clock, and one run reaches
//! both.
//!
//! | module | holds |
//! |---|---|
//! | `story` | what happens, who comes after, what must hold of the regions together |
//! | `plays` | named stories, killed at each request in each region; stories by seed |
//! | `mutants` | programs whose regions do not go together |

mod mutants;
mod plays;
mod story;
