"""The rivals of benchmarks/data.py: each makes (inputs, targets) batches of int64 without end.

A rival is a function of the corpus and a number of worker processes. It puts its own format into
the corpus's folder and gives an iterator; batches are B rows of T tokens, in the rival's own
shuffled order. Rivals whose format takes long to write get the first tokens only: what a batch
costs does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

B, T = 32, 1024
SLOW_TO_WRITE = 16_000_000  # tokens


@dataclass
class Corpus:
    ids: Any
    """uint16, separators included."""
    lengths: Any
    """Of each document, its separator included."""
    path: Path
    """The ids as a file of their own."""
    folder: Path


def forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def torch_loader(dataset: Any, workers: int, **options: Any) -> Iterator[Any]:
    from torch.utils.data import DataLoader

    persistent = {"persistent_workers": True} if workers else {}
    return forever(DataLoader(dataset, batch_size=B, num_workers=workers, **persistent, **options))


def pair(row: Any) -> tuple[Any, Any]:
    import torch

    tokens = torch.from_numpy(np.asarray(row).astype(np.int64))
    return tokens[:-1], tokens[1:]


class MemmapRows:
    """A map-style dataset over a memmap, as one writes it for torch's DataLoader."""

    def __init__(self, path: Path) -> None:
        self.ids = np.memmap(path, np.uint16, mode="r")

    def __len__(self) -> int:
        return (len(self.ids) - 1) // T

    def __getitem__(self, row: int) -> Any:
        return pair(self.ids[row * T : row * T + T + 1])


def torch_memmap(corpus: Corpus, workers: int) -> Iterator[Any]:
    return torch_loader(MemmapRows(corpus.path), workers, shuffle=True)


def nanogpt(corpus: Corpus, workers: int) -> Iterator[Any]:
    """nanoGPT's get_batch: rows at random places, drawn with replacement."""
    import torch

    while True:
        ids = np.memmap(corpus.path, np.uint16, mode="r")  # made anew, as it does against a leak
        places = torch.randint(len(ids) - T, (B,))
        x = torch.stack([torch.from_numpy(ids[i : i + T].astype(np.int64)) for i in places])
        y = torch.stack([torch.from_numpy(ids[i + 1 : i + 1 + T].astype(np.int64)) for i in places])
        yield x, y


def _litdata_chunk(place: tuple[str, int, int]) -> Any:
    import torch

    path, start, end = place
    ids = np.memmap(path, np.uint16, mode="r")[start:end]
    yield torch.from_numpy(ids.astype(np.int64)).to(torch.uint16)


def litdata(corpus: Corpus, workers: int) -> Iterator[Any]:
    import litdata as package

    out = corpus.folder / "litdata"
    if not out.exists():
        end = min(len(corpus.ids), SLOW_TO_WRITE)
        places = [(str(corpus.path), s, min(end, s + 2**20)) for s in range(0, end, 2**20)]
        package.optimize(
            fn=_litdata_chunk,
            inputs=places,
            output_dir=str(out),
            chunk_size=2**22,
            item_loader=package.TokensLoader(block_size=T + 1),
            num_workers=1,
        )
    rows = package.StreamingDataset(
        str(out), item_loader=package.TokensLoader(block_size=T + 1), shuffle=True
    )
    loader = package.StreamingDataLoader(rows, batch_size=B, num_workers=workers)
    return ((x[:, :-1].long(), x[:, 1:].long()) for x in forever(loader))


def _pairs_of_bytes(samples: Any) -> Any:
    import torch

    rows = np.stack([np.frombuffer(sample["tokens"], np.uint16) for sample in samples])
    tokens = torch.from_numpy(rows.astype(np.int64))
    return tokens[:, :-1], tokens[:, 1:]


def mosaicml(corpus: Corpus, workers: int) -> Iterator[Any]:
    from streaming import MDSWriter, StreamingDataset

    out = corpus.folder / "mds"
    if not out.exists():
        with MDSWriter(out=str(out), columns={"tokens": "bytes"}, compression=None) as writer:
            for start in range(0, min(len(corpus.ids) - T - 1, SLOW_TO_WRITE), T):
                writer.write({"tokens": corpus.ids[start : start + T + 1].tobytes()})

    rows = StreamingDataset(local=str(out), shuffle=True, batch_size=B)
    return torch_loader(rows, workers, collate_fn=_pairs_of_bytes)


def _pairs_of_arrays(samples: Any) -> Any:
    import torch

    tokens = torch.from_numpy(np.stack([s["tokens"] for s in samples]).astype(np.int64))
    return tokens[:, :-1], tokens[:, 1:]


def hf_datasets(corpus: Corpus, workers: int) -> Iterator[Any]:
    import datasets

    out = corpus.folder / "hf"
    if not out.exists():
        end = min(len(corpus.ids), SLOW_TO_WRITE) // (T + 1) * (T + 1)
        rows = corpus.ids[:end].reshape(-1, T + 1)
        # As NumPy this is the fastest of its ways; as torch tensors it takes 18 times as long.
        kind = datasets.Features({"tokens": datasets.Sequence(datasets.Value("uint16"))})
        made = datasets.Dataset.from_dict({"tokens": list(rows)}, features=kind)
        made.save_to_disk(str(out))
    rows = datasets.load_from_disk(str(out)).with_format("numpy")
    return torch_loader(rows, workers, shuffle=True, collate_fn=_pairs_of_arrays)


class MegatronTokenizer:
    """What its config asks a tokenizer for."""

    unique_identifiers: ClassVar[dict[str, str]] = {}
    eod, pad, vocab_size = 50_256, 50_257, 50_258


def megatron(corpus: Corpus, workers: int) -> Iterator[Any]:
    """Its GPTDataset, which makes tokens, labels, a loss mask and positions."""
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
    from megatron.core.datasets.utils import Split

    prefix = corpus.folder / "megatron"
    if not prefix.with_suffix(".idx").exists():
        import torch

        builder = IndexedDatasetBuilder(str(prefix.with_suffix(".bin")), dtype=np.uint16)
        at = 0
        for length in corpus.lengths.tolist():
            if at >= SLOW_TO_WRITE:
                break
            builder.add_item(torch.from_numpy(corpus.ids[at : at + length].astype(np.int32)))
            builder.end_document()
            at += length
        builder.finalize(str(prefix.with_suffix(".idx")))
    config = GPTDatasetConfig(
        random_seed=0,
        sequence_length=T,
        blend=([str(prefix)], None),
        split="1,0,0",
        path_to_cache=str(corpus.folder / "megatron-cache"),
        tokenizer=MegatronTokenizer(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    low = IndexedDataset(str(prefix))
    documents = np.arange(len(low.document_indices) - 1, dtype=np.int32)
    rows = GPTDataset(low, str(prefix), documents, None, Split.train, config)
    loader = torch_loader(rows, workers)
    return ((batch["tokens"], batch["labels"]) for batch in loader)


def nanochat(documents: Iterator[list[int]], kept: dict[str, int]) -> Iterator[Any]:
    """nanochat's best fit, written down from its description, with ids ready.

    Of a buffer of 1,000 documents, each with a token before it, the longest that fits goes to the
    row; where none fits, the shortest is cut to fill the row, and what is cut off is thrown away.
    """
    import torch

    buffer: list[list[int]] = []
    while True:
        rows = []
        for _ in range(B):
            row: list[int] = []
            while len(row) < T + 1:
                while len(buffer) < 1000:
                    buffer.append(next(documents))
                room = T + 1 - len(row)
                best, most = -1, 0
                for i, document in enumerate(buffer):
                    if most < len(document) <= room:
                        best, most = i, len(document)
                if best >= 0:
                    row += buffer.pop(best)
                else:
                    least = min(range(len(buffer)), key=lambda i: len(buffer[i]))
                    document = buffer.pop(least)
                    row += document[:room]
                    kept["discarded"] += len(document) - room
            rows.append(row)
        kept["kept"] += B * (T + 1)
        tokens = torch.tensor(rows, dtype=torch.long)
        yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


RIVALS: dict[str, tuple[str, Callable[[Corpus, int], Iterator[Any]]]] = {
    "torch-memmap": ("torch", torch_memmap),
    "nanogpt": ("torch", nanogpt),
    "litdata": ("litdata", litdata),
    "mosaicml-streaming": ("mosaicml-streaming", mosaicml),
    "hf-datasets": ("datasets", hf_datasets),
    "megatron": ("megatron-core", megatron),
}
