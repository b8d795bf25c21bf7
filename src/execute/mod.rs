//! Walks a plan; guards it against failure, signals and the deadline.
