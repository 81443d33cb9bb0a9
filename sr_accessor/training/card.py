"""Card: MODEL_CARD.md of a run, its numbers read from the log and from the header of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr_accessor.errors import LoadError
from sr_accessor.training.state import read_log
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import TransformerConfig

__all__ = ["model_card", "write_card"]

#: Rows of the loss curve.
CURVE = 12

_TEXT = """# Network `{name}`

A transformer that reads up to {points} points of up to {variables} variables and writes a law in prefix notation,
{constants}.
Trained from scratch by `python -m sr_accessor.training`; no data of anyone, only functions drawn from the prior.

| what | value |
|---|---|
| preset | {preset}: {parameters:,} parameters, {encoder_layers} + {decoder_layers} layers of width {width} |
| file | {size:.1f} MB, half precision, SHA-256 `{sha256}` |
| prior | `{prior}`, drawn on the fly, no example twice |
| targets | {targets} |
| examples | {examples:,} |
| updates | {step:,} of {per_update:,.0f} examples on average |
| tokens learnt | {tokens:,} |
| operations | {operations:.3g} floating-point operations ({rate:.3g}/s) |
| time | {seconds:,.0f} s ({hours:.1f} h) |
| device | {device}, {processes} process(es), {threads} thread(s), torch {torch} |
| learning rate | schedule `{schedule}`, peak {peak:g}; gradient norm clipped at {clip:g} |
| seed | {seed} |
| begun with | {start} |

## What it has learnt

Held-out functions of the same prior ({held_out:,}, drawn with a seed that no training uses): cross-entropy in nats per
token given a function's own points and given another function's points; the difference is what it reads from the
points. A token is right when it is the likeliest given all right tokens before it.

{validation}

{curve}

## What it can do

- Every sequence it writes is a complete expression (the grammar mask sees to it), over the {operators} operators of
  its header; new operators need further training (`--from`), the search uses them at once.
- Laws of the kind the prior draws, of data {scaling}.

## What it cannot do

- It has read at most {points} points at once; more rows become bags. More than {variables} variables are ranked and the
  rest dropped, with a warning.
- {digits}
- It is one source of candidates: a law it does not write may still be found by the search, and its laws are
  judged by the data, never by its probability.
- Laws with cases (but for `abs`, `min` and `max`), integrals, differential equations and laws with hidden variables are
  outside the prior.
- It writes no law longer than {length} tokens.
{evaluation}"""


_CONSTANTS = {
    "e2e": "constants included; they are starting values: refinement supplies the digits",
    "skeleton": "with a placeholder for every constant: refinement supplies the numbers",
}
_SCALING = {
    "rms": "in any units, since x and y are divided by their root mean squares first",
    "standard": "whose x are standardised first and whose y are as they are",
}
_DIGITS = {
    "triples": "Its constants have {digits} significant digits at most.",
    "words": "It writes the nearest of eight magnitudes per decade from 1e{low} to 1e{high}: its constants are off by\n"
    "  up to 15 %, and by more outside.",
}


def model_card(
    name: str,
    header: Mapping[str, Any],
    config: TransformerConfig,
    log: Sequence[Mapping[str, Any]],
    *,
    size: int,
    sha256: str,
    parameters: int,
    evaluation: str = "",
) -> str:
    """The card as Markdown.

    Parameters
    ----------
    header : of the weights, with the trainer's provenance
    log : lines of log.jsonl
    size, sha256 : of the file, bytes
    evaluation : table of `python -m sr_accessor.evaluation network`, if there is one

    Raises
    ------
    LoadError : weights that this trainer did not write.
    """
    facts = header["provenance"]
    try:
        plan, seconds = facts["plan"], max(float(facts["seconds"]), 1e-9)
        return _TEXT.format(
            name=name,
            constants=_CONSTANTS[config.targets],
            scaling=_SCALING[config.scaling],
            parameters=parameters,
            size=size / 1e6,
            sha256=sha256,
            hours=seconds / 3600,
            rate=facts["operations"] / seconds,
            per_update=facts["examples"] / max(1, facts["step"]),
            start=f"weights `{plan['start']}`" if plan["start"] else "random values",
            held_out=plan["validation"],
            validation=_validation(facts["validation"]),
            curve=_curve(log),
            digits="It writes no constants." if config.targets == "skeleton" else _digits(config),
            operators=len(config.operators),
            evaluation=f"\n## Evaluation\n\n```text\n{evaluation.strip()}\n```\n" if evaluation else "",
            **{k: getattr(config, k) for k in ("points", "variables", "encoder_layers", "decoder_layers", "width")},
            length=config.length,
            seconds=seconds,
            **{k: facts[k] for k in ("examples", "step", "tokens", "operations", "device", "processes", "threads")},
            torch=facts["torch"],
            **{k: plan[k] for k in ("preset", "prior", "targets", "schedule", "peak", "clip", "seed")},
        )
    except (KeyError, TypeError) as error:
        raise LoadError(f"weights without the provenance this card needs ({error}); train them again") from error


def write_card(folder: Path, evaluation: Path | None = None) -> Path:
    """Write `folder`/MODEL_CARD.md for `folder`/network.safetensors.

    Raises
    ------
    ModelNotFoundError, LoadError, ModelIntegrityError : no weights there, or not ours.
    """
    path = folder / "network.safetensors"
    found = checkpoint.load(path)
    header, config = checkpoint.read_header(path)
    text = model_card(
        folder.resolve().name,
        header,
        config,
        read_log(folder),
        size=path.stat().st_size,
        sha256=checkpoint.file_sha256(path),
        parameters=sum(p.numel() for p in found.model.parameters()),
        evaluation=evaluation.read_text(encoding="utf-8") if evaluation else "",
    )
    card = folder / "MODEL_CARD.md"
    card.write_text(text, encoding="utf-8")
    return card


def _digits(config: TransformerConfig) -> str:
    return _DIGITS[config.numbers].format(
        digits=config.mantissa_digits, low=config.lowest_exponent, high=config.highest_exponent
    )


def _validation(found: Mapping[str, float] | None) -> str:
    if found is None:
        return "Not validated."
    gap = found["other"] - found["own"]
    return (
        "| own points | another's points | difference | tokens right |\n|---|---|---|---|\n"
        f"| {found['own']:.3f} | {found['other']:.3f} | **{gap:.3f}** | {found['accuracy']:.1%} |"
    )


def _curve(log: Sequence[Mapping[str, Any]]) -> str:
    """Lines with a validation, evenly thinned, and the last."""
    lines = [line for line in log if "own" in line]
    if not lines:
        return ""
    chosen = sorted({round(i * (len(lines) - 1) / max(1, CURVE - 1)) for i in range(CURVE)})
    rows = [
        f"| {line['step']:,} | {line['examples']:,} | {line['seconds'] / 3600:.2f} | {line['loss']:.3f} | "
        f"{line['own']:.3f} | {line['other']:.3f} | {line['accuracy']:.1%} |"
        for line in (lines[i] for i in chosen if i < len(lines))
    ]
    head = "| step | examples | hours | training loss | own | other | tokens right |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *rows])
