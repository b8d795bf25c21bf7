//! Events and diagnostics → text.
