//! Decisions of GUARD: facts in, verdict out.
