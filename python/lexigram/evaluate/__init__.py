"""Evaluation of any `LanguageModel`: numbers that compare models, with the parts they are made
of. Importing this does not load torch."""

from lexigram.evaluate.bits_per_byte import (
    Score,
    bits_per_byte,
    bits_per_byte_of_dataset,
    score_dataset,
    score_documents,
    score_texts,
)
from lexigram.evaluate.uniform import Uniform

__all__ = [
    "Score",
    "Uniform",
    "bits_per_byte",
    "bits_per_byte_of_dataset",
    "score_dataset",
    "score_documents",
    "score_texts",
]
