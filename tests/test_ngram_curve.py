"""`lexigram.ngram_curve`, its picture, and `lexigram ngram curve`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram import NgramModel, Tokenizer
from lexigram.cli import ngram
from lexigram.errors import InvalidInputError
from lexigram.figures import Line, _spread, draw_lines
from lexigram.ngram_curve import CurvePoint, as_csv, learning_curve, meetings, verdict

V, END = 12, 0
KN, SB = "modified_kneser_ney", "stupid_backoff"


def stream(seed: int, documents: int) -> np.ndarray:
    """Documents of a process in which the last id makes some of the next likelier."""
    draw = np.random.default_rng(seed)
    ids: list[int] = []
    for _ in range(documents):
        last = 1
        for _ in range(int(draw.integers(0, 30))):
            last = int(draw.choice([last % (V - 2) + 1, draw.integers(1, V - 1)]))
            ids.append(last)
        ids.append(END)
    return np.array(ids, dtype=np.uint16)


TRAIN, HELD = stream(0, 60), stream(1, 10)
COMMON = {"vocab_size": V, "document_separator": END}


def curve(**changes: object) -> list[CurvePoint]:
    settings = {"orders": (1, 3), "fractions": (0.1, 1), "smoothings": (KN, SB), **COMMON}
    return learning_curve(TRAIN, HELD, 100, **{**settings, **changes})  # type: ignore[arg-type]


def naive_bits(model: NgramModel, held: np.ndarray, ends: bool) -> float:
    """−Σ log₂ p of each token after those before it, back to the last separator, one at a time."""
    bits, ids = 0.0, [END, *held.tolist()]
    for place in range(1, len(ids)):
        begin = max(n for n in range(place) if ids[n] == END)
        context = ids[max(begin, place - model.order + 1) : place]
        if ends or ids[place] != END:
            bits -= float(model.next_logprobs(context, dtype=np.float64)[ids[place]])
    return bits / math.log(2)


@pytest.mark.parametrize("ends", [False, True])
def test_points_are_the_figures_of_models_trained_alone(ends: bool) -> None:
    points = curve(measure_ends=ends)
    assert [(p.fraction, p.order, p.smoothing) for p in points] == [
        (f, n, s) for f in (0.1, 1) for n in (1, 3) for s in (KN, SB)
    ]
    for point in points:
        part = TRAIN[: round(point.fraction * len(TRAIN))]
        assert point.tokens == len(part)
        model = NgramModel.train(part, order=point.order, smoothing=point.smoothing, **COMMON)
        assert point.ngrams == sum(model.num_ngrams)
        if point.smoothing == KN:
            expected = naive_bits(model, HELD, ends)
        else:
            front = np.concatenate([[END], HELD])
            scores = model.normalized().score(front, dtype=np.float64)[1:]
            expected = -float(scores[(HELD != END) | ends].sum()) / math.log(2)
        assert point.bits_per_byte == pytest.approx(expected / 100, rel=1e-6)
        counted = len(HELD) if ends else int((HELD != END).sum())
        assert point.perplexity == pytest.approx(2 ** (expected / counted), rel=1e-6)


def test_stupid_backoff_is_measured_over_its_sums() -> None:
    """All ids were seen, so the scores themselves are what is normalised."""
    everything = np.concatenate([np.arange(V, dtype=np.uint16), [END], TRAIN])
    model = NgramModel.train(everything, order=3, smoothing=SB, **COMMON)
    scores = model.next_logprobs([END], dtype=np.float64)
    assert np.isfinite(scores).all()
    bits, ids = 0.0, [END, *HELD.tolist()]
    for place in range(1, len(ids)):
        if ids[place] != END:
            row = np.exp(model.next_logprobs(ids[max(0, place - 2) : place], dtype=np.float64))
            bits -= math.log2(row[ids[place]] / row.sum())
    (point,) = learning_curve(
        everything, HELD, 7, orders=[3], fractions=[1], smoothings=[SB], **COMMON
    )
    assert point.bits_per_byte == pytest.approx(bits / 7, rel=1e-5)


def test_more_text_is_never_other_text_and_helps() -> None:
    points = [p for p in curve(fractions=(1, 0.1, 0.4, 0.1)) if (p.order, p.smoothing) == (3, KN)]
    assert [p.fraction for p in points] == [0.1, 0.4, 1]
    assert points[-1].bits_per_byte < points[0].bits_per_byte


def test_limits_are_told() -> None:
    for fraction in (0, -1, 1.5, math.nan):
        with pytest.raises(InvalidInputError, match="at most 1"):
            curve(fractions=(fraction,))
    with pytest.raises(InvalidInputError, match="that is none"):
        curve(fractions=(1e-9,))
    with pytest.raises(InvalidInputError, match="held-out text is empty"):
        learning_curve(TRAIN, HELD[:0], 1, orders=[1], fractions=[1], smoothings=[KN], **COMMON)


def test_progress_counts_models() -> None:
    told: list[tuple[int, int]] = []
    curve(progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 8) for n in range(9)]


def points_of(gaps: list[float], order: int = 5) -> list[CurvePoint]:
    """Points at 10, 100, 1000 … tokens whose two smoothings are `gaps` apart."""
    return [
        CurvePoint(s, order, 0.1, 10 ** (n + 1), 2.0 + (gap if s == SB else 0), 4.0, 1, 0.0)
        for n, gap in enumerate(gaps)
        for s in (KN, SB)
    ]


@pytest.mark.parametrize(
    ("gaps", "tokens"),
    [
        ([1.0, 0.5, 0.25], None),
        ([1.0, -1.0], 10**1.5),
        ([1.0, -1.0, 0.5], None),  # they met, and parted again
        ([-1.0, 1.0, -3.0], 10**2.25),
        ([-0.1, -0.2], 10.0),
        ([0.5, 0.0], 100.0),
    ],
)
def test_where_they_meet(gaps: list[float], tokens: float | None) -> None:
    (meeting,) = meetings(points_of(gaps))
    assert meeting.gap_first == pytest.approx(gaps[0])
    assert meeting.gap_last == pytest.approx(gaps[-1])
    assert meeting.tokens == (None if tokens is None else pytest.approx(tokens))


@given(st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]), min_size=2, max_size=7))
def test_from_the_meeting_on_backoff_is_no_worse(gaps: list[float]) -> None:
    (meeting,) = meetings(points_of(gaps))
    places = np.linspace(1, len(gaps), 2001)
    lines = np.interp(places, np.arange(1, len(gaps) + 1), gaps)
    positive = places[lines > 1e-9]
    if meeting.tokens is None:
        assert gaps[-1] > 0
    else:
        last = positive[-1] if len(positive) else 1.0
        assert math.log10(meeting.tokens) == pytest.approx(last, abs=0.01)


def test_the_verdict_says_what_the_numbers_say() -> None:
    apart = verdict(points_of([0.5, 0.25]))
    assert "do not meet at any order, up to 100 training tokens" in apart
    assert "order 5: +0.5000 to +0.2500, narrowing" in apart
    assert "+0.2500 to +0.5000, widening" in verdict(points_of([0.25, 0.5]))
    arch = verdict(points_of([0.25, 0.75, 0.5]))
    assert "most with +0.7500 at about 100 tokens and narrower since" in arch
    together = verdict(points_of([1.0, -1.0]))
    assert "meet at every order" in together
    assert "they meet at about 32 tokens" in together
    both = verdict(points_of([1.0, -1.0], order=2) + points_of([0.5, 0.25], order=3))
    assert "meet at order 2 only" in both
    assert "order 3: +0.5000 to +0.2500, narrowing" in both
    assert "says nothing" in verdict(points_of([0.5]))


def test_csv_reads_back() -> None:
    points = curve()
    rows = list(csv.DictReader(io.StringIO(as_csv(points))))
    assert [float(row["bits_per_byte"]) for row in rows] == [p.bits_per_byte for p in points]
    assert [row["smoothing"] for row in rows] == [p.smoothing for p in points]


@given(st.lists(st.floats(0, 10), max_size=12), st.floats(0.01, 2))
def test_labels_keep_their_order_and_distance(values: list[float], least: float) -> None:
    values.sort()
    placed = _spread(values, least)
    assert len(placed) == len(values)
    assert all(b - a >= least - 1e-6 for a, b in pairwise(placed))
    assert sum(placed) == pytest.approx(sum(values), abs=1e-6)
    if all(b - a > least for a, b in pairwise(values)):
        assert placed == pytest.approx(values)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    lines = [Line(f"line {n}", [1, 10, 100], [3 - n, 2, 1 + n / 10], n, n % 2) for n in range(3)]
    draw_lines(
        lines, tmp_path / "a.svg", title="T", x_label="x", y_label="y", strokes=["one", "two"]
    )
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


TEXT = [f"line {n} of the text has {n % 7} words\nand a second {n % 3}\n" for n in range(300)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of many documents, and a tokenizer."""
    rows = "".join(json.dumps({"text": text}) + "\n" for text in TEXT)
    (tmp_path / "text.jsonl").write_text(rows)
    Tokenizer.train(TEXT, 300, special_tokens=["<|endoftext|>"]).save(tmp_path / "tok.json")
    return tmp_path


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    ngram.add_parser(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["ngram", "curve", *map(str, arguments)])
    status: int = args.run(args)
    return status


@pytest.mark.parametrize("words", [False, True])
def test_the_command_writes_figures_and_a_picture(
    folder: Path, words: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    kind = ["--words"] if words else ["--tokenizer", folder / "tok.json"]
    out = folder / "curve"
    arguments = [folder / "text.jsonl", *kind, "--orders", "1-3", "--fractions", "0.2,1"]
    assert run(*arguments, "--out", out, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader((out / "curve.csv").read_text().splitlines()))
    assert len(rows) == len(said["points"]) == 3 * 2 * 2
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in out.iterdir()) == ["curve.csv", "curve.png"]
    assert all(0 < point["bits_per_byte"] < 8 for point in said["points"])
    assert "order 3" in said["verdict"]
    assert run(*arguments, "--out", out) == 0  # again, over what is there
    assert said["verdict"] in capsys.readouterr().out


def test_without_matplotlib_the_figures_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    arguments = [folder / "text.jsonl", "--words", "--orders", "2", "--fractions", "0.5,1"]
    assert run(*arguments, "--out", folder / "curve") == 0
    told = capsys.readouterr()
    assert "lexigram[plot]" in told.err
    assert "curve.csv" in told.out
    assert [path.name for path in (folder / "curve").iterdir()] == ["curve.csv"]


def test_wrong_arguments_are_told(folder: Path) -> None:
    common = [folder / "text.jsonl", "--words", "--out", folder / "curve"]
    with pytest.raises(InvalidInputError, match=r"--held-out 1\.0"):
        run(*common, "--held-out", 1)
    with pytest.raises(InvalidInputError, match=r"fraction = 2\.0"):
        run(*common, "--fractions", 2)
    (folder / "one.txt").write_text("one piece")
    with pytest.raises(InvalidInputError, match="too few to hold some out"):
        run(folder / "one.txt", "--words", "--out", folder / "curve")
    for wrong in (["--smoothings", "none"], ["--orders", "a"], ["--fractions", "x"]):
        with pytest.raises(SystemExit) as caught:
            run(*common, *wrong)
        assert caught.value.code == 2
    assert not (folder / "curve").exists()
