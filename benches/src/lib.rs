//! Instruction counts and throughput.
