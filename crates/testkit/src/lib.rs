//! Builders and assertions for scenario tests.
