//! Entry point of `ml-deploy`.

fn main() {}
