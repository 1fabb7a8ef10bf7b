"""Readable twins of the algorithms that lexigram computes fast: text for students, and the oracle
of the tests. They use the standard library and NumPy only, nothing of lexigram."""
