//! Decide and apply: plan x fields -> edits -> bytes
