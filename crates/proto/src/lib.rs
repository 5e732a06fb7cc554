//! Protocol decoders: bytes in, field spans out
