"""The exceptions of lexigram. Each is also the built-in that fits, so that code which catches
`ValueError`, `KeyError` or `OSError` keeps working; each message names the value, the limit and
the remedy, and is one line."""


class LexigramError(Exception):
    """The base of every exception that lexigram raises on purpose."""


class InvalidInputError(LexigramError, ValueError):
    """An argument is outside its limits, or there is nothing to work on."""


class ConfigError(InvalidInputError):
    """A configuration has an unknown key, a value of the wrong type, or a contradiction."""


class OutOfRangeError(LexigramError, IndexError):
    """A position lies outside a sequence."""


class FormatError(LexigramError, ValueError):
    """A file is damaged, of another kind or version, or not readable as what it claims to be."""


class EncodingError(InvalidInputError):
    """Bytes that must be UTF-8 are not."""


class TokenIdError(LexigramError, ValueError, KeyError):
    """A token id is not in the vocabulary."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return str(self.args[0]) if self.args else ""


class TokenRangeError(TokenIdError, OverflowError):
    """A number is no token id of any vocabulary: negative, or of more than 32 bits."""


class UnknownTokenError(LexigramError, KeyError):
    """A piece of text is not a token of the vocabulary, or a special token is not there."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class FileError(LexigramError, OSError):
    """The operating system refused a file operation."""


class MissingFileError(FileError, FileNotFoundError):
    """A file or directory does not exist."""


class DownloadError(FileError):
    """A file that is not on this machine cannot be fetched from its address."""


class MissingDependencyError(LexigramError, ImportError):
    """An optional package is not installed; the message says which extra brings it."""


class TrainingError(LexigramError, RuntimeError):
    """Training cannot go on, for example because the loss is no longer a number."""


class InternalError(LexigramError, RuntimeError):
    """An invariant of lexigram does not hold: a bug to report."""
