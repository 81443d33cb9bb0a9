"""Tokenizer: numbers, points and expressions to what the network reads and writes, and back; whole batches at once.

A number is three tokens: sign, integer mantissa, exponent; value = ±mantissa·10^exponent (2.4242 with four digits is
+, 2424, -3); or it is one word, the nearest of eight magnitudes per decade. An expression is its prefix codes: one
token for an operator, a variable or a listed literal, three tokens or a word for any other number. A target starts and
ends with EOS. The tokenizer maps operators by name, so a vocabulary may have grown or be in another order than when the
network was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from sr_accessor.errors import InputError, LoadError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE, Vocabulary
from sr_accessor.transformer.config import TransformerConfig

__all__ = ["BITS", "FEATURES", "Layout", "Points", "Targets", "Tokenizer", "input_size", "layout"]

#: Features of one number with inputs="bits": the 32 bits of its IEEE single, as ±1, and asinh of its value.
BITS = 33

#: Words per decade with numbers="words": a number is off by at most 15 %.
STEPS = 8

_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)
#: Features of one number with inputs="features", see `_features`.
FEATURES = 5 + 4 * len(_FREQUENCIES)

#: Encoder words before the numbers, as published: EOS X /X Y /Y /POINTS INPUT_PAD OUTPUT_PAD PAD ( ) SPECIAL OOD…
_SPECIAL = 15
_INPUT_PAD, _PAD_WORD = 6, 8
_NO_BYTE = 256


@dataclass(frozen=True)
class Layout:
    """Where each kind of token lies among the ids of the decoder."""

    size: int
    pad: int
    eos: int
    constant: int
    numbers: range  # tokens that begin a number: the two signs of triples, or all words
    mantissa: int  # 10 ** digits, triples only
    exponent: int  # lowest … highest, triples only
    variable: int
    literals: tuple[int, ...]
    operators: tuple[int, ...]


@lru_cache(maxsize=32)
def layout(config: TransformerConfig) -> Layout:
    """The decoder's ids. Operators beyond those the layout began with go to the end: ids only grow."""
    triples = config.numbers == "triples"
    mantissas = 10**config.mantissa_digits if triples else 0
    decades = config.highest_exponent - config.lowest_exponent
    exponents = decades + 1 if triples else 0
    heads = 2 if triples else 2 * (STEPS * decades + 1)
    literals, operators = len(config.literals), len(config.operators)
    if config.layout == "compact":
        mantissa = 3 + heads
        variable = mantissa + mantissas + exponents
        first = variable + config.variables + literals
        return Layout(
            size=first + operators,
            pad=0,
            eos=1,
            constant=2,
            numbers=range(3, mantissa),
            mantissa=mantissa,
            exponent=mantissa + mantissas,
            variable=variable,
            literals=tuple(range(variable + config.variables, first)),
            operators=tuple(range(first, first + operators)),
        )
    # As published (system.md §2): 15 dead specials; 59 symbols = 18 operators, 21 integers, e, pi, euler_gamma,
    # CONSTANT, rand, 10 variables, 5 marks; 15 live specials; the words of numbers.
    symbols = _SPECIAL
    integers = symbols + 18
    names = integers + 21
    live = symbols + 59
    sign = live + _SPECIAL
    size = sign + 2 + mantissas + exponents
    return Layout(
        size=size + operators - 19,
        pad=live + _PAD_WORD,
        eos=live,
        constant=names + 3,
        numbers=range(sign, sign + 2),
        mantissa=sign + 2,
        exponent=sign + 2 + mantissas,
        variable=names + 5,
        literals=tuple(range(integers, integers + literals)),
        operators=(*range(symbols, symbols + 18), names + 1, *range(size, size + operators - 19)),
    )


def input_size(config: TransformerConfig) -> int:
    """Words the embedder knows (inputs="tokens"): 10,218 as published."""
    return _SPECIAL + 2 + 10**config.mantissa_digits + config.highest_exponent - config.lowest_exponent + 1


@dataclass(frozen=True)
class Points:
    """Bags of points as the embedder reads them.

    Parameters
    ----------
    features : (B, N, 3·(D_max+1)) int64 tokens, or floats, `BITS`·(D_max+1) or `FEATURES`·(D_max+1) of them
    mask : (B, N) bool, True where there is a point; None: everywhere
    """

    features: torch.Tensor
    mask: torch.Tensor | None = None


@dataclass(frozen=True)
class Targets:
    """Expressions as the decoder writes them.

    Parameters
    ----------
    tokens : (B, T) int64: EOS, the expression, EOS, padding; nothing but padding where not valid
    valid : (B,) bool; False: too long, a number that is not finite, or a symbol the network has no token for
    """

    tokens: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class _Tables:
    """Lookup tables on one device."""

    code_token: torch.Tensor  # (VARIABLE + D_max + 1,) token of an expression code, -1 for none; the last is none
    token_code: torch.Tensor  # (V,) expression code that begins at a token, 0 for none
    token_value: torch.Tensor  # (V,) value of literal, sign, mantissa, exponent
    literal_values: torch.Tensor  # (n,) ascending
    literal_tokens: torch.Tensor  # (n,) their tokens
    powers: torch.Tensor  # (309,) 10^k, k ≥ 0, each the nearest double
    bytes: torch.Tensor  # (257, 8) bits of a byte as ±1, the lowest first; the last row, for no number, is zero


@lru_cache(maxsize=32)
def _tables(config: TransformerConfig, vocabulary: Vocabulary, device: torch.device) -> _Tables:
    ids = layout(config)
    code_token = torch.full((VARIABLE + config.variables + 1,), -1, dtype=torch.int64)
    token_code = torch.zeros(ids.size, dtype=torch.int64)
    token_value = torch.zeros(ids.size, dtype=torch.float64)
    for name, token in zip(config.operators, ids.operators, strict=True):
        code = vocabulary.id(name)
        code_token[code], token_code[token] = token, code
    variables = torch.arange(config.variables)
    code_token[VARIABLE + variables] = ids.variable + variables
    token_code[ids.variable + variables] = VARIABLE + variables
    literal_tokens = torch.tensor(ids.literals, dtype=torch.int64)
    values = torch.tensor(config.literal_values, dtype=torch.float64)
    token_code[literal_tokens], token_value[literal_tokens] = LITERAL, values
    token_code[ids.constant], token_value[ids.constant] = CONSTANT, 1.0
    exponents = torch.arange(config.lowest_exponent, config.highest_exponent + 1, dtype=torch.float64)
    begins = slice(ids.numbers.start, ids.numbers.stop)
    token_code[begins] = CONSTANT
    if config.numbers == "triples":
        token_value[begins] = torch.tensor([1.0, -1.0], dtype=torch.float64)
        token_value[ids.mantissa : ids.exponent] = torch.arange(10**config.mantissa_digits, dtype=torch.float64)
        token_value[ids.exponent : ids.exponent + len(exponents)] = exponents
    else:
        sizes = 10 ** torch.linspace(*exponents[[0, -1]].tolist(), len(ids.numbers) // 2, dtype=torch.float64)
        token_value[begins] = torch.cat([sizes, -sizes])
    order = torch.argsort(values)
    return _Tables(
        code_token.to(device),
        token_code.to(device),
        token_value.to(device),
        values[order].to(device),
        literal_tokens[order].to(device),
        torch.tensor([float(f"1e{k}") for k in range(309)], dtype=torch.float64, device=device),
        torch.cat([(torch.arange(256)[:, None] >> torch.arange(8)) % 2 * 2.0 - 1, torch.zeros(1, 8)]).to(device),
    )


def _features(single: torch.Tensor) -> torch.Tensor:
    """(...) -> (..., FEATURES), all within a few units: 1 for "there is a number", sign, value, asinh, logarithm of the
    magnitude, and waves of asinh and logarithm that tell close numbers apart.

    In the logarithm a product of powers is a linear map; in the value a sum is one.
    """
    smooth, magnitude = single.asinh(), single.abs().clamp(1e-6, 1e6).log()
    plain = torch.stack([torch.ones_like(single), single.sign(), single.clamp(-4, 4), smooth / 2, magnitude / 4], -1)
    phases = (torch.stack([smooth, magnitude], -1)[..., None] * single.new_tensor(_FREQUENCIES)).flatten(-2)
    return torch.cat([plain, phases.sin(), phases.cos()], -1)


def _scaled(values: torch.Tensor, exponent: torch.Tensor, powers: torch.Tensor) -> torch.Tensor:
    """values·10^exponent with one rounding: a product, or a quotient where the exponent is negative."""
    power = powers[exponent.abs().clamp(max=308)]
    return torch.where(exponent < 0, values / power, values * power)


@dataclass(frozen=True)
class Tokenizer:
    """One network's tokens for one vocabulary.

    Parameters
    ----------
    config : the network's sizes and names
    vocabulary : what the codes of expressions mean

    Raises
    ------
    LoadError : the network writes operators that the vocabulary does not have.
    """

    config: TransformerConfig
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        known = {o.name for o in self.vocabulary.operators}
        missing = [name for name in self.config.operators if name not in known]
        if missing:
            raise LoadError(
                f"this network writes operators that this session does not have: {', '.join(map(repr, missing))}. "
                "Install or register the plugin that brings them, or use another network"
            )

    @property
    def ids(self) -> Layout:
        """Where each kind of token lies."""
        return layout(self.config)

    def tables(self, device: torch.device) -> _Tables:
        """Lookup tables on `device`, built once."""
        return _tables(self.config, self.vocabulary, device)

    # ------------------------------------------------------------------ numbers
    def split_numbers(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sign (0 +, 1 -), mantissa and exponent of finite float64 numbers, any shape.

        Rounded to the digits of the mantissa: 9.9995 becomes 1000·10^-2 with four. Too large saturates, too small
        becomes +, 0, 0.
        """
        config, powers = self.config, self.tables(values.device).powers
        top, bottom = 10**config.mantissa_digits, 10 ** (config.mantissa_digits - 1)
        size = values.double().abs()
        decade = torch.log10(size.clamp(min=1e-307)).floor().long() - (config.mantissa_digits - 1)
        mantissa = _scaled(size, -decade, powers).round()
        # log10 may be off by one unit near a power of ten, and rounding may reach the next decade
        decade = decade + (mantissa >= top).long() - (mantissa < bottom).long()
        mantissa = _scaled(size, -decade, powers).round().clamp(max=top)
        decade = torch.where(mantissa == top, decade + 1, decade)
        mantissa = torch.where(mantissa == top, bottom, mantissa)
        large, small = decade > config.highest_exponent, (decade < config.lowest_exponent) | (size == 0)
        mantissa = mantissa.masked_fill(large, top - 1).masked_fill(small, 0).long()
        decade = decade.clamp(max=config.highest_exponent).masked_fill(small, 0)
        return ((values < 0) & ~small).long(), mantissa, decade

    def encode_numbers(self, values: torch.Tensor) -> torch.Tensor:
        """Decoder tokens (..., 3), or (..., 1) of words, of finite numbers (...)."""
        ids, lowest = self.ids, self.config.lowest_exponent
        if self.config.numbers == "words":
            half = len(ids.numbers) // 2
            step = (STEPS * (values.double().abs().clamp(min=1e-300).log10() - lowest)).round().long()
            return (ids.numbers.start + step.clamp(0, half - 1) + half * (values < 0))[..., None]
        sign, mantissa, exponent = self.split_numbers(values)
        return torch.stack([ids.numbers.start + sign, ids.mantissa + mantissa, ids.exponent - lowest + exponent], -1)

    def decode_numbers(self, tokens: torch.Tensor) -> torch.Tensor:
        """Numbers (...) float64 of decoder tokens (..., 3), or (..., 1) of words."""
        tables = self.tables(tokens.device)
        if self.config.numbers == "words":
            return tables.token_value[tokens[..., 0]]
        sign, mantissa, exponent = tables.token_value[tokens].unbind(-1)
        return sign * _scaled(mantissa, exponent.long(), tables.powers)

    # ------------------------------------------------------------------ points
    def encode_points(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        mask: torch.Tensor | None = None,
        *,
        present: torch.Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Points:
        """Bags of points as the embedder reads them.

        Parameters
        ----------
        x : (B, N, D) float, already scaled (`decoding.scaling`); D ≤ D_max
        y : (B, N) float
        mask : (B, N) bool, True where there is a point; None: everywhere. Masked points may hold anything finite.
        present : (B, D) bool, the variables a row really has (rows of a training batch differ); None: all
        dtype : of the floats with inputs="bits" or "features"; bits are exact in bfloat16 too

        Raises
        ------
        InputError : more variables than the network has inputs.
        """
        config = self.config
        given = x.shape[-1]
        if given > config.variables:
            raise InputError(f"{given} variables, but this network reads at most {config.variables}; choose among them")
        numbers = torch.cat([torch.nn.functional.pad(x, (0, config.variables - given)), y[..., None]], -1)
        here = torch.ones(x.shape[0], given, dtype=torch.bool, device=x.device) if present is None else present
        here = torch.nn.functional.pad(here, (0, config.variables - given))
        here = torch.nn.functional.pad(here, (0, 1), value=True)[:, None, :, None]  # (B, 1, D_max + 1, 1)
        if config.inputs == "tokens":
            sign, mantissa, exponent = self.split_numbers(numbers)
            first = _SPECIAL + 2 + 10**config.mantissa_digits - config.lowest_exponent
            words = torch.stack([_SPECIAL + sign, _SPECIAL + 2 + mantissa, first + exponent], -1)
            return Points(words.masked_fill(~here, _INPUT_PAD).flatten(-2), mask)
        single = numbers.clamp(-3e38, 3e38).float().contiguous()
        if config.inputs == "features":
            return Points(_features(single).masked_fill(~here, 0.0).to(dtype).flatten(-2), mask)
        pieces = single.view(torch.uint8).unflatten(-1, (-1, 4)).int().masked_fill(~here, _NO_BYTE)
        bits = torch.nn.functional.embedding(pieces, self.tables(x.device).bytes.to(dtype)).flatten(-2)
        smooth = single.asinh()[..., None].masked_fill(~here, 0.0).to(dtype)
        return Points(torch.cat([bits, smooth], -1).flatten(-2), mask)

    # ------------------------------------------------------------------ expressions
    def encode_targets(self, expressions: Expressions, *, length: int | None = None) -> Targets:
        """Expressions as the decoder writes them.

        Parameters
        ----------
        expressions : B rows of this tokenizer's vocabulary
        length : T, columns of the answer (a fixed bucket); None: as many as the longest needs, at most those of the
            network. Longer rows are not valid.
        """
        config, ids, tables = self.config, self.ids, self.tables(expressions.device)
        codes, constants = expressions.codes, expressions.constants
        if not constants.shape[1]:
            constants = constants.new_zeros(len(codes), 1)
        values = constants.gather(1, expressions.number_slot.clamp(max=constants.shape[1] - 1))
        place = torch.searchsorted(tables.literal_values, values).clamp(max=len(tables.literal_values) - 1)
        listed = (codes == LITERAL) & (tables.literal_values[place] == values)
        written = expressions.is_number & ~listed
        valued = written if config.targets == "e2e" else torch.zeros_like(written)
        finite = torch.isfinite(values) | ~expressions.is_number
        numbers = self.encode_numbers(torch.where(finite, values, 0.0)).unbind(-1)

        width = torch.where(codes == PAD, 0, torch.where(valued, len(numbers), 1))
        end = 1 + width.cumsum(1)  # (B, L) column after each symbol
        start = end - width
        total = end[:, -1:]
        if length is None:
            length = min(int(total.max()) + 1, config.length + 1) if len(codes) else 1
        symbol = tables.code_token[codes.clamp(max=VARIABLE + config.variables)]
        symbol = torch.where(listed, tables.literal_tokens[place], symbol).masked_fill(written, ids.constant)
        known = (symbol >= 0) | ~expressions.present
        valid = (known & finite).all(1) & (total[:, 0] < length) & (expressions.lengths > 0)

        out = torch.full((len(codes), length + 1), ids.pad, dtype=torch.int64, device=codes.device)
        spare = torch.full_like(start, length)  # what is not written goes to the last column, which is cut off
        out.scatter_(
            1, torch.where(codes == PAD, spare, start).clamp(max=length), torch.where(valued, numbers[0], symbol)
        )
        for place, tokens in enumerate(numbers[1:], 1):
            out.scatter_(1, torch.where(valued, start + place, spare).clamp(max=length), tokens)
        out.scatter_(1, total.clamp(max=length), ids.eos)
        out[:, 0] = ids.eos
        return Targets(out[:, :length].masked_fill(~valid[:, None], ids.pad), valid)

    def decode_targets(self, tokens: torch.Tensor) -> Expressions:
        """Expressions of token rows (B, T); EOS and padding write nothing.

        Rows that the grammar did not allow come back as they are written; `Expressions.well_formed` tells. A CONSTANT
        token (targets="skeleton") becomes a free number of value 1.
        """
        ids, tables = self.ids, self.tables(tokens.device)
        code = tables.token_code[tokens]
        begins = code != 0
        column = torch.where(begins, begins.cumsum(1) - 1, tokens.shape[1])
        codes = torch.zeros(tokens.shape[0], tokens.shape[1] + 1, dtype=torch.int64, device=tokens.device)
        codes.scatter_(1, column, code)
        is_number = (code == CONSTANT) | (code == LITERAL)
        value = tables.token_value[tokens]
        if self.config.numbers == "triples":
            after = torch.nn.functional.pad(tokens, (0, 2), value=ids.pad)
            triples = torch.stack([tokens, after[:, 1:-1], after[:, 2:]], -1)
            is_sign = (tokens >= ids.numbers.start) & (tokens < ids.numbers.stop)
            value = torch.where(is_sign, self.decode_numbers(triples), value)
        slot = torch.where(is_number, is_number.cumsum(1) - 1, tokens.shape[1])
        constants = value.new_zeros(tokens.shape[0], tokens.shape[1] + 1).scatter_(1, slot, value)
        codes[:, -1], constants[:, -1] = PAD, 0.0
        return Expressions(codes, constants, self.vocabulary).trimmed()
