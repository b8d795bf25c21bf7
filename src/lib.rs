//! The shell of `ml-deploy`: IO, wiring and words around the pure core in `delivery`.
