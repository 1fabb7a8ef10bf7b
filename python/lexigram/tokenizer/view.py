"""Where tokens begin and end in a text, to look at: parts for a terminal, and a page of HTML.

A token that holds only a part of a character is shown as its bytes, `\\xNN`. Text is hostile:
nothing of it can steer a terminal, run in a browser, or reorder what is shown.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lexigram.errors import InvalidInputError
from lexigram.tokenizer import Tokenizer

__all__ = ["Token", "html_page", "tokens_of"]

_LIMIT = 200_000
"""More tokens than this make a page that browsers cannot scroll."""

_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # ordinary letters of several scripts: seen by what they join
_MARKS = {"\n": "⏎\n", "\t": "⇥\t", "\r": "␍"}


@dataclass(frozen=True)
class Token:
    """One token of a text."""

    id: int
    content: bytes
    special: bool

    @property
    def is_whole(self) -> bool:
        """Whether its bytes are whole characters."""
        try:
            self.content.decode()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def shown(self) -> str:
        """Its text, with signs for line breaks and tabs, and an escape for every byte that is no
        whole character, and for every character that is not seen or could steer what shows it."""
        text = self.content.decode(errors="backslashreplace")
        kept = _JOINERS if text.strip(_JOINERS) else ""
        return "".join(_MARKS.get(c) or (c if c in kept else _visible(c)) for c in text)


def tokens_of(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Token]:
    """The tokens of ids, for a view; `TokenIdError` for an id that is none."""
    special = set(tokenizer.special_tokens.values())
    contents = tokenizer.decode_tokens_bytes(ids)
    return [Token(i, c, i in special) for i, c in zip(map(int, ids), contents, strict=True)]


def _visible(c: str) -> str:
    return c.encode("unicode_escape").decode() if unicodedata.category(c) in _STEERING else c


def html_page(tokens: Sequence[Token], *, title: str) -> str:
    """One HTML file that needs nothing else: tokens in alternating colours that stay readable in
    light and dark, id and bytes where the pointer or the keyboard's focus is.

    Raises `InvalidInputError` for more than 200,000 tokens.
    """
    if len(tokens) > _LIMIT:
        raise InvalidInputError(
            f"{len(tokens)} tokens are too many for a page, which holds at most {_LIMIT}; view a "
            "part of the text"
        )
    size = sum(len(token.content) for token in tokens)
    facts = f"{len(tokens):,} tokens · {size:,} bytes"
    if tokens:
        facts += f" · {size / len(tokens):.2f} bytes per token"
    body = "".join(_spans(tokens))
    return _PAGE.format(title=html.escape(_line(title)), facts=facts, body=body)


def _line(text: str) -> str:
    return "".join(map(_visible, " ".join(text.split())))


def _spans(tokens: Iterable[Token]) -> Iterable[str]:
    for number, token in enumerate(tokens):
        kinds = f"c{number % 4}" + " part" * (not token.is_whole) + " special" * token.special
        note = f"id {token.id} · {token.content.hex(' ')}"
        text = html.escape(token.shown)
        yield f'<span class="{kinds}" tabindex="0" data-note="{note}" title="{note}">{text}</span>'


# Colours: text on each background has a contrast of at least 7 : 1 (WCAG AAA), light and dark.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark;
  --page: #ffffff; --ink: #16191d; --quiet: #4a5058; --line: #c9ced6;
  --c0: #cfe3ff; --c1: #ffe2b8; --c2: #cdeed3; --c3: #ecd9fb; --part: #b3261e; --special: #ffd0d0;
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --page: #121417; --ink: #f1f3f5; --quiet: #b4bac2; --line: #3a4048;
    --c0: #173a63; --c1: #553a06; --c2: #17472a; --c3: #442a5c; --part: #ff9d94; --special: #6b1d1d;
  }}
}}
body {{
  margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem;
  background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
}}
h1 {{ font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }}
p {{ color: var(--quiet); margin: .25rem 0 1rem; }}
main {{
  border: 1px solid var(--line); border-radius: .5rem; padding: 1rem;
  font: .95rem/1.9 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; unicode-bidi: plaintext;
}}
span {{
  border-radius: .2rem; padding: .1rem 0; position: relative;
  box-decoration-break: clone; -webkit-box-decoration-break: clone;
}}
.c0 {{ background: var(--c0); }} .c1 {{ background: var(--c1); }}
.c2 {{ background: var(--c2); }} .c3 {{ background: var(--c3); }}
.part {{ border-bottom: 2px dotted var(--part); direction: ltr; unicode-bidi: isolate; }}
.special {{ background: var(--special); font-weight: 700; }}
span:hover, span:focus-visible {{ outline: 2px solid var(--ink); outline-offset: 1px; z-index: 1; }}
span:focus-visible::after {{
  content: attr(data-note); position: absolute; left: 0; top: 100%; z-index: 2;
  background: var(--ink); color: var(--page); border-radius: .25rem; padding: 0 .5rem;
  font-size: .8rem; white-space: nowrap;
}}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{facts}. Point at a token, or move to it with Tab, for its id and bytes; a dotted line marks a
part of a character.</p>
<main>{body}</main>
</body>
</html>
"""
