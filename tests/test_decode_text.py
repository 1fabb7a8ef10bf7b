"""Text out of tokens: characters and stop strings across token boundaries."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lexigram.decode import StreamedText
from lexigram.decode.text import display

short = st.text(alphabet="ab€\n", max_size=12)
stops = st.lists(st.text(alphabet="ab€\n", min_size=1, max_size=3), max_size=3)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def naive(text: str, stop: list[str]) -> str:
    """Cuts before the stop string that is completed first; of several, the longest."""
    for end in range(1, len(text) + 1):
        ending = [s for s in stop if text[:end].endswith(s)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


@given(text=short, stop=stops, cuts=st.lists(st.integers(0, 99)))
def test_text_does_not_depend_on_the_tokens(text: str, stop: list[str], cuts: list[int]) -> None:
    stream = StreamedText(tuple(s.encode() for s in stop))
    pieces = []
    for piece in cut(text.encode(), cuts):
        pieces.append(stream.push(piece))
        assert naive(text, stop).startswith("".join(pieces))  # nothing is taken back
    pieces.append(stream.close())
    assert "".join(pieces) == naive(text, stop)
    assert stream.stopped == any(s in text for s in stop)


@given(text=short, cuts=st.lists(st.integers(0, 99)))
def test_without_stops_only_unfinished_characters_are_held(text: str, cuts: list[int]) -> None:
    stream, seen, shown = StreamedText(), b"", ""
    for piece in cut(text.encode(), cuts):
        seen += piece
        shown += stream.push(piece)
        assert shown == seen.decode(errors="ignore")


@given(data=st.binary(max_size=12), cuts=st.lists(st.integers(0, 99)))
def test_bytes_that_are_no_text_are_replaced(data: bytes, cuts: list[int]) -> None:
    stream = StreamedText()
    text = "".join(map(stream.push, cut(data, cuts))) + stream.close()
    assert text == data.decode(errors="replace")


def test_stop_string_is_held_back_until_it_is_certain() -> None:
    stream = StreamedText((b"\n\n",))
    assert [stream.push(p) for p in (b"a\n", b"b", b"\n", b"\nrest", b"more")] == [
        "a",
        "\nb",
        "",
        "",
        "",
    ]
    assert stream.stopped
    assert stream.close() == ""


def test_display_is_honest_about_bytes() -> None:
    assert display("€".encode()) == "€"
    assert display("€".encode()[:2]) == r"\xe2\x82"
    assert display(b"a\xff\n") == "a\\xff\n"
