"""Checked on read: no way of reading gives a wrong token from a damaged file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_tokenizer import ByteTokenizer
from lexigram.data import TokenDataset, TokenLoader, tokenize
from lexigram.errors import FormatError, InvalidInputError

Read = Callable[[TokenDataset], Any]


def epoch(dataset: TokenDataset, **options: Any) -> list[list[int]]:
    loader = TokenLoader(dataset, batch_size=1, seq_len=5, seed=0, drop_last=False, **options)
    return [np.concatenate(batch).ravel().tolist() for batch in loader]


def outcome_of(work: Callable[[], Any]) -> tuple[Any, str]:
    """What it gives, or the message of its `FormatError`."""
    try:
        return work(), ""
    except FormatError as error:
        return None, str(error)


READS: dict[str, Read] = {
    "tokens": lambda d: d.tokens().tolist(),
    "slice": lambda d: d[2:17].tolist(),
    "backwards": lambda d: d[::-3].tolist(),
    "index": lambda d: [d[i] for i in range(len(d))],
    "iter": lambda d: list(d),
    "document": lambda d: d.document(2).tolist(),
    "documents": lambda d: [x.tolist() for x in d.documents()],
    "array": lambda d: np.asarray(d).tolist(),
    "contiguous": epoch,
    "best_fit": lambda d: epoch(d, packing="best_fit"),
    "prefetch": lambda d: epoch(d, prefetch=2),
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    tokenize(["one", "two", "", "three", "four"], ByteTokenizer(), tmp_path / "set", shard_tokens=8)
    return tmp_path / "set"


@pytest.mark.parametrize("name", READS)
def test_a_flipped_bit_is_an_error_or_changes_nothing(name: str, small: Path) -> None:
    """Every bit of every file, each with a fresh dataset: what is read is right, or nothing is."""
    read = READS[name]
    right = read(TokenDataset(small))
    found = 0
    for path in sorted(small.iterdir()):
        good = path.read_bytes()
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << (at * 5 % 8)
            path.write_bytes(bad)
            outcome, message = outcome_of(lambda: read(TokenDataset(small)))
            assert path.name in message if message else outcome == right
            found += bool(message)
        path.write_bytes(good)
    assert found > 100


def test_the_error_names_file_block_and_byte_and_stays(tmp_path: Path) -> None:
    text = "0123456789abcdef" * 65536 * 2  # of 16-bit ids, 4 MiB: five blocks
    dataset = tokenize([text], ByteTokenizer(), tmp_path / "set")
    path = dataset.directory / "shard-00000.tokens"
    start = 192  # where data begins: docs/formats.md
    raw = bytearray(path.read_bytes())
    raw[start + (2 << 20) + 777] ^= 64
    path.write_bytes(raw)
    dataset = TokenDataset(dataset.directory)
    message = rf"shard-00000\.tokens is damaged at byte {start + (2 << 20)}: block 2, the 1048576"
    per_block = (1 << 20) // 2
    assert len(dataset[: 2 * per_block]) == 2 * per_block
    assert len(dataset[3 * per_block :]) > per_block
    for _ in range(2):
        with pytest.raises(FormatError, match=message):
            dataset[3 * per_block - 1]
    with pytest.raises(FormatError, match="block 2"):
        dataset.verify()

    options: dict[str, Any] = {"batch_size": 4, "seq_len": 1000, "seed": 0}
    failed = []
    for prefetch in (0, 3):
        loader = TokenLoader(dataset, **options, prefetch=prefetch)
        bad = []
        for step in range(len(loader)):
            _, error = outcome_of(loader.next_batch)
            if error:
                assert "block 2" in error
                assert loader.step == step, "the loader stays at the batch that failed"
                with pytest.raises(FormatError, match="block 2"):
                    loader.next_batch()
                state = loader.state_dict()
                loader.load_state_dict({**state, "step": step + 1})
                bad.append(step)
        assert 0 < len(bad) < len(loader)
        failed.append(bad)
    assert failed[0] == failed[1]

    blind = TokenDataset(dataset.directory, verify="off")
    assert blind.tokens()[2 * per_block + 777 // 2] != ord(text[2 * per_block + 777 // 2])
    with pytest.raises(FormatError, match="block 2"):
        blind.verify()


def test_verify_is_one_of_two() -> None:
    with pytest.raises(InvalidInputError, match="verify = 'never': must be 'on_read' or 'off'"):
        TokenDataset("nowhere", verify="never")  # type: ignore[arg-type]
