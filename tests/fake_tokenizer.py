"""The smallest tokenizer there is: a byte is a token, and the separator comes after them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class ByteTokenizer:
    """Ids 0 … 255 are bytes, 256 is `<|endoftext|>`; more ids may be announced and never used."""

    eot_token: int | None = 256
    fingerprint = "bytes"

    def __init__(self, n_vocab: int = 257) -> None:
        self.n_vocab = n_vocab

    def encode_ordinary_batch_to_numpy(
        self, texts: list[str]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        contents = [text.encode() for text in texts]
        ids = np.frombuffer(b"".join(contents), dtype=np.uint8).astype(np.uint32)
        return ids, np.cumsum([0, *(len(content) for content in contents)], dtype=np.int64)
