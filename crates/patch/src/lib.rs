//! YAML patches to a checked plan
