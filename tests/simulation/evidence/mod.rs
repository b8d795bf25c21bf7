//! Deliveries with their evidence: asked for before, attached after, made up for when missing. The
//! program's own rule runs, over a place of evidence in memory that fails as the rest of the world does.
//!
//! | module | holds |
//! |---|---|
//! | `vault` | the place of evidence, its keys, and what must hold of what lies there |
//! | `runs` | the program under test: the rule around the delivery, and mutants of it |
//! | `story` | what happens, who comes after, how it must end |
//! | `plays` | named stories, killed at each request; stories by seed; mutants |

mod plays;
mod runs;
mod story;
mod vault;
