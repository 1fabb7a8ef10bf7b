"""Decoding: from a language model's scores to text, with a record of every choice.

`generate` and `stream` continue a prompt, `trace_of` and `score_text` record what a model makes of
text that is there; `Strategy` is the pipeline by which tokens are chosen. None asks which kind of
model it is, and importing this does not load torch.
"""

from lexigram.decode.generation import (
    Generation,
    generate,
    score_text,
    stream,
    trace_of,
)
from lexigram.decode.sample import gumbel_noise
from lexigram.decode.strategy import Strategy, Transform
from lexigram.decode.text import StreamedText
from lexigram.decode.trace import Alternative, Trace, TraceStep

__all__ = [
    "Alternative",
    "Generation",
    "Strategy",
    "StreamedText",
    "Trace",
    "TraceStep",
    "Transform",
    "generate",
    "gumbel_noise",
    "score_text",
    "stream",
    "trace_of",
]
