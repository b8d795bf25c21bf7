//! Every input, typed, defined once.
