//! GitHub: context, approval gate, deployments.
