"""Configs from plain data: the round trip, and one message for each way to be wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.config import from_dict, load, override, to_dict
from lexigram.errors import ConfigError, FormatError, MissingFileError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    kind: Literal["cosine", "linear"] = "cosine"


@dataclass(frozen=True, kw_only=True)
class Outer:
    steps: int
    name: str | None = None
    compile: bool = False
    layers: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)


configs = st.builds(
    Outer,
    steps=st.integers(),
    name=st.none() | st.text(),
    compile=st.booleans(),
    layers=st.lists(st.integers()).map(tuple),
    inner=st.builds(
        Inner,
        rate=st.floats(allow_nan=False),
        betas=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        kind=st.sampled_from(["cosine", "linear"]),
    ),
)


@given(configs)
def test_round_trip_through_json(config: Outer) -> None:
    assert from_dict(Outer, json.loads(json.dumps(to_dict(config)))) == config


def test_override_reads_toml_values_and_plain_text() -> None:
    config = override(
        Outer(steps=1),
        ["steps=20", "inner.rate=1e-3", "inner.kind=linear", "layers=[1, 2]", "name=my run"],
    )
    assert config == Outer(
        steps=20, name="my run", layers=(1, 2), inner=Inner(rate=1e-3, kind="linear")
    )
    assert override(config, ["name=none"]).name is None
    assert override(config, ["inner.rate=1"]).inner.rate == 1.0


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("step=3", r"unknown config key 'step'; did you mean 'steps'\?"),
        ("inner.rat=3", r"unknown config key 'inner.rat'; did you mean 'rate'\?"),
        ("steps.more=3", "unknown config key 'steps.more'"),
        ("nothing.at.all=3", "unknown config key 'nothing'; valid keys are"),
        ("steps", "'steps' is not of the form key=value"),
        ("steps=many", "config key 'steps' = 'many': must be an integer"),
        ("steps=true", "config key 'steps' = True: must be an integer"),
        ("compile=1", "config key 'compile' = 1: must be true or false"),
        ("inner.kind=square", "'inner.kind' = 'square': must be one of 'cosine', 'linear'"),
        ("inner.betas=[1]", "'inner.betas' = \\[1\\]: must be a list of 2 values"),
        ("inner=3", "'inner' = 3: must be a table"),
        ("name=3", "'name' = 3: must be a text or none"),
    ],
)
def test_wrong_assignments_are_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(Outer(steps=1), [assignment])


def test_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="'steps' is missing"):
        from_dict(Outer, {})


def test_files(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("steps = 3\n[inner]\nrate = 2\n")
    assert load(Outer, toml) == Outer(steps=3, inner=Inner(rate=2.0))
    toml.write_text("steps = \n")
    with pytest.raises(FormatError, match="is not TOML"):
        load(Outer, toml)
    with pytest.raises(MissingFileError, match=r"no config file .*none\.toml"):
        load(Outer, tmp_path / "none.toml")
    toml.write_bytes(b"\xff")
    with pytest.raises(FormatError, match="not UTF-8 at byte 0"):
        load(Outer, toml)
    listing = tmp_path / "config.json"
    listing.write_text("[1]")
    with pytest.raises(FormatError, match="holds a list"):
        load(Outer, listing)
