"""Readable twins of the fast code: definitions in plain Python and NumPy, oracles in the tests."""
