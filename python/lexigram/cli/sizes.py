"""Sizes as arguments: `--memory-limit 2G`."""

from __future__ import annotations

import argparse
import re

__all__ = ["size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size(text: str) -> int:
    """Bytes, from digits and a K, M, G or T of 1,024 each; anything else is a usage error, which
    argparse prefixes with the option's name."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no size; write 512M or 2G")
    number = float(match[1]) * 1024 ** _POWERS[match[2].upper()]
    if not 1 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not from 1 byte to 2^63 - 1")
    return int(number)
