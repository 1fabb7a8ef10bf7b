"""The corpora that have a name: where they come from, their licences, sizes and hashes.

Sizes and hashes of files on the Hugging Face Hub are the Git LFS sizes and object ids that it
publishes for the revision in the address; those of other files were computed from the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from lexigram.downloads import RemoteFile

__all__ = ["Corpus", "corpora"]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A named corpus."""

    name: str
    description: str
    licence: str
    origin: str
    """The repository and path that its files come from."""
    files: tuple[RemoteFile, ...] = ()
    """In the order of reading; none: it is made on this machine."""
    document_delimiter: str | None = None
    """What stands between documents in its files."""
    strip: bool = False
    """Whether white space around a document belongs to the files' layout, not to the document."""
    headings: bool = False
    """Whether its rows are lines of articles, each of which begins with ` = Title = `."""

    @property
    def num_bytes(self) -> int | None:
        """The size of its files, where that is published."""
        sizes = [file.num_bytes for file in self.files]
        return sum(size for size in sizes if size) if sizes and all(sizes) else None


def _hub(
    dataset: str, revision: str, path: str, num_bytes: int | None, sha256: str | None, folder: str
) -> RemoteFile:
    """A file of a dataset on the Hugging Face Hub, which publishes size and SHA-256 of large files
    (they are its Git LFS object ids)."""
    return RemoteFile(
        file=f"{folder}/{path.rpartition('/')[2]}",
        address=f"https://huggingface.co/datasets/{dataset}/resolve/{revision}/{path}",
        sha256=sha256,
        num_bytes=num_bytes,
    )


def _github(file: str, path: str, num_bytes: int, sha256: str) -> tuple[RemoteFile, ...]:
    address = f"https://raw.githubusercontent.com/{path}"
    return (RemoteFile(file=file, address=address, sha256=sha256, num_bytes=num_bytes),)


def _made(file: str, sha256: str) -> tuple[RemoteFile, ...]:
    """A file that was put together from its origin: nobody publishes it."""
    return (RemoteFile(file=file, address="", sha256=sha256),)


def _stories(file: str, num_bytes: int, sha256: str) -> tuple[RemoteFile, ...]:
    revision = "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"
    return (_hub("roneneldan/TinyStories", revision, file, num_bytes, sha256, "tinystories"),)


def _wikitext(config: str, *files: tuple[str, int, str]) -> tuple[RemoteFile, ...]:
    revision = "b08601e04326c79dfdd32d625aee71d232d685c3"
    return tuple(
        _hub("Salesforce/wikitext", revision, f"{config}/{name}.parquet", size, sha256, config)
        for name, size, sha256 in files
    )


_EOT = "<|endoftext|>"

_CORPORA = (
    Corpus(
        name="stdlib",
        description="the running Python's standard library, one file a document, without tests",
        licence="PSF-2.0",
        origin="python/cpython:Lib",
    ),
    Corpus(
        name="tinyshakespeare",
        description="tiny Shakespeare, 1.1 MB of plays in one document",
        licence="public domain",
        origin="karpathy/char-rnn:data/tinyshakespeare/input.txt",
        files=_github(
            "tinyshakespeare.txt",
            "karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
            1_115_394,
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    Corpus(
        name="tinystories",
        description="TinyStories, 2.1 million machine-written children's stories, 1.9 GB",
        licence="CDLA-Sharing-1.0",
        origin="roneneldan/TinyStories:TinyStories-train.txt",
        files=_stories(
            "TinyStories-train.txt",
            1_924_281_556,
            "c5cf5e22ff13614e830afbe61a99fbcbe8bcb7dd72252b989fa1117a368d401f",
        ),
        document_delimiter=_EOT,
        strip=True,
    ),
    Corpus(
        name="tinystories_validation",
        description="TinyStories, its validation file, 19 MB",
        licence="CDLA-Sharing-1.0",
        origin="roneneldan/TinyStories:TinyStories-valid.txt",
        files=_stories(
            "TinyStories-valid.txt",
            19_447_282,
            "94e431816c4cce81ff71e4408ff8d3bda9a42e8d2663986697c3954288cb38b4",
        ),
        document_delimiter=_EOT,
        strip=True,
    ),
    Corpus(
        name="tinystories_v2",
        description="TinyStories by GPT-4 alone, 2.7 million stories, 2.2 GB",
        licence="CDLA-Sharing-1.0",
        origin="roneneldan/TinyStories:TinyStoriesV2-GPT4-train.txt",
        files=_stories(
            "TinyStoriesV2-GPT4-train.txt",
            2_227_753_162,
            "6418d412de72888f52b5142c761ac21a582f7d1166f0bfbdb5f03ccfdec90443",
        ),
        document_delimiter=_EOT,
        strip=True,
    ),
    Corpus(
        name="tinystories_v2_validation",
        description="TinyStories by GPT-4 alone, its validation file, 23 MB",
        licence="CDLA-Sharing-1.0",
        origin="roneneldan/TinyStories:TinyStoriesV2-GPT4-valid.txt",
        files=_stories(
            "TinyStoriesV2-GPT4-valid.txt",
            22_502_601,
            "6874bae9a4c1a4e7edcf0e53b86c17817e9cf881fc75ff2368da457b80c0585d",
        ),
        document_delimiter=_EOT,
        strip=True,
    ),
    Corpus(
        name="wikitext2",
        description="WikiText-2 raw, training part, one Wikipedia article a document, 11 MB",
        licence="CC-BY-SA-3.0",
        origin="Salesforce/wikitext:wikitext-2-raw-v1",
        files=_wikitext(
            "wikitext-2-raw-v1",
            (
                "train-00000-of-00001",
                6_357_543,
                "e83889baabc497075506f91975be5fac0d45c5290b6b20582c8cd1e853d0c9f7",
            ),
        ),
        headings=True,
    ),
    Corpus(
        name="wikitext103",
        description="WikiText-103 raw, training part, one Wikipedia article a document, 540 MB",
        licence="CC-BY-SA-3.0",
        origin="Salesforce/wikitext:wikitext-103-raw-v1",
        files=_wikitext(
            "wikitext-103-raw-v1",
            (
                "train-00000-of-00002",
                156_987_808,
                "74da360f23826045b3e6ac6375411fdb15f003030aa74f2596ed08b857cb9212",
            ),
            (
                "train-00001-of-00002",
                157_088_770,
                "ba090ac30dbf5461e8dcbdd1a1b8e6f3cf9c2c756d64f0c1220450acd514f720",
            ),
        ),
        headings=True,
    ),
    Corpus(
        name="wikitext_validation",
        description="WikiText raw, validation part of WikiText-2 and of WikiText-103, 60 articles",
        licence="CC-BY-SA-3.0",
        origin="Salesforce/wikitext:wikitext-2-raw-v1",
        files=_wikitext(
            "wikitext-2-raw-v1",
            (
                "validation-00000-of-00001",
                657_209,
                "204929b7ff9d6184953f867dedb860e40aa69c078fc1e54b3baaa8fb28511c4c",
            ),
        ),
        headings=True,
    ),
    Corpus(
        name="wikitext_test",
        description="WikiText raw, test part of WikiText-2 and of WikiText-103, 60 articles",
        licence="CC-BY-SA-3.0",
        origin="Salesforce/wikitext:wikitext-2-raw-v1",
        files=_wikitext(
            "wikitext-2-raw-v1",
            (
                "test-00000-of-00001",
                732_610,
                "5f1bea067869d04849c0f975a2b29c4ff47d867f484f5010ea5e861eab246d91",
            ),
        ),
        headings=True,
    ),
    Corpus(
        name="fineweb_edu_sample",
        description="FineWeb-Edu, the first file of its sample of 10 billion tokens, 2.2 GB packed",
        licence="ODC-By-1.0",
        origin="HuggingFaceFW/fineweb-edu:sample/10BT/000_00000.parquet",
        files=(
            _hub(
                "HuggingFaceFW/fineweb-edu",
                "87f09149ef4734204d70ed1d046ddc9ca3f2b8f9",
                "sample/10BT/000_00000.parquet",
                2_152_819_114,
                "b1ba7b2ce4cb5ea6ef42dca40263eabb85f37700d01693a68e9b30a31d78e871",
                "fineweb_edu",
            ),
        ),
    ),
    Corpus(
        name="fineweb_edu_small",
        description="FineWeb-Edu, one shuffled part of 250 million characters, 0.1 GB packed",
        licence="ODC-By-1.0",
        origin="karpathy/fineweb-edu-100b-shuffle:shard_00000.parquet",
        files=(
            _hub(
                "karpathy/fineweb-edu-100b-shuffle",
                "main",
                "shard_00000.parquet",
                None,
                None,
                "fineweb_edu",
            ),
        ),
    ),
    Corpus(
        name="english_novels",
        description="63 English novels, 1847-1927, 50 MB, one novel a document",
        licence="public domain",
        origin="computationalstylistics/100_english_novels:corpus",
        files=_made(
            "english_novels.jsonl.zst",
            "522d765195f217ce6d85899898240ad41ab8995436a4a15d8fa12cf8c747e863",
        ),
    ),
    Corpus(
        name="german_novels",
        description="51 German novels, 22 MB, one novel a document",
        licence="public domain",
        origin="computationalstylistics/68_german_novels:corpus",
        files=_made(
            "german_novels.jsonl.zst",
            "39d60c6e35f5882b37bae3ce584a2eb7a727dbc7f0379b3a1ba503273182b9f3",
        ),
    ),
    Corpus(
        name="grimm_tales",
        description="Grimm's fairy tales in English, 0.5 MB in one document",
        licence="public domain",
        origin="CeeeeeDZ/mt-exercise-03:data/grimm/raw/tales.txt",
        files=_github(
            "grimm_tales.txt",
            "CeeeeeDZ/mt-exercise-03/HEAD/data/grimm/raw/tales.txt",
            522_843,
            "21823f1ae97ed9d3c45f3a10474cbb322bc13b1c9d9aa8f29c516878e97af5ae",
        ),
    ),
    Corpus(
        name="tinystories_sample",
        description="the first stories of TinyStories, 0.2 MB in one document",
        licence="CDLA-Sharing-1.0",
        origin="Niklas6/Mini_GPT:tinystories.txt",
        files=_github(
            "tinystories_sample.txt",
            "Niklas6/Mini_GPT/HEAD/tinystories.txt",
            197_290,
            "727e8b228375be3075114c20729c93ed6e81ae5d8fe7faf7cb54b304f0322d70",
        ),
    ),
    Corpus(
        name="wikipedia_en_sample",
        description="105 English Wikipedia articles of 2016, 2.8 MB, one article a document",
        licence="CC-BY-SA-3.0",
        origin="RaRe-Technologies/gensim:gensim/test/test_data",
        files=_made(
            "wikipedia_en_sample.jsonl.gz",
            "2df7acb1afe45d54e6bcb2c1f436fb148dc9c4dca60fd29b74d256e73403aed5",
        ),
    ),
    Corpus(
        name="us_state_union",
        description="65 State of the Union addresses, 2.1 MB, one address a document",
        licence="public domain",
        origin="nltk/nltk_data:packages/corpora/state_union.zip",
        files=_made(
            "us_state_union.jsonl.gz",
            "cb30bd81f2466ad6b3ca40303a65b29ec69f80ab875b9c9d06a29ba730a96087",
        ),
    ),
)


def corpora() -> dict[str, Corpus]:
    """All named corpora, whether their files are on this machine or not."""
    return {corpus.name: corpus for corpus in _CORPORA}
