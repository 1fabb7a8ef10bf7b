"""A strategy: how the next token is chosen, as an ordered pipeline that prints and parses.

Text form: items separated by commas. `name=value` is a transform of scores, applied in the order
in which it stands; `greedy` or `sample` (also written `ancestral`) says how the token is chosen
from what is left, and `sample` may be left out where there are transforms:

    sample                                 draw from the model's own distribution
    greedy                                 the highest score; of equal ones, the lowest id
    temperature=0.8,top_k=40,top_p=0.95    divide by 0.8, then cut to 40, then cut to mass 0.95

The order matters: on 5,000 normal scores of standard deviation 3, `temperature=2,top_p=0.9` keeps
about 2,000 tokens, `top_p=0.9,temperature=2` about 400. Invariant: `Strategy.parse(str(s)) == s`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lexigram.decode import processors
from lexigram.decode.processors import Scores
from lexigram.errors import ConfigError

__all__ = ["TRANSFORMS", "Strategy", "Transform"]


class _Kind(NamedTuple):
    """What the values of one transform may be, and the function that it names."""

    apply: Callable[[Scores, Any], Scores]
    type: type[int] | type[float]
    low: float
    high: float


TRANSFORMS: dict[str, _Kind] = {
    "temperature": _Kind(processors.temperature, float, 0, math.inf),
    "top_k": _Kind(processors.top_k, int, 1, math.inf),
    "top_p": _Kind(processors.top_p, float, 0, 1),
    "min_p": _Kind(processors.min_p, float, 0, 1),
}
"""The transforms by name; `lexigram.decode.processors` defines each."""

_CHOICES = {"greedy": "greedy", "sample": "sample", "ancestral": "sample"}


@dataclass(frozen=True)
class Transform:
    """One transform with its value, such as `Transform("top_k", 40)`.

    Raises `ConfigError` for an unknown name and for a value outside the transform's limits.
    """

    name: str
    value: float

    def __post_init__(self) -> None:
        kind = TRANSFORMS.get(self.name)
        if kind is None:
            raise ConfigError(f"unknown strategy {self.name!r}{_near(self.name)}")
        whole = kind.type is int
        fits = (
            isinstance(self.value, int | float)
            and not isinstance(self.value, bool)
            and math.isfinite(self.value)
            and kind.low <= self.value <= kind.high
            and (not whole or self.value == int(self.value))
        )
        if not fits:
            raise ConfigError(f"{self.name}={self.value}: must be {_limits(kind)}")
        object.__setattr__(self, "value", kind.type(self.value))

    def __call__(self, scores: Scores) -> Scores:
        """The transformed scores; float64 of the same shape (..., V)."""
        return TRANSFORMS[self.name].apply(scores, self.value)

    def __str__(self) -> str:
        return f"{self.name}={repr(self.value).removesuffix('.0')}"


@dataclass(frozen=True)
class Strategy:
    """Transforms in the order in which they are applied, then a choice.

    Raises `ConfigError` for a contradiction: a transform that stands twice, or transforms with
    `greedy`, which they cannot change because each of them keeps the highest score.
    """

    transforms: tuple[Transform, ...] = ()
    choice: Literal["sample", "greedy"] = "sample"

    def __post_init__(self) -> None:
        if self.choice not in ("sample", "greedy"):
            raise ConfigError(f"choice={self.choice!r}: must be 'sample' or 'greedy'")
        names = [t.name for t in self.transforms]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{name} stands {names.count(name)} times; once is enough")
        if self.choice == "greedy" and names:
            raise ConfigError(
                f"greedy and {names[0]} contradict each other: greedy takes the highest score, "
                f"which {names[0]} never removes; leave out one of the two"
            )

    @classmethod
    def parse(cls, text: str | Strategy) -> Strategy:
        """The strategy that `text` describes; a `Strategy` is returned as it is.

        Raises `ConfigError` for text that is not of the form, and for contradictions.
        """
        if isinstance(text, Strategy):
            return text
        if not isinstance(text, str):
            raise ConfigError(f"strategy is a {type(text).__name__}: must be a text or a Strategy")
        transforms: list[Transform] = []
        choices: list[str] = []
        for item in text.split(","):
            name, equals, value = (part.strip() for part in item.partition("="))
            name = name.lower().replace("-", "_")
            if name in _CHOICES and not equals:
                choices.append(_CHOICES[name])
            else:
                transforms.append(_transform(name, equals, value, text))
        if len(choices) > 1:
            raise ConfigError(f"strategy {text!r} says twice how to choose; keep one of them")
        choice: Any = choices[0] if choices else "sample"
        return cls(transforms=tuple(transforms), choice=choice)

    def __call__(self, scores: Scores) -> Scores:
        """The scores (..., V) after the whole pipeline: −inf outside of the kept set, of which
        there is at least one. Greedy keeps one token.

        Raises `InvalidInputError` for NaN, +inf, and a row without a finite score.
        """
        processors.check_scores(scores)
        for transform in self.transforms:
            scores = transform(scores)
        return processors.argmax_only(scores) if self.choice == "greedy" else scores

    def __str__(self) -> str:
        return ",".join(map(str, self.transforms)) or self.choice


def _transform(name: str, equals: str, value: str, text: str) -> Transform:
    if not name:
        raise ConfigError(f"strategy {text!r} has an empty item; write for example greedy")
    if name in _CHOICES:
        raise ConfigError(f"{name} takes no value: write {name} alone")
    if name not in TRANSFORMS:
        raise ConfigError(f"unknown strategy {name!r}{_near(name)}")
    if not equals:
        raise ConfigError(f"{name} needs a value: write {name}=VALUE")
    try:
        number = TRANSFORMS[name].type(value)
    except ValueError:
        raise ConfigError(f"{name}={value}: must be {_limits(TRANSFORMS[name])}") from None
    return Transform(name, number)


def _limits(kind: _Kind) -> str:
    noun = "a whole number" if kind.type is int else "a number"
    if kind.high == math.inf:
        return f"{noun}, at least {kind.low}"
    return f"{noun} from {kind.low} to {kind.high}"


def _near(name: str) -> str:
    supported = ["greedy", "sample", *TRANSFORMS]
    close = difflib.get_close_matches(name, supported, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint}; supported are {', '.join(supported)}"
