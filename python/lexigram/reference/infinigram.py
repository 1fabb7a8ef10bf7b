"""The ∞-gram in a page of Python: what `lexigram.SuffixIndex` answers, by looking everywhere.

Liu et al. 2024, "Infini-gram: Scaling Unbounded n-gram Language Models to a Trillion Tokens".
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Infinigram"]


class Infinigram:
    """A corpus as a list of documents. With a separator s each is read as `s w₁ … wₙ s`: one s
    ends a document and begins the next, and one more stands in front of the first."""

    def __init__(
        self, stream: Sequence[int], *, vocab_size: int, document_separator: int | None = None
    ) -> None:
        self.vocab_size = vocab_size
        self.separator = document_separator
        self.num_tokens = len(stream)
        self.documents: list[list[int]] = [[]]
        for token in stream:
            self.documents[-1].append(token)
            if token == document_separator:
                self.documents.append([])
        self.documents = [document for document in self.documents if document]
        if document_separator is not None:
            self.documents = [[document_separator, *document] for document in self.documents]

    def count(self, ids: Sequence[int]) -> int:
        """c(ids): places inside one document. A separator alone counts the ends."""
        n, wanted = len(ids), list(ids)
        if n == 0:
            return self.num_tokens
        first = 1 if wanted == [self.separator] else 0
        return sum(
            document[i : i + n] == wanted
            for document in self.documents
            for i in range(first, len(document) - n + 1)
        )

    def next_counts(self, context: Sequence[int]) -> list[int]:
        """c(context x) for each token x."""
        return [self.count([*context, token]) for token in range(self.vocab_size)]

    def infinigram(self, context: Sequence[int]) -> tuple[list[float], int]:
        """p (V,) after the longest suffix of the context that something follows, and the length
        of the n-grams that were counted."""
        suffix = list(context)
        while self.separator in suffix[1:]:  # a context does not go over the end of a document
            del suffix[0]
        counts = self.next_counts(suffix)
        while sum(counts) == 0:
            del suffix[0]
            counts = self.next_counts(suffix)
        return [count / sum(counts) for count in counts], len(suffix) + 1

    def trace(self, ids: Sequence[int], min_length: int) -> list[tuple[int, int, int]]:
        """(start, end, count) of the runs that stand in a document and that no id before or after
        can be added to."""

        def stands(start: int, end: int) -> bool:
            inside = start >= 0 and end <= len(ids)
            return (
                inside and self.separator not in ids[start:end] and self.count(ids[start:end]) > 0
            )

        return [
            (start, end, self.count(ids[start:end]))
            for start in range(len(ids))
            for end in range(start + min_length, len(ids) + 1)
            if stands(start, end) and not stands(start - 1, end) and not stands(start, end + 1)
        ]
