"""Text that comes as an argument: the system hands over bytes, Python makes a string of them.

Bytes that are not UTF-8 stand in it as halves of surrogate pairs (PEP 383). A tokenizer would read
each as U+FFFD, so that another text were looked for or continued than was given.
"""

from __future__ import annotations

from lexigram.errors import EncodingError

__all__ = ["argument_bytes", "argument_text"]


def argument_text(name: str, value: str) -> str:
    """The value itself; raises `EncodingError` with the option's name if it was not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        before = len(value[: error.start].encode())
        raise EncodingError(f"{name} is not UTF-8 at byte {before}; convert it first") from None
    return value


def argument_bytes(name: str, value: str) -> bytes:
    """The bytes that were given, for what has its own way with those that are not UTF-8."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return argument_text(name, value).encode()
