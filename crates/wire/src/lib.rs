//! Header views, checksums and sequence numbers
