"""Interpolated modified Kneser-Ney over token ids, in dictionaries, by the definition.

The idea. Relative frequencies of n-grams are good where an n-gram is frequent and useless where
it was never seen. So a little is taken from every count, and what was taken is given to the
distribution after the shorter context. That distribution need not know how *often* a word
appears, only in how many *different* places: "Francisco" is frequent, but only after "San", and
where "San" has already had its say, it deserves little. So orders below the highest count not
occurrences but distinct left neighbours.

For an n-gram g = hw (context h, last word w; h′ is h without its oldest word) and order N:

    c(g)    how often g stands inside a document
    a(g)  = c(g) if g has N words or begins with the begin marker,
            else the number of distinct left neighbours of g
    n_j   = the number of k-grams with a = j;  Y = n_1 / (n_1 + 2 n_2)
    D_j   = j − (j + 1) Y n_{j+1} / n_j  for j = 1, 2, 3;  D_3 also for a > 3
    p(w|h) = (a(hw) − D_{a(hw)} + (Σ_x D_{a(hx)}) p(w|h′)) / Σ_x a(hx)

down to the uniform distribution 1/V below the unigrams. After a context that was never seen,
p(w|h) = p(w|h′). Where an order has no n_1, n_2 or n_3, or a D_j outside [0, j], it takes
D = ½, 1, 1½.

Sources: Kneser and Ney 1995; Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques
for Language Modeling", sections 4.1.4 to 4.1.6; Heafield, Pouzyrevsky, Clark and Koehn 2013,
"Scalable Modified Kneser-Ney Language Model Estimation", section 2.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

BEGIN = -1
"""What stands left of a document's first token: the separator in its other role."""

Gram = tuple[int, ...]


class KneserNey:
    """A model of `order` over ids 0 … `vocab_size` − 1, trained on the stream `tokens`.

    With a `document_separator` s, the stream is `document s document s …`; each document begins
    with a marker that is never predicted and ends with s, which is. Without, the stream is one
    document, whose start is a left neighbour but no part of an n-gram.
    """

    def __init__(
        self,
        tokens: Sequence[int],
        order: int,
        vocab_size: int,
        document_separator: int | None = None,
    ) -> None:
        self.order = order
        self.vocab_size = vocab_size
        self.document_separator = document_separator
        counts: Counter[Gram] = Counter()
        neighbours: defaultdict[Gram, set[int]] = defaultdict(set)
        for document in self._documents(tokens):
            for start in range(len(document)):
                for stop in range(start + 1, min(start + order, len(document)) + 1):
                    gram = document[start:stop]
                    if gram != (BEGIN,):
                        counts[gram] += 1
                        neighbours[gram].add(document[start - 1] if start > 0 else BEGIN)
        self.adjusted: dict[Gram, int] = {
            gram: count if len(gram) == order or gram[0] == BEGIN else len(neighbours[gram])
            for gram, count in counts.items()
        }
        self.counts_of_counts = [self._counts_of_counts(k) for k in range(1, order + 1)]
        self.discounts = [discounts(n) for n in self.counts_of_counts]
        self._followers: defaultdict[Gram, dict[int, int]] = defaultdict(dict)
        for gram, count in self.adjusted.items():
            self._followers[gram[:-1]][gram[-1]] = count

    def _documents(self, tokens: Sequence[int]) -> Iterator[Gram]:
        if self.document_separator is None:
            yield tuple(tokens)
            return
        document = [BEGIN]
        for token in tokens:
            document.append(token)
            if token == self.document_separator:
                yield tuple(document)
                document = [BEGIN]
        yield tuple(document)  # unfinished: its end is not counted

    def _counts_of_counts(self, k: int) -> tuple[int, int, int, int]:
        n = Counter(count for gram, count in self.adjusted.items() if len(gram) == k)
        return n[1], n[2], n[3], n[4]

    def _discount(self, length: int, count: int) -> float:
        return self.discounts[length - 1][min(count, 3) - 1] if count > 0 else 0.0

    def context(self, prefix: Sequence[int]) -> Gram:
        """What the model sees of a prefix: at most `order` − 1 tokens, none before the last
        separator, which is read as the begin marker."""
        seen: list[int] = []
        for token in prefix:
            seen = [BEGIN] if token == self.document_separator else [*seen, token]
        return tuple(seen[max(0, len(seen) - self.order + 1) :])

    def probability(self, word: int, context: Gram) -> float:
        """p(word | context) for a context of at most `order` − 1 tokens."""
        lower = self.probability(word, context[1:]) if context else 1 / self.vocab_size
        followers = self._followers.get(context)
        if followers is None:
            return lower
        length = len(context) + 1
        own = followers.get(word, 0)
        taken = sum(self._discount(length, count) for count in followers.values())
        return (own - self._discount(length, own) + taken * lower) / sum(followers.values())

    def score(self, tokens: Sequence[int]) -> list[float]:
        """The probability of each token given those before it."""
        return [self.probability(token, self.context(tokens[:i])) for i, token in enumerate(tokens)]

    def distribution(self, prefix: Sequence[int]) -> list[float]:
        """The probability of every id after `prefix`."""
        context = self.context(prefix)
        return [self.probability(word, context) for word in range(self.vocab_size)]


def discounts(n: tuple[int, int, int, int]) -> tuple[float, float, float]:
    """D_1, D_2, D_3+ from n_1 … n_4."""
    fallback = (0.5, 1.0, 1.5)
    if 0 in n[:3]:
        return fallback
    y = n[0] / (n[0] + 2 * n[1])
    d1, d2, d3 = (j - (j + 1) * y * n[j] / n[j - 1] for j in (1, 2, 3))
    return (d1, d2, d3) if 0 <= d1 <= 1 and 0 <= d2 <= 2 and 0 <= d3 <= 3 else fallback
