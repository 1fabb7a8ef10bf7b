"""Drawing a token: the Gumbel-max trick with noise that is keyed, not streamed.

Definition. Let g_v be independent standard Gumbel variables. Then argmax_v (s_v + g_v) is
distributed as softmax(s) [Gumbel 1954; Maddison, Tarlow and Minka 2014]. Here g_v is a pure
function of (seed, step, v): word v of the Philox4x64-10 counter generator [Salmon et al. 2011]
under the key (seed, step).

Invariant, "same dice": two strategies with one seed meet the same noise at each step, so they
choose differently only where the strategies differ. Where a strategy only masks tokens, the
winner stays the winner unless it is masked.

Philox works on integers, so the random words are the same on every machine; the two logarithms
that follow may differ in the last bit between mathematics libraries, which changes a choice only
if two sums agree to some 15 digits.
"""

from __future__ import annotations

import numpy as np

from lexigram.decode.processors import Scores
from lexigram.errors import InvalidInputError

__all__ = ["check_seed", "choose", "gumbel_noise"]

_SEED_LIMIT = 2**64


def check_seed(seed: int) -> int:
    """`seed` as an int; raises `InvalidInputError` unless it is an integer of 64 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InvalidInputError(f"seed={seed!r}: must be an integer from 0 to 2**64 - 1")
    if not 0 <= seed < _SEED_LIMIT:
        raise InvalidInputError(f"seed={seed}: must be from 0 to 2**64 - 1")
    return int(seed)


def gumbel_noise(seed: int, step: int, vocab_size: int) -> Scores:
    """Standard Gumbel noise (V,), element v a function of (seed, step, v) alone."""
    key = np.array([seed, step], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(vocab_size)
    # 52 bits and a half: exact in float64 and never 0 or 1, so that both logarithms are finite.
    uniform = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return np.asarray(-np.log(-np.log(uniform)))


def choose(scores: Scores, *, seed: int, step: int) -> int:
    """One token id drawn from softmax of `scores` (V,), with the noise of (seed, step)."""
    return int(np.argmax(scores + gumbel_noise(seed, step, scores.shape[-1])))
