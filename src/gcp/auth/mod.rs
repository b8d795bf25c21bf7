//! Credentials → access tokens and ID tokens.
