//! The pure domain of delivery: types, planning, judging, deciding.
