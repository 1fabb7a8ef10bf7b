"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

__version__: str
