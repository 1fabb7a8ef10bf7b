"""`lexigram tokenizer encode` and `decode`: text to ids and back, of any length, in pipes too."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt

from lexigram.cli.arguments import argument_bytes
from lexigram.cli.tokenizer.opening import Commands, add_command, add_tokenizer, open_tokenizer
from lexigram.errors import FileError, FormatError, InvalidInputError, MissingFileError
from lexigram.outputs import file_to_write
from lexigram.tokenizer import Tokenizer

FORMATS = ("text", "json", "npy", "bin")
_CHUNK = 1 << 20  # bytes read at a time
_SPACES = b" \t\r\n"


def add_commands(commands: Commands) -> None:
    """Adds `encode` and `decode`."""
    encode = add_command(
        commands,
        "encode",
        "print the ids of a text",
        examples='encode tokenizer.json --text "hello world"\n'
        "encode o200k_base --file book.txt --format npy --out book.npy\n"
        "encode gpt2 --format bin < huge.txt > huge.bin",
    )
    add_tokenizer(encode)
    encode.add_argument("--text", help="the text itself")
    encode.add_argument("--file", type=Path, help="default: standard input, of any length")
    encode.add_argument("--allow-special", action="store_true", help="recognize special tokens")
    encode.add_argument("--errors", default="strict", choices=["strict", "replace", "skip"])
    encode.add_argument(
        "--format",
        choices=FORMATS,
        help="text: numbers with spaces between; bin: little-endian, no header; default: text",
    )
    encode.add_argument("--json", action="store_true", help="the same as --format json")
    encode.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    _add_dtype(encode)
    encode.set_defaults(run=_encode)

    decode = add_command(
        commands,
        "decode",
        "print the text of ids",
        examples="decode tokenizer.json 1085 341 844\n"
        "decode gpt2 --format bin < huge.bin > huge.txt",
    )
    add_tokenizer(decode)
    decode.add_argument("ids", nargs="*", type=int, metavar="ID", help="default: standard input")
    decode.add_argument("--file", type=Path, help="read ids from a file")
    decode.add_argument(
        "--format", choices=FORMATS, default="text", help="of what is read; text or json: numbers"
    )
    _add_dtype(decode)
    decode.set_defaults(run=_decode)


def _add_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype",
        choices=["uint16", "uint32"],
        help="of npy and bin; default: uint16 if all ids of the tokenizer fit",
    )


def _dtype(args: argparse.Namespace, tokenizer: Tokenizer) -> np.dtype[np.unsignedinteger]:
    fits = tokenizer.max_token_value < 1 << 16
    if args.dtype == "uint16" and not fits:
        raise InvalidInputError(
            f"--dtype uint16 ends at 65535, the tokenizer's ids at {tokenizer.max_token_value}; "
            "use uint32"
        )
    return np.dtype(args.dtype or ("uint16" if fits else "uint32")).newbyteorder("<")


def _encode(args: argparse.Namespace) -> int:
    form = args.format or ("json" if args.json else "text")
    if args.text is not None and args.file is not None:
        raise InvalidInputError("--text and --file are both given; choose one")
    if args.json and form != "json":
        raise InvalidInputError(f"--json and --format {form} are both given; choose one")
    if form == "npy" and args.out is None:
        raise InvalidInputError("--format npy needs --out FILE: its header comes last; or use bin")
    if args.out is not None:
        file_to_write(args.out)
    tokenizer = open_tokenizer(args.tokenizer, args.pattern)
    dtype = _dtype(args, tokenizer)
    arrays = tokenizer.encode_stream(
        [argument_bytes("--text", args.text)]
        if args.text is not None
        else args.file or sys.stdin.buffer,
        allowed_special="all" if args.allow_special else None,
        disallowed_special=None if args.allow_special else (),
        errors=args.errors,
    )
    with _output(args.out) as file:
        _write(file, arrays, form, dtype)
    return 0


def _write(
    file: BinaryIO,
    arrays: Iterator[npt.NDArray[np.uint32]],
    form: str,
    dtype: np.dtype[np.unsignedinteger],
) -> None:
    if form == "npy":
        count = 0
        _npy_header(file, dtype, 0)
        for ids in arrays:
            file.write(ids.astype(dtype).tobytes())
            count += len(ids)
        file.seek(0)
        _npy_header(file, dtype, count)
    elif form == "bin":
        for ids in arrays:
            file.write(ids.astype(dtype).tobytes())
    else:
        opening, between, closing = ("[", ", ", "]\n") if form == "json" else ("", " ", "\n")
        file.write(opening.encode())
        for number, ids in enumerate(arrays):
            file.write((between * (number > 0) + between.join(map(str, ids.tolist()))).encode())
        file.write(closing.encode())


def _npy_header(file: BinaryIO, dtype: np.dtype[np.unsignedinteger], count: int) -> None:
    """The header of a .npy file of `count` numbers: always of the same length, so that it can be
    written again when they are counted."""
    fields = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({count},), }}"
    file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little"))
    file.write(fields.ljust(117).encode() + b"\n")


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """A file that appears when it is finished, or standard output."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _decode(args: argparse.Namespace) -> int:
    if args.ids and args.file is not None:
        raise InvalidInputError("ids and --file are both given; choose one")
    tokenizer = open_tokenizer(args.tokenizer, args.pattern)
    dtype = _dtype(args, tokenizer)
    with _input(args.file) as file:
        batches: Iterator[list[int] | npt.NDArray[np.uint32]] = iter([args.ids])
        if not args.ids:
            batches = iter(_read(file, args.format, dtype, str(args.file or "standard input")))
        for ids in batches:
            sys.stdout.buffer.write(tokenizer.decode_bytes(ids))
    sys.stdout.buffer.flush()
    return 0


@contextmanager
def _input(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}") from None
    except IsADirectoryError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None


def _read(
    file: IO[bytes], form: str, dtype: np.dtype[np.unsignedinteger], name: str
) -> Iterator[list[int] | npt.NDArray[np.uint32]]:
    if form in ("text", "json"):
        yield from _read_numbers(file, name)
        return
    if form == "npy":
        try:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
            if header is None:
                raise ValueError(f"version {version}")
            shape, _, dtype = header(file)
        except ValueError as error:
            raise FormatError(f"{name} is not a .npy file of numpy: {error}") from None
        if len(shape) != 1 or dtype.kind not in "iu":
            raise FormatError(f"{name} holds {dtype} of shape {shape}; ids are integers in a row")
    rest = b""
    while chunk := file.read(_CHUNK):
        whole = len(rest + chunk) // dtype.itemsize * dtype.itemsize
        content, rest = (rest + chunk)[:whole], (rest + chunk)[whole:]
        yield np.frombuffer(content, dtype=dtype).astype(np.int64)  # checked as ids by decoding
    if rest:
        raise FormatError(f"{name} ends within a number of {dtype.itemsize} bytes")


def _read_numbers(file: IO[bytes], name: str) -> Iterator[list[int]]:
    rest = b""
    for chunk in itertools.chain(iter(lambda: file.read(_CHUNK), b""), [b" "]):
        pending = rest + chunk.translate(bytes.maketrans(b"[],", b"   "))
        # A number may go on in the next chunk.
        end = max(map(pending.rfind, (_SPACES[i : i + 1] for i in range(len(_SPACES))))) + 1
        whole, rest = pending[:end], pending[end:]
        try:
            yield [int(word) for word in whole.split()]
        except ValueError:
            raise FormatError(f"{name} must hold ids, numbers or a JSON list") from None
