"""Configuration: frozen dataclasses, read from dictionaries and TOML, changed by `a.b=value`.

A config class stands beside what it configures and derives from nothing. This file knows how to
fill one from plain data and how to turn it back; it holds no registry. Unknown keys and values of
the wrong type fail, and the message names the key, the value and the nearest valid key.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lexigram.errors import ConfigError, FileError, FormatError, MissingFileError

__all__ = ["from_dict", "load", "override", "to_dict"]

C = TypeVar("C")


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain data: dictionaries, lists, numbers, strings, booleans and None."""
    return typing.cast("dict[str, Any]", _plain(config))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def from_dict(cls: type[C], data: Mapping[str, Any], *, where: str = "") -> C:
    """Fills the dataclass `cls` from plain data.

    Raises `ConfigError` for an unknown or missing key and for a value of the wrong type; `where`
    is the dotted path that messages begin with.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise ConfigError(f"unknown config key {_join(where, key)!r}{_near(key, fields)}")
    values = {k: _convert(hints[k], v, _join(where, k)) for k, v in data.items()}
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise ConfigError(f"config key {_join(where, name)!r} is missing and has no default")
    return cls(**values)


def override(config: C, assignments: Sequence[str]) -> C:
    """A copy of `config` with `"a.b=value"` applied in order. Values are read as TOML where they
    are TOML (`3`, `1e-3`, `true`, `[1, 2]`, `"text"`), `none` as None, and else as plain text."""
    data = to_dict(config)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} is not of the form key=value, such as steps=1000")
        *parents, last = key.strip().split(".")
        target: Any = data
        for i, parent in enumerate(parents):
            if not isinstance(target, dict) or parent not in target:
                here = ".".join(parents[: i + 1])
                raise ConfigError(f"unknown config key {here!r}{_near(parent, target)}")
            target = target[parent]
        if not isinstance(target, dict) or last not in target:
            raise ConfigError(f"unknown config key {key.strip()!r}{_near(last, target)}")
        target[last] = _literal(text.strip())
    return from_dict(type(config), data)


def load(cls: type[C], path: str | Path) -> C:
    """Reads the dataclass `cls` from a `.toml` or `.json` file.

    Raises `MissingFileError`, `FileError`, `FormatError` (not TOML or JSON) or `ConfigError`.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"there is no config file {path}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 at byte {error.start}") from None
    try:
        data = json.loads(text) if path.suffix == ".json" else _toml(text)
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise FormatError(f"{path} is not {kind}: {error}") from None
    if not isinstance(data, dict):
        raise FormatError(f"{path} holds a {type(data).__name__}, not a table of config keys")
    return from_dict(cls, data)


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _literal(text: str) -> Any:
    if text.lower() in {"none", "null"}:
        return None
    try:
        return _toml(f"value = {text}")["value"]
    except ValueError:
        return text


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _near(key: str, valid: Any) -> str:
    names = sorted(valid) if isinstance(valid, Mapping) else []
    close = difflib.get_close_matches(key, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid keys are {', '.join(names)}" if names else ""


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `hint`, or a `ConfigError`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return _convert(option, value, where)
            except ConfigError:
                continue
        raise _wrong(where, value, " or ".join(_name(a) for a in args))
    if origin is typing.Literal:
        if value in args:
            return value
        raise _wrong(where, value, "one of " + ", ".join(repr(a) for a in args))
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, value, "a list")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        if len(value) != len(args):
            raise _wrong(where, value, f"a list of {len(args)} values")
        return tuple(
            _convert(a, v, f"{where}[{i}]")
            for i, (a, v) in enumerate(zip(args, value, strict=True))
        )
    if dataclasses.is_dataclass(hint):
        if isinstance(value, Mapping):
            return from_dict(typing.cast("type[Any]", hint), value, where=where)
        raise _wrong(where, value, "a table")
    if hint is type(None):
        if value is None:
            return None
        raise _wrong(where, value, "none")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is not (hint is bool) or not isinstance(value, hint):
        raise _wrong(where, value, _name(hint))
    return value


def _name(hint: Any) -> str:
    return {int: "an integer", float: "a number", str: "a text", bool: "true or false"}.get(
        hint, "none" if hint is type(None) else getattr(hint, "__name__", str(hint))
    )


def _wrong(where: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"config key {where!r} = {value!r}: must be {expected}")
