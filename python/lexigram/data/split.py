"""Held-out text without leaks: a document's own content decides on which side it lies.

Definition. The first 64 bits h of BLAKE2b (RFC 7693), keyed with the seed, over the document's
UTF-8 bytes give u = h / 2^64 in [0, 1); the document belongs to the split whose interval of the
cumulated fractions holds u.

Invariant. Equal texts lie on the same side, whatever their source, order or number: no exact
duplicate leaks from train to validation. Adding documents moves no other document.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from lexigram.errors import InvalidInputError

__all__ = ["split_of"]


def split_of(text: str, fractions: Mapping[str, float], *, seed: int = 0) -> str:
    """The name of the split that a document belongs to, such as "train" of
    `{"train": 0.95, "validation": 0.05}`.

    `fractions` are at least 0 and sum to 1; each is the expected part of the documents (not of the
    bytes). Raises `InvalidInputError`.
    """
    total = math.fsum(fractions.values())
    if any(not f >= 0 for f in fractions.values()) or abs(total - 1) > 1e-9:
        raise InvalidInputError(
            f"fractions = {dict(fractions)}: must be at least 0 and sum to 1, not {total:g}"
        )
    if not 0 <= seed < 2**64:
        raise InvalidInputError(f"seed = {seed}: must be 0 to 2**64 - 1")
    content = text.encode("utf-8", "surrogatepass")
    key = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(content, digest_size=8, key=key).digest()
    u = int.from_bytes(digest, "little") / 2**64
    chosen, reached = "", 0.0
    for name, fraction in fractions.items():
        if fraction > 0:
            chosen, reached = name, reached + fraction
            if u < reached:
                break
    return chosen  # rounding may leave u above the last sum: the last split that is not empty
