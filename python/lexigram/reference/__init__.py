"""Readable twins of what the Rust core does fast: oracles for the tests, text for students."""
