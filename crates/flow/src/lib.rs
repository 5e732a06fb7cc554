//! Flow table, stream assembly, sequence maps; sans-I/O
