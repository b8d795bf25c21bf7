//! Cloud reads → `delivery::snapshot::Snapshot`.
