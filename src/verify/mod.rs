//! API tests against a URL → evidence.
