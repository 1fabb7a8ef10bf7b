"""`lexigram ngram generate`: continues a prompt with a counted model of tokens or of words."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from lexigram.cli.arguments import argument_text
from lexigram.cli.ngram.opening import action
from lexigram.cli.ngram.vocabulary import TokenText, Vocabulary, vocabulary_of
from lexigram.cli.terminal import err, out, visible
from lexigram.decode import Strategy, generate
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel


def add_actions(actions: Any) -> None:
    """Adds `generate`."""
    parser = action(
        actions,
        "generate",
        _generate,
        "Continues a prompt, up to the end of the document or of the sentence.",
        examples='generate kn5.ngram --prompt "def main(" --strategy top_k=40 --seed 7\n'
        'generate words.ngram --prompt "It was" --strategy temperature=0.8,top_p=0.95',
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("--prompt", default="", metavar="TEXT", help="what to continue (default: nothing)")
    add("--strategy", default="sample", metavar="TEXT", help="as of `lexigram generate`")
    add("--seed", type=int, default=0, metavar="N", help="of the dice (default 0)")
    add("--max-new-tokens", type=int, default=128, metavar="N", help="default 128")
    add("--stop", action="append", metavar="TEXT", help="end before this text; may be repeated")


class _Pieces:
    """Tokens as `lexigram.decode` writes them out: words with a blank after each."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._after = b"" if isinstance(vocabulary, TokenText) else b" "

    def decode_single_token_bytes(self, token: int, /) -> bytes:
        return self._vocabulary.piece(token) + self._after


def _generate(args: argparse.Namespace) -> int:
    strategy = Strategy.parse(args.strategy)
    for stop in args.stop or ():
        argument_text("--stop", stop)
    model = NgramModel.load(args.model)
    vocabulary = vocabulary_of(model)
    if vocabulary is None:
        raise InvalidInputError(f"{args.model} carries no tokenizer, so it cannot write text")
    generation = generate(
        model,
        vocabulary.encode(os.fsencode(args.prompt), whole=False),
        strategy=strategy,
        max_new_tokens=args.max_new_tokens,
        seed=args.seed,
        stop=args.stop,
        tokenizer=_Pieces(vocabulary),
    )
    text = generation.text or ""
    if not isinstance(vocabulary, TokenText):
        text = text.rstrip(" ")
    if args.json:
        result = {
            "text": text,
            "ids": generation.ids,
            "finish_reason": generation.finish_reason,
            "trace": generation.trace.to_dict(),
        }
        out.out(json.dumps(result, ensure_ascii=True))
    else:
        out.file.write(f"{visible(text) if out.is_terminal else text}\n")
    err.print(
        f"{len(generation.ids)} tokens ({generation.finish_reason}), {strategy}, seed {args.seed}"
    )
    return 0
