"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict, final, type_check_only

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self, disjoint_base

__all__ = [
    "Admission",
    "BatchReader",
    "BatchThreads",
    "NgramCounts",
    "NgramModel",
    "ShardReader",
    "ShardWriter",
    "StreamEncoder",
    "SuffixBuilder",
    "SuffixIndex",
    "SuffixWindows",
    "TextBatch",
    "Tokenizer",
    "__version__",
    "default_threads",
    "encode_single_piece",
    "encode_with_unstable",
    "load_gpt2",
    "load_tiktoken",
    "load_tokenizer_json",
    "read_json_lines",
    "read_pieces",
    "tokenizer_from_json",
    "train_tokenizer",
    "train_tokenizer_files",
]

__version__: str

_Text: TypeAlias = str | bytes
_Ids: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
_Path: TypeAlias = str | PathLike[str]
_Progress: TypeAlias = Callable[[int, int], object]

@disjoint_base
class Tokenizer:
    """The working half of `lexigram.Tokenizer`. Immutable; safe to share between threads. Very
    short texts are encoded with the GIL held, all others without it.

    Text is a str, or bytes that need not be UTF-8. Lone surrogates become U+FFFD. Where bytes are
    not UTF-8, everything from the last piece before the first error on is one piece, as in
    tiktoken.

    `allowed_special` (a set of special tokens, or "all"; default none) are encoded as those
    tokens. If the text holds one of `disallowed_special` (a collection, or "all", the default:
    all that are not allowed), `InvalidInputError` (a `ValueError`) is raised. Those in neither are
    ordinary text. With `add_special_tokens`, the tokens that the post-processor of a
    `tokenizer.json` puts around a text are added; `InvalidInputError` if it is not supported.
    """

    def __new__(cls, tokenizer: Tokenizer, /) -> Self: ...
    def encode(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
        add_special_tokens: bool = False,
    ) -> list[int]:
        """The ids of a text."""
    def encode_ordinary(self, text: _Text) -> list[int]:
        """The ids of a text in which special tokens are ordinary text."""
    def encode_to_numpy(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
        num_threads: int | None = ...,
        add_special_tokens: bool = False,
    ) -> NDArray[np.uint32]:
        """As `encode`; uint32 of shape (tokens,). With more than one of `num_threads` (by default
        1; None: as `encode_batch` without it), a long text is encoded in parts, with the same
        ids."""
    def encode_batch(
        self,
        text: Iterable[_Text],
        *,
        num_threads: int | None = None,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
        add_special_tokens: bool = False,
    ) -> list[list[int]]:
        """The ids of each text, in order. `num_threads` None means `default_threads()`;
        `InvalidInputError` below 1. No thread outlives the call."""
    def encode_ordinary_batch(
        self, text: Iterable[_Text], *, num_threads: int | None = None
    ) -> list[list[int]]:
        """As `encode_batch`, special tokens being ordinary text."""
    def encode_ordinary_batch_to_numpy(
        self, text: Iterable[_Text] | TextBatch, *, num_threads: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of all texts end to end, uint32 (total,), and int64 offsets (texts + 1,): text
        i has `ids[offsets[i]:offsets[i + 1]]`."""
    def encode_with_offsets(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and for each the smallest range `(start, end)` of characters that holds its
        bytes; tokens that share a character share its place. Not for tokenizers that normalize,
        or whose file removes white space or adds it."""
    def encode_single_token(self, text_or_bytes: _Text) -> int:
        """The id of one token, special ones included; `UnknownTokenError` (a `KeyError`)."""
    def decode_bytes(self, tokens: _Ids) -> bytes:
        """The bytes of the tokens, joined; `TokenIdError` (a `KeyError`) for an unknown id."""
    def decode(self, tokens: _Ids, errors: str = "replace") -> str:
        """The text of the tokens; `errors` as in `bytes.decode`."""
    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token."""
    def decode_tokens_bytes(self, tokens: _Ids) -> list[bytes]:
        """The bytes of each token."""
    def decode_with_offsets(self, tokens: _Ids) -> tuple[str, list[int]]:
        """The text, and for each token the index of the character that its first byte is part of;
        `UnicodeDecodeError` if the bytes are not UTF-8."""
    def decode_batch(
        self, batch: Iterable[_Ids], *, errors: str = "replace", num_threads: int | None = None
    ) -> list[str]:
        """The text of each sequence of tokens."""
    def decode_bytes_batch(
        self, batch: Iterable[_Ids], *, num_threads: int | None = None
    ) -> list[bytes]:
        """The bytes of each sequence of tokens."""
    def token_byte_values(self) -> list[bytes]:
        """The bytes of all tokens but the special ones, sorted."""
    @property
    def special_tokens(self) -> dict[str, int]:
        """Special tokens and their ids."""
    @property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
    def is_special_token(self, token: int) -> bool:
        """Whether an id is that of a special token."""
    @property
    def n_vocab(self) -> int:
        """One more than the largest id."""
    @property
    def max_token_value(self) -> int:
        """The largest id."""
    @property
    def num_tokens(self) -> int:
        """How many ids have a token; less than `n_vocab` if ids have gaps."""
    @property
    def eot_token(self) -> int:
        """The id of "<|endoftext|>"; `UnknownTokenError` (a `KeyError`) if there is none, as in
        tiktoken. `special_tokens.get("<|endoftext|>")` asks without an error."""
    @property
    def pattern(self) -> str | None:
        """The short name of a published pattern, otherwise its expression; None for no split. For a
        file with several steps "Sequence(...)", which is no pattern."""
    @property
    def pattern_regex(self) -> str | None:
        """The pattern as a regular expression; None for no split."""
    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stand for everything ids depend on; kept by save and load."""
    @property
    def merges(self) -> list[tuple[int, int, int]]:
        """Triples (left id, right id, id) in the order of their ranks."""
    def pretokenize(self, text: str) -> list[str]:
        """The pieces that a text is cut into, special tokens being ordinary text; U+FFFD stands for
        bytes of a piece that are no character."""
    def to_json(self) -> bytes:
        """The content of a `tokenizer.json`."""
    def save_json(self, path: _Path) -> None:
        """Writes a `tokenizer.json`."""
    def save_tiktoken(self, path: _Path) -> None:
        """Writes a `.tiktoken` file."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def encode_with_unstable(
    tokenizer: Tokenizer,
    text: str,
    allowed_special: AbstractSet[str] | Literal["all"] | None = None,
    disallowed_special: Collection[str] | Literal["all"] | None = None,
) -> tuple[list[int], list[list[int]]]:
    """See `lexigram.Tokenizer.encode_with_unstable`."""

def default_threads() -> int:
    """How many threads a batch gets that names no number: what the environment variable
    LEXIGRAM_NUM_THREADS says; else 1 in a process that was forked or that multiprocessing started
    (a DataLoader's worker is one), whose siblings share the cores; else what OMP_NUM_THREADS says;
    else one a core."""

def encode_single_piece(tokenizer: Tokenizer, text_or_bytes: _Text) -> list[int]:
    """See `lexigram.Tokenizer.encode_single_piece`."""

@final
class StreamEncoder:
    """Encodes a text that arrives in parts: what `push` and `finish` give, joined, is what
    `Tokenizer.encode` gives for the whole text. Threads may share it; each push is one step."""

    def __new__(
        cls,
        tokenizer: Tokenizer,
        /,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
        errors: str = "strict",
        source_name: str = "the input",
    ) -> StreamEncoder:
        """`errors`: "strict", "replace" or "skip" bytes that are not UTF-8; `source_name` is named
        in the error."""

    def push(self, chunk: _Text) -> NDArray[np.uint32]:
        """Takes the next part; the ids that became certain, shape (tokens,), often none for a small
        part. Parts may split characters and special tokens, but not the surrogates of a str.
        Raises `EncodingError` and `InvalidInputError`, after which the encoder is of no use."""

    def finish(self) -> NDArray[np.uint32]:
        """Ends the text; its last ids. The next push begins another text."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes of text that wait for more."""

def tokenizer_from_json(content: bytes, source_name: _Path) -> Tokenizer:
    """Reads the content of a `tokenizer.json`; `source_name` is named in errors."""

def load_tokenizer_json(path: _Path) -> Tokenizer:
    """Reads a `tokenizer.json` file."""

def load_tiktoken(
    path: _Path,
    pattern: str | None,
    special_tokens: Sequence[tuple[str, int]],
    compiled: _Path | None = None,
) -> Tokenizer:
    """Reads a `.tiktoken` file; its tables are kept in, or found in, the folder `compiled`."""

def load_gpt2(encoder_json: _Path, vocab_bpe: _Path) -> Tokenizer:
    """Reads GPT-2's pair of files."""

@type_check_only
class _TrainOptions(TypedDict):
    vocab_size: int
    pattern: str | None
    special_tokens: Sequence[str]
    num_threads: int | None
    min_frequency: int
    max_token_length: int | None
    memory_limit: int | None
    base: Tokenizer | None
    errors: str

def train_tokenizer(
    texts: Iterable[_Text], options: _TrainOptions, progress: _Progress | None
) -> Tokenizer:
    """See `lexigram.Tokenizer.train`."""

def train_tokenizer_files(
    paths: Sequence[_Path], options: _TrainOptions, progress: _Progress | None
) -> Tokenizer:
    """See `lexigram.Tokenizer.train_files`."""

@final
class TextBatch:
    """Texts that are not Python objects. `Tokenizer.encode_ordinary_batch_to_numpy` takes it."""

    def __new__(cls, texts: list[str]) -> TextBatch: ...
    @staticmethod
    def of_bytes(contents: list[bytes]) -> tuple[TextBatch, list[int]]:
        """The texts of what is UTF-8, and the numbers of what is not."""

    def __len__(self) -> int: ...
    @property
    def num_bytes(self) -> int:
        """Their UTF-8 bytes."""

    def texts(self) -> list[str]:
        """The texts as Python objects."""

    def insert(self, others: list[tuple[int, str]]) -> TextBatch:
        """With other texts, each before the text of that number."""

def read_json_lines(
    block: bytes, field: str, num_threads: int | None = None
) -> tuple[TextBatch, list[tuple[int, int, int, int]], int]:
    """The texts of a block of whole lines; the lines that must be read otherwise, each as the
    number of texts before it, its number in the block, where it begins and ends; and the number of
    lines."""

def read_pieces(
    block: bytes, delimiter: bytes, num_threads: int | None = None
) -> tuple[TextBatch, list[tuple[int, int, int, int]], int, int, int]:
    """The texts that a delimiter ends in a block, empty ones left out; what is not UTF-8, each as
    the number of texts before it, its number, where it begins and ends; the number of pieces; where
    what no delimiter ends begins; and the line feeds before that."""

@final
class Admission:
    """What is to be written of a batch."""

    def __len__(self) -> int: ...
    @property
    def batch(self) -> TextBatch:
        """The texts."""

@final
class ShardWriter:
    """Takes tokenised documents and makes a dataset, or one for each split: directories of shards
    and a manifest, in one step at `finish`. An abandoned writer leaves nothing behind, or with
    `resume` the shards that are full."""

    def __new__(
        cls,
        out_dir: str | PathLike[str],
        *,
        vocab_size: int,
        document_separator: int,
        tokenizer: str,
        shard_tokens: int,
        overwrite: bool,
        resume: bool = False,
        deduplicate: bool = False,
        splits: list[tuple[str, float]] | None = None,
        seed: int = 0,
    ) -> ShardWriter:
        """Begins the dataset `out_dir`; `InvalidInputError` where there is one already, or where
        another process is making one."""

    @property
    def resumed(self) -> int:
        """The documents that full shards of an interrupted run hold."""

    def admit(self, batch: TextBatch, num_threads: int | None = None) -> Admission:
        """Which of the next documents are to be encoded and written, and where."""

    def append(
        self,
        ids: NDArray[np.uint32],
        offsets: NDArray[np.int64],
        num_bytes: NDArray[np.int64],
    ) -> None:
        """Appends documents: the i-th is `ids[offsets[i]:offsets[i + 1]]`, without a separator,
        from a text of `num_bytes[i]` UTF-8 bytes."""

    def append_admitted(
        self, ids: NDArray[np.uint32], offsets: NDArray[np.int64], admission: Admission
    ) -> None:
        """Appends the ids of admitted documents, as `append` does."""

    def finish(self, num_skipped: int) -> None:
        """Writes the manifest and puts the directory in its place."""

    def abort(self) -> None:
        """Removes what was written so far."""

@final
class ShardReader:
    """A dataset, opened for reading."""

    def __new__(cls, directory: str | PathLike[str], *, verify_on_read: bool = True) -> ShardReader:
        """Opens a finished dataset; reads its manifest and its shards' headers. What is read later
        is compared with its checksums first, unless told not to."""

    @property
    def num_tokens(self) -> int: ...
    @property
    def num_documents(self) -> int: ...
    @property
    def num_bytes(self) -> int: ...
    @property
    def num_skipped(self) -> int: ...
    @property
    def num_duplicates(self) -> int | None: ...
    @property
    def num_shards(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int: ...
    @property
    def tokenizer(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy of tokens `start` to `stop`, uint16 or uint32."""

    def document_range(self, index: int) -> tuple[int, int]:
        """Where document `index` begins and ends in the stream, its separator left out."""

    def verify(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads every byte again; `FormatError` names the file and the place of any damage."""

@final
class BatchReader:
    """The batch of any step, as a function of the step alone."""

    def __new__(
        cls,
        readers: Sequence[ShardReader],
        weights: Sequence[int] | None,
        *,
        batch_size: int,
        seq_len: int,
        seed: int,
        rank: int,
        world_size: int,
        best_fit: bool,
        shuffle: bool,
        drop_last: bool,
        dtype: str,
        documents: bool,
    ) -> BatchReader:
        """Checks the arguments and plans the rows of one dataset, or of a mixture if there are
        weights."""

    @property
    def num_rows(self) -> int:
        """Rows of an epoch, over all batches and ranks."""

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""

    @property
    def source_rows(self) -> list[int]:
        """Rows of an epoch of each dataset."""

    def rows_before(self, step: int) -> list[int]:
        """Rows of each dataset before batch `step`, over all ranks."""

    def rows_at(self, step: int) -> int:
        """How many rows of batch `step` are this rank's."""

    def read(self, step: int) -> NDArray[Any]:
        """Batch `step`, an array (arrays, rows, seq_len) of the dtype asked for: inputs, targets,
        and, if asked for, document ids and positions. Its memory is used for a later batch when
        its last view is gone."""

    def fill(self, step: int, out: NDArray[Any]) -> None:
        """Writes batch `step` into such an array, C-contiguous."""

@final
class BatchThreads:
    """Threads that make batches before they are asked for. They end with this object; a process
    that was forked has none of them, and may only drop it."""

    def __new__(cls, reader: BatchReader, num_threads: int) -> BatchThreads:
        """Starts the threads."""

    def submit(self, step: int, out: NDArray[Any] | None = None) -> None:
        """Hands in a batch to make, in memory of the caller's, who leaves it alone until it is
        taken, or of ours."""

    def take(self, step: int) -> NDArray[Any]:
        """Waits for a batch that was handed in, and raises what went wrong with it."""

    def cancel(self) -> None:
        """Forgets what was handed in."""

@final
class NgramCounts:
    """Counts of n-grams. `lexigram.NgramCounts` checks the arguments first."""

    @staticmethod
    def count(
        tokens: NDArray[np.integer[Any]],
        *,
        order: int,
        vocab_size: int,
        document_separator: int | None,
        memory_limit: int | None,
        num_threads: int | None,
        progress: Callable[[int, int], object] | None,
    ) -> NgramCounts:
        """Counts `tokens` (n,), contiguous uint16 or uint32."""
    @staticmethod
    def load(path: str) -> NgramCounts:
        """Opens a file after checking all of it."""
    @staticmethod
    def merge(
        parts: Sequence[NgramCounts],
        in_files: bool,
        progress: Callable[[int, int], object] | None,
    ) -> NgramCounts:
        """The counts of all parts together, in memory or in temporary files."""
    def model(
        self,
        *,
        smoothing: str,
        pseudocount: float,
        prune: Sequence[int],
        num_threads: int | None,
        progress: Callable[[int, int], object] | None,
        tokenizer: str | None,
    ) -> NgramModel:
        """Estimates a model."""
    def save(self, path: str) -> None:
        """Writes the counts in one step."""
    def get(self, ngram: Sequence[int]) -> int:
        """How often an n-gram occurs; 0 outside the vocabulary and the order."""
    def ngrams(self, order: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The ids of all n-grams of an order end to end, sorted, and their counts."""
    @property
    def order(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_ngrams(self) -> list[int]: ...

@final
class NgramModel:
    """A trained n-gram model. `lexigram.NgramModel` checks the arguments first."""

    @staticmethod
    def train(
        tokens: NDArray[np.integer[Any]],
        *,
        order: int,
        vocab_size: int,
        document_separator: int | None,
        smoothing: str,
        pseudocount: float,
        prune: Sequence[int],
        memory_limit: int | None,
        num_threads: int | None,
        progress: Callable[[int, int], object] | None,
        tokenizer: str | None,
    ) -> NgramModel:
        """Counts `tokens` (n,), contiguous uint16 or uint32, and estimates a model."""
    @staticmethod
    def train_words(
        paths: Sequence[str],
        *,
        order: int,
        smoothing: str,
        pseudocount: float,
        kenlm_compatible: bool,
        prune: Sequence[int],
        min_count: int,
        skip_symbols: bool,
        memory_limit: int | None,
        num_threads: int | None,
        progress: Callable[[int, int], object] | None,
    ) -> NgramModel:
        """Reads text files, one sentence a line, and estimates a word model."""
    @staticmethod
    def from_arpa(
        path: str, progress: Callable[[int, int], object] | None
    ) -> tuple[NgramModel, list[str]]:
        """Reads an ARPA file; also returns notes on what was not as expected."""
    def to_arpa(
        self,
        path: str,
        tokens: Sequence[str] | None,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        """Writes an ARPA file; `tokens` has the texts of a token model's ids."""
    def prune(self, threshold: float) -> NgramModel:
        """The model, pruned by relative entropy."""
    def normalized(self) -> NgramModel:
        """Stupid Backoff's scores over their sums."""
    def score_words(self, sentence: bytes) -> NDArray[np.float64]:
        """ln p (n + 1,) of each word of a sentence and of its end."""
    def score_text(
        self, paths: Sequence[str], progress: Callable[[int, int], object] | None
    ) -> tuple[float, float, int, int, int]:
        """Σ ln p, the part of it that `<unk>` has; tokens, `<unk>`s and sentences."""
    def words(self) -> list[bytes] | None:
        """The words of a word model, by id."""
    @staticmethod
    def load(path: str, in_memory: bool = False) -> NgramModel:
        """Opens a saved model after checking its headers, mapped, or copied into memory."""
    def verify(self) -> None:
        """Compares all checksums of the model's file and checks all that it holds."""
    def save(self, path: str, quantize: int | None = None) -> None:
        """Writes the model in one step, log-probabilities in `quantize` bits if given."""
    def score(
        self, ids: NDArray[np.integer[Any]], offsets: NDArray[np.uint64], num_threads: int | None
    ) -> NDArray[np.float64]:
        """ln p (n,) of each of `ids` (n,), contiguous uint16 or uint32; sequence i is
        `ids[offsets[i] : offsets[i + 1]]`."""
    def score_f32(
        self, ids: NDArray[np.integer[Any]], offsets: NDArray[np.uint64], num_threads: int | None
    ) -> NDArray[np.float32]:
        """The same, rounded."""
    def order_used(
        self, ids: NDArray[np.integer[Any]], offsets: NDArray[np.uint64], num_threads: int | None
    ) -> NDArray[np.uint8]:
        """The length of the n-gram that gave each score."""
    def next_logprobs(
        self,
        contexts: NDArray[np.uint32],
        offsets: NDArray[np.uint64],
        num_threads: int | None,
    ) -> NDArray[np.float64]:
        """ln p (B, V) of every id after each of `contexts[offsets[i] : offsets[i + 1]]`."""
    def next_logprobs_f32(
        self,
        contexts: NDArray[np.uint32],
        offsets: NDArray[np.uint64],
        num_threads: int | None,
    ) -> NDArray[np.float32]:
        """The same, rounded."""
    @property
    def quantized(self) -> int | None: ...
    def counts_of_counts(self) -> NDArray[np.uint64]:
        """n₁ … n₄ of each order, (N, 4)."""
    @property
    def order(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    @property
    def smoothing(self) -> str: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_ngrams(self) -> list[int]: ...
    @property
    def discounts(self) -> list[tuple[float, float, float]]: ...
    @property
    def discount_fallbacks(self) -> list[int]:
        """The orders whose discounts are the fallback."""
    @property
    def tokenizer(self) -> str | None:
        """The text of the attached tokenizer.json."""

@final
class SuffixBuilder:
    """Takes ids and makes a suffix index: a directory that appears at `finish`. An abandoned
    builder leaves nothing behind."""

    def __new__(
        cls,
        out_dir: str | PathLike[str],
        *,
        vocab_size: int,
        document_separator: int | None,
        memory_limit: int | None,
        num_threads: int | None,
        tokenizer: str | None,
        total: int,
        shard_tokens: int | None,
        progress: Callable[[int, int], object] | None,
    ) -> SuffixBuilder:
        """Begins the index `out_dir`; `InvalidInputError` where there are files already."""

    def append(self, ids: NDArray[np.integer[Any]]) -> None:
        """Appends ids (n,), contiguous uint16 or uint32, to the stream."""

    def finish(self) -> None:
        """Sorts what is left and puts the directory in its place."""

    def abort(self) -> None:
        """Removes what was written so far; nothing after `finish`."""

@final
class SuffixIndex:
    """An index, opened for reading. `lexigram.SuffixIndex` documents it."""

    def __new__(cls, directory: str | PathLike[str]) -> SuffixIndex:
        """Opens a finished index; reads its manifest and its shards' headers."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_documents(self) -> int: ...
    @property
    def num_shards(self) -> int: ...
    @property
    def max_match(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def num_bytes(self) -> tuple[int, int]: ...
    @property
    def tokenizer(self) -> str | None: ...
    def verify(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads and checks everything."""

    def count(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> int:
        """c(ids)."""

    def count_batch(self, ids: NDArray[np.uint32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """c of each of the runs `ids[offsets[i]:offsets[i + 1]]`."""

    def find(
        self, ids: Sequence[int] | NDArray[np.integer[Any]], limit: int
    ) -> list[tuple[int, int]]:
        """Documents, and places in them."""

    def document(self, document: int, start: int, stop: int) -> NDArray[np.uint32]:
        """Ids of a document, as far as it has them."""

    def next_counts(
        self, context: Sequence[int] | NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """What follows, and how often."""

    def infinigram(
        self, context: Sequence[int] | NDArray[np.integer[Any]], support: int
    ) -> tuple[NDArray[np.float64], int]:
        """ln p (V,) and the effective order."""

    def probability(
        self, context: Sequence[int] | NDArray[np.integer[Any]], id: int, support: int
    ) -> tuple[float, int]:
        """p of one id and the effective order."""

    def score(
        self, ids: NDArray[np.uint32], support: int, sparse: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
        """ln p (n,), the effective orders, and, if asked for, whether one id alone follows."""

    def trace(
        self, ids: NDArray[np.uint32], min_length: int, max_documents: int
    ) -> list[tuple[int, int, int, list[int]]]:
        """Starts, ends, counts and documents of the maximal spans."""

    def start(self, batch_size: int, support: int) -> SuffixWindows:
        """The state of so many empty prefixes."""

@final
class SuffixWindows:
    """Where the ∞-gram stands in some texts; never changed."""

    def __len__(self) -> int: ...
    def read(self, ids: NDArray[np.uint32]) -> SuffixWindows:
        """The state after `ids` (B, n), contiguous."""

    def distributions(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
        """ln p (B, V), effective orders (B,), and whether one id alone follows (B,)."""

    def reorder(self, rows: Sequence[int]) -> SuffixWindows:
        """The rows of those numbers."""
