"""TransformerConfig: every size of the network and of its vocabularies; presets by name.

It knows numbers and names, not tensors. A checkpoint stores it as JSON; reading it back checks every field, so
that a hostile header can neither ask for absurd sizes nor smuggle in anything but numbers and words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sr_accessor.errors import LoadError, UnknownNameError, nearest
from sr_accessor.expressions.elementary import ELEMENTARY

__all__ = ["INPUTS", "PRESETS", "TransformerConfig", "preset"]

#: Literals of the compact vocabulary: numbers that belong to a structure and never change.
_FRACTIONS = ("1/2", "1/3", "2/3", "3/2", "1/4", "3/4", "4/3", "5/2")
_INTEGERS = tuple(str(i) for i in range(-10, 11))
_LITERALS = _INTEGERS + _FRACTIONS + tuple(f"-{f}" for f in _FRACTIONS)

#: The 19 published operator words that this library also has, in its own names (system.md §2).
_PUBLISHED = (
    "add sub mul div abs inv sqrt log exp sin asin cos acos tan atan square cube pow pi"
).split()  # fmt: skip

#: Largest value of any size; far above every preset, far below what would exhaust a machine's memory.
_LIMIT = 65_536
_MOST_LAYERS = 256

#: How the embedder reads a number.
INPUTS = ("tokens", "bits", "features")
_CHOICES = {
    "norm": ("post_layer", "pre_rms"),
    "activation": ("relu", "gelu"),
    "inputs": INPUTS,
    "layout": ("published", "compact"),
    "numbers": ("triples", "words"),
    "targets": ("e2e", "skeleton"),
    "scaling": ("standard", "rms"),
}


@dataclass(frozen=True)
class TransformerConfig:
    """All sizes and choices of one network.

    Parameters
    ----------
    width : E, size of one vector; a multiple of `heads`
    heads, encoder_layers, decoder_layers, feed_forward : of the transformer
    embedder_hidden : width of the embedder's hidden layer
    embedder_width : size of one input token's embedding (inputs="tokens")
    positions : rows of the decoder's table of learnt positions; at least `length` + 1
    norm : "post_layer" (LayerNorm after the residual, as published) or "pre_rms" (RMSNorm before each block)
    activation : "relu" or "gelu", in the feed-forward blocks
    bias : whether the linear maps of encoder and decoder have biases
    inputs : "tokens" (three tokens per number, as published), "bits" (the 32 bits of an IEEE float) or "features"
        (its value, logarithm and waves of both)
    layout : "published" (10,218 and 10,292 tokens) or "compact"
    numbers : "triples" (a written number is three tokens, sign, mantissa and exponent) or "words" (one token: the
        nearest of eight magnitudes per decade, refinement supplies the rest; layout="compact")
    targets : "e2e" (numbers are written) or "skeleton" (every free number is the one token CONSTANT)
    scaling : what `decoding.scaling` does to the data: "standard" (x to mean 0 and deviation 1, y as it is, as
        published) or "rms" (x and y divided by their root mean squares, as the prior `science` gives them)
    variables : D_max, inputs the network can tell apart
    points : largest bag, points
    length : longest expression, tokens, the closing EOS included
    mantissa_digits, lowest_exponent, highest_exponent : numbers are ±mantissa·10^exponent with integer mantissa
    operators : names, in the order of their tokens; new ones go to the end
    literals : "2", "-1", "1/2" ...: numbers with a token of their own
    """

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    feed_forward: int
    embedder_hidden: int
    embedder_width: int = 64
    positions: int = 129
    norm: str = "pre_rms"
    activation: str = "gelu"
    bias: bool = False
    inputs: str = "bits"
    layout: str = "compact"
    numbers: str = "triples"
    targets: str = "e2e"
    scaling: str = "rms"
    variables: int = 10
    points: int = 200
    length: int = 128
    mantissa_digits: int = 2
    lowest_exponent: int = -101
    highest_exponent: int = 99
    operators: tuple[str, ...] = tuple(o.name for o in ELEMENTARY)
    literals: tuple[str, ...] = _LITERALS

    def __post_init__(self) -> None:
        wrong = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES:
                if value not in _CHOICES[field.name]:
                    wrong.append(f"{field.name}={value!r} must be one of {', '.join(_CHOICES[field.name])}")
            elif field.name in ("operators", "literals"):
                if not (isinstance(value, tuple) and all(isinstance(v, str) and len(v) <= 64 for v in value)):
                    wrong.append(f"{field.name} must be a tuple of names")
                elif len(set(value)) != len(value) or len(value) > 1000:
                    wrong.append(f"{field.name} must be at most 1000 different names")
            elif field.name == "bias":
                if not isinstance(value, bool):
                    wrong.append(f"bias={value!r} must be True or False")
            elif not isinstance(value, int) or isinstance(value, bool):
                wrong.append(f"{field.name}={value!r} must be an integer")
            elif not (-_LIMIT if field.name.endswith("exponent") else 1) <= value <= _LIMIT:
                wrong.append(f"{field.name}={value!r} is outside 1 … {_LIMIT}")
            elif field.name.endswith("layers") and value > _MOST_LAYERS:
                wrong.append(f"{field.name}={value!r} is more than {_MOST_LAYERS}")
        if not wrong:  # relations between fields that are sound on their own
            if self.width % self.heads:
                wrong.append(f"width={self.width} must be a multiple of heads={self.heads}")
            if self.positions < self.length + 1:
                wrong.append(f"positions={self.positions} must be at least length + 1 = {self.length + 1}")
            if self.mantissa_digits > 4:
                wrong.append(f"mantissa_digits={self.mantissa_digits} must be at most 4: each is ten times more tokens")
            if not -200 <= self.lowest_exponent <= 0 <= self.highest_exponent <= 200:
                wrong.append("exponents must span 0 and stay within -200 … 200")
            if self.layout == "published" and self.operators[: len(_PUBLISHED)] != tuple(_PUBLISHED):
                wrong.append("layout='published' needs the published operators first")
            if self.layout == "published" and self.literals != _INTEGERS:
                wrong.append("layout='published' has the literals -10 … 10")
            if self.layout == "published" and self.variables != 10:
                wrong.append("layout='published' has ten variables")
            if self.layout == "published" and self.numbers != "triples":
                wrong.append("layout='published' writes numbers='triples'")
            try:
                _ = self.literal_values
            except (ValueError, ZeroDivisionError):
                wrong.append("literals must be integers or fractions such as '-1' or '1/2'")
        if wrong:
            raise LoadError("a network cannot have these sizes: " + "; ".join(wrong))

    @property
    def literal_values(self) -> tuple[float, ...]:
        """The literals as numbers."""
        return tuple(float(Fraction(text)) for text in self.literals)

    def replace(self, **changes: Any) -> TransformerConfig:
        """The same network with other sizes."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """The configuration `to_dict` wrote.

        Raises
        ------
        LoadError : a field is missing, unknown or not of its kind.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or set(values) != known:
            given = set(values) if isinstance(values, Mapping) else set()
            raise LoadError(
                "this network's configuration is of another version of sr_accessor: "
                f"missing {sorted(known - given)}, unknown {sorted(map(str, given - known))[:10]}"
            )
        listed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**listed)


#: paper: the published network to the parameter. base: for a GPU (< 12 M parameters). small: 3 M. mini: learns most in
#: an hour of one processor core; the bundled one. tiny: for tests.
#:
#: Why base differs from paper: pre-norm trains without a long warm-up; biases add nothing beside RMSNorm; a two-digit
#: mantissa keeps the softmax at 378 tokens (refinement supplies the digits); 32 input bits beat 16 by 16 points of
#: recovery in Flash-ANSR's ablation (system.md §9).
#:
#: Why mini differs from base: in equal minutes features instead of bits let it read several times more from the points;
#: a word instead of a triple makes sequences a third shorter, for the decoder's time and for what cannot be learnt
#: anyhow; 48 points cost a third of 200.
#:
#: pair: mini with data as the prior `paper` gives them, for the paper's comparison of E2E and skeleton; with words both
#: have sequences of the same length, so equal steps are equal examples and equal operations.
PRESETS: Mapping[str, TransformerConfig] = {
    "paper": TransformerConfig(
        width=512, heads=16, encoder_layers=4, decoder_layers=16, feed_forward=2048, embedder_hidden=2112,
        embedder_width=64, positions=4096, norm="post_layer", activation="relu", bias=True, inputs="tokens",
        layout="published", scaling="standard", length=200, mantissa_digits=4, lowest_exponent=-100,
        highest_exponent=100, operators=tuple(_PUBLISHED), literals=_INTEGERS,
    ),
    "base": TransformerConfig(
        width=256, heads=8, encoder_layers=4, decoder_layers=8, feed_forward=1024, embedder_hidden=384,
    ),
    "small": TransformerConfig(
        width=192, heads=6, encoder_layers=2, decoder_layers=4, feed_forward=512, embedder_hidden=384,
    ),
    "mini": TransformerConfig(
        width=128, heads=4, encoder_layers=2, decoder_layers=3, feed_forward=384, embedder_hidden=256,
        inputs="features", numbers="words", lowest_exponent=-4, highest_exponent=4, points=48,
    ),
    "pair": TransformerConfig(
        width=128, heads=4, encoder_layers=2, decoder_layers=3, feed_forward=384, embedder_hidden=256,
        inputs="features", numbers="words", scaling="standard", lowest_exponent=-4, highest_exponent=4, points=48,
    ),
    "tiny": TransformerConfig(
        width=32, heads=2, encoder_layers=1, decoder_layers=2, feed_forward=64, embedder_hidden=64, positions=49,
        variables=4, points=40, length=48,
    ),
}  # fmt: skip


def preset(name: str, **changes: Any) -> TransformerConfig:
    """A preset by name, with some fields changed.

    Raises
    ------
    UnknownNameError : no preset of that name.
    """
    if name not in PRESETS:
        raise UnknownNameError(f"no network preset {name!r}; {nearest(name, PRESETS)}")
    return PRESETS[name].replace(**changes)
