//! Benchmarks only: `make bench` runs them, docs/performance.md keeps their figures.

/// Linux's own count of the most memory of this process that was ever resident, in kB; 0 where nobody counts.
pub fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
