//! Per-core counters summed on scrape
