//! Benchmarks only: `make bench` runs them, docs/performance.md keeps their figures.
