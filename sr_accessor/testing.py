"""Checks of operators, noise models and other contributions: run on ours by the tests, on yours at registration.

    from sr_accessor.testing import check_operator
    def test_erfcx():
        check_operator(erfcx)

Each check raises with its name and the numbers that disagree. One operator takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sr_accessor.device import DTYPE, generator
from sr_accessor.errors import NoiseModelError, OperatorError, PluginError, SymRegError
from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.definitions import ARGUMENTS, base_operators, definition
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.model import NoiseModel

__all__ = ["check_exporter", "check_noise_model", "check_operator"]

_ONE = (-800.0, -25.3, -7.0, -3.2, -2.0, -1.5, -1.0, -0.6, -0.1, -1e-3, 0.0, 1e-3, 0.1, 0.4, 1.0, 1.5, 2.0, 3.1, 9.0)
_TWO = (-3.2, -2.0, -1.0, -0.6, 0.0, 0.4, 1.0, 2.0, 2.7, 9.1)
#: Infinite values are poles when the arguments are at most this large, and mere overflow beyond.
POLE = 3.0
#: Probe points move by this for derivatives: no built-in has a kink there (|x| has at 0, min and max on ties).
OFF_KINKS = (0.0137, 0.0291)
#: Largest relative disagreement of torch and sympy (torch 2.13's bessel_j0 is off by 3e-9 at 7; a detour through
#: single precision by 1e-7), and of a derivative and finite differences.
VALUE_RTOL, SLOPE_RTOL = 1e-8, 1e-5
#: Largest relative disagreement of a noise model on two devices: own parameters end an iteration a little elsewhere.
DEVICE_RTOL = 1e-6
#: Points at which sympy is asked; it takes about 0.2 ms for each.
SYMPY_POINTS = 24

# What a faulty function may raise. Everything else (KeyboardInterrupt, MemoryError) is nobody's fault here.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
)
_FAULTS += (ValueError,)


def check_operator(operator: Operator) -> None:
    """Check that an operator computes what it declares.

    Shapes broadcast and float64 is kept; the same input gives the same value and is not written to; NaN, never an
    exception, outside the domain; `domain` is the truth on a grid of probe points; derivatives equal finite
    differences; it is linear where `linear` says so; torch equals sympy, the `definition`, and itself on a CUDA
    device where there is one; `latex` and `printers` can be filled in.

    Raises
    ------
    OperatorError : names the operator, the check that failed, and the numbers.
    """
    if operator.infix is not None and operator.infix != {o.name: o.infix for o in ELEMENTARY}.get(operator.name):
        raise _failed(operator, "infix", "only arithmetic has signs in text; leave infix out: it is a call there")
    _check_latex(operator)
    for language, template in operator.printers.items():
        _attempt(operator, f"printers[{language!r}]", template.format, *["u", "w"][: operator.arity])
    if operator.arity == 0:
        value = _attempt(operator, "value", operator.torch)
        if not isinstance(value, float) or value != value or abs(value) == float("inf"):
            raise _failed(operator, "value", f"a named constant must give a finite float, not {value!r}")
        _check_sympy(operator, [()], [value])
        return
    points = _probe(operator.arity)
    value = _check_values(operator, points)
    valid = _check_domain(operator, points, value)
    for i in range(operator.arity):
        _check_derivative(operator, i)
    _check_linear(operator, points)
    _check_definition(operator, points, value)
    if torch.cuda.is_available():
        _check_device(operator, points, value, "cuda")
    sample = valid.nonzero()[:, 0]
    sample = sample[:: max(1, len(sample) // SYMPY_POINTS)]
    arguments = torch.stack(points, 1)[sample]
    near = (arguments.abs() <= 30).all(1)  # sin(800) is as exact as its argument, no more
    _check_sympy(operator, arguments[near].tolist(), value[sample[near]].tolist())


def _probe(arity: int) -> tuple[torch.Tensor, ...]:
    """Probe points, one tensor (n,) per argument."""
    if arity == 1:
        return (torch.tensor(_ONE, dtype=DTYPE),)
    two = torch.tensor(_TWO, dtype=DTYPE)
    return tuple(grid.reshape(-1) for grid in torch.meshgrid(two, two, indexing="ij"))


def _failed(operator: Operator, check: str, message: str) -> OperatorError:
    return OperatorError(f"operator {operator.name!r} fails the check {check!r}: {message}")


def _attempt(operator: Operator, check: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments), with whatever it raises told as a failed check."""
    try:
        return function(*arguments)
    except SymRegError:
        raise
    except _FAULTS as error:
        raise _failed(operator, check, f"it raised {type(error).__name__}: {error}") from error


def _at(points: tuple[torch.Tensor, ...], index: int) -> str:
    return "(" + ", ".join(f"{float(p[index]):.6g}" for p in points) + ")"


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    return torch.equal(torch.nan_to_num(one, nan=1.25e300), torch.nan_to_num(two, nan=1.25e300))


def _check_latex(operator: Operator) -> None:
    names = ["u", "w"][: operator.arity]
    text = _attempt(operator, "latex", operator.latex.format, *names)
    if missing := [n for n in names if n not in text]:
        raise _failed(operator, "latex", f"{operator.latex!r} leaves out argument {{{names.index(missing[0])}}}")


def _check_values(operator: Operator, points: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Shapes, dtype, determinism, unchanged input, NaN in NaN out; returns the values at the probe points."""
    given = [p.clone() for p in points]
    value = _attempt(operator, "no exception", operator.torch, *given)
    if not isinstance(value, torch.Tensor):
        raise _failed(operator, "shape", f"torch must return a tensor, not {type(value).__name__}")
    if value.dtype != DTYPE:
        raise _failed(operator, "dtype", f"float64 in must give float64 out, not {value.dtype}")
    if not all(torch.equal(a, b) for a, b in zip(given, points, strict=True)):
        raise _failed(operator, "unchanged input", "it writes into its arguments; compute out of place")
    if not _same(value, _attempt(operator, "determinism", operator.torch, *given)):
        raise _failed(operator, "determinism", "two calls with the same arguments give different values")
    shapes = [(4, 1), (1, 5)][: operator.arity] if operator.arity == 2 else [(4, 5)]
    out = _attempt(operator, "shape", operator.torch, *(torch.full(s, 0.5, dtype=DTYPE) for s in shapes))
    if value.shape != points[0].shape or out.shape != (4, 5):
        raise _failed(
            operator, "shape", f"arguments {shapes} must give (4, 5), not {tuple(out.shape)}; it must be elementwise"
        )
    for i in range(operator.arity):
        broken = [p.clone() for p in points]
        broken[i] = torch.full_like(broken[i], torch.nan)
        kept = torch.isfinite(_attempt(operator, "NaN in, NaN out", operator.torch, *broken)).nonzero()[:, 0]
        if len(kept):
            raise _failed(
                operator,
                "NaN in, NaN out",
                f"arguments {_at(tuple(broken), int(kept[0]))} give a finite value: an invalid part would turn valid",
            )
    if operator.commutative and not _same(value, operator.torch(*reversed(points))):
        raise _failed(operator, "commutative", "it is declared so, but f(a, b) and f(b, a) differ")
    return value


def _check_domain(operator: Operator, points: tuple[torch.Tensor, ...], value: torch.Tensor) -> torch.Tensor:
    """The declared domain is where values are finite; returns where both are so, (n,) bool."""
    inside = torch.ones_like(value, dtype=torch.bool)
    if operator.domain is not None:
        inside = _attempt(operator, "domain", operator.domain, *points)
        if not isinstance(inside, torch.Tensor) or inside.dtype != torch.bool or inside.shape != value.shape:
            raise _failed(operator, "domain", "domain must return a bool tensor of the shape of its arguments")
    finite = torch.isfinite(value)
    overflow = value.isinf() & (torch.stack(points).abs().amax(0) > POLE)
    wrong = ((inside & ~finite & ~overflow) | (~inside & finite)).nonzero()[:, 0]
    if len(wrong):
        at = int(wrong[0])
        says = "inside" if inside[at] else "outside"
        raise _failed(
            operator,
            "domain",
            f"{_at(points, at)} is {says} the declared domain, the value is {float(value[at])!r}",
        )
    if not (inside & finite).any():
        raise _failed(operator, "domain", "it holds none of the probe points from -800 to 9")
    return inside & finite


def _check_derivative(operator: Operator, i: int) -> None:
    """The i-th partial derivative equals five-point differences wherever two step widths agree on these."""
    check = f"derivative[{i}]"
    points = tuple(p + shift for p, shift in zip(_probe(operator.arity), OFF_KINKS, strict=False))
    value = operator.torch(*points)
    step = 1e-3 * points[i].abs().clamp(0.05, 1.0)

    def differences(width: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = [list(points) for _ in range(4)]
        for arguments, times in zip(moved, (-2, -1, 1, 2), strict=True):
            arguments[i] = points[i] + times * width
        f = [operator.torch(*arguments) for arguments in moved]
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * width), torch.stack(f).abs().amax(0)

    wide, size = differences(step)
    slope, _ = differences(step / 2)
    judged = torch.isfinite(value) & ((wide - slope).abs() <= 0.1 * SLOPE_RTOL * slope.abs() + 1e-9 * size)
    given = _attempt(operator, check, operator.partial(i), value, *points)
    if isinstance(given, torch.Tensor) and given.ndim == value.ndim and given.dtype == DTYPE:
        given = given.expand_as(value)
    elif isinstance(given, float):
        given = torch.full_like(value, given)
    else:
        raise _failed(operator, check, "it must return a float64 tensor shaped like the value, or a float")
    wrong = judged & ~((given - slope).abs() <= SLOPE_RTOL * slope.abs() + 1e-8 * size)
    if wrong.any():
        at = int(wrong.nonzero()[0, 0])
        raise _failed(
            operator,
            check,
            f"at {_at(points, at)} it is {float(given[at]):.9g}, finite differences give {float(slope[at]):.9g}"
            + ("" if operator.derivative else "; torch's autograd is wrong here, declare derivative="),
        )
    if not judged.any():
        raise _failed(operator, check, "finite differences settle at no probe point; is it smooth anywhere?")


def _check_linear(operator: Operator, points: tuple[torch.Tensor, ...]) -> None:
    """f is linear in the arguments that `linear` says: f(2u + 3w) = 2 f(u) + 3 f(w), the others held."""
    every = tuple(range(operator.arity))
    groups = {"none": [], "joint": [every], "each": [(i,) for i in every], "first": [(0,)]}[operator.linear]
    for group in groups:
        other = [p.roll(7) if i in group else p for i, p in enumerate(points)]
        mixed = [2 * u + 3 * w if i in group else u for i, (u, w) in enumerate(zip(points, other, strict=True))]
        one, two, both = operator.torch(*points), operator.torch(*other), operator.torch(*mixed)
        size = one.abs() + two.abs()
        wrong = (torch.isfinite(size) & ~((both - 2 * one - 3 * two).abs() <= VALUE_RTOL * size)).nonzero()[:, 0]
        if len(wrong):
            at = int(wrong[0])
            told = f"f(2u + 3w) is {float(both[at]):.9g}, 2 f(u) + 3 f(w) {float(2 * one[at] + 3 * two[at]):.9g}"
            where = f"u = {_at(points, at)}, w = {_at(tuple(other), at)}"
            raise _failed(operator, "linear", f"it is declared {operator.linear!r}, but at {where} {told}")


def _check_definition(operator: Operator, points: tuple[torch.Tensor, ...], value: torch.Tensor) -> None:
    """The definition is made of built-in operators and has the values of `torch` wherever both are finite."""
    if operator.definition is None:
        return
    others = Vocabulary(tuple(o for o in ELEMENTARY if o.name != operator.name))
    law = definition(operator, others)
    base_operators(operator, others)
    written = evaluate(law, torch.stack(points, 1))[0][0]
    near = torch.stack(points).abs().amax(0) <= 30
    both = torch.isfinite(written) & torch.isfinite(value) & near
    wrong = (both & ~((written - value).abs() <= VALUE_RTOL * value.abs() + 1e-12)).nonzero()[:, 0]
    if len(wrong) or not both.any():
        at = int(wrong[0]) if len(wrong) else 0
        told = f"torch gives {float(value[at]):.12g}, {operator.definition!r} {float(written[at]):.12g}"
        names = ", ".join(ARGUMENTS[: operator.arity])
        raise _failed(operator, "torch = definition", f"at {names} = {_at(points, at)} {told}")


def _check_device(operator: Operator, points: tuple[torch.Tensor, ...], value: torch.Tensor, device: str) -> None:
    """Another device gives the same numbers, and keeps them there."""
    there = _attempt(operator, device, operator.torch, *(p.to(device) for p in points))
    if there.device.type != device:
        raise _failed(operator, device, f"arguments on {device} must give values there, not on {there.device}")
    here = there.cpu()
    wrong = ~((here - value).abs() <= VALUE_RTOL * value.abs() + 1e-12) & torch.isfinite(value)
    if bool(wrong.any()) or not torch.equal(torch.isfinite(here), torch.isfinite(value)):
        at = int((wrong | (torch.isfinite(here) != torch.isfinite(value))).nonzero()[0, 0])
        told = f"it gives {float(here[at]):.12g}, on the CPU {float(value[at]):.12g}"
        raise _failed(operator, device, f"at {_at(points, at)} {told}")


def _check_sympy(operator: Operator, points: list[Any], values: list[float]) -> None:
    """sympy gives the same real numbers as torch at `points`."""
    import sympy

    symbols = [sympy.Dummy(n, real=True) for n in ("u", "w")[: operator.arity]]
    form = _attempt(operator, "sympy", operator.to_sympy, *symbols)
    if not isinstance(form, sympy.Expr):
        raise _failed(operator, "sympy", f"sympy must return an expression, not {form!r}")
    for point, value in zip(points, values, strict=True):
        numbers = [sympy.Integer(int(v)) if v.is_integer() else sympy.Float(v) for v in point]
        exact = _attempt(operator, "sympy", lambda numbers=numbers: operator.to_sympy(*numbers).evalf(17))
        if exact.free_symbols or exact.has(sympy.Function):
            raise _failed(operator, "sympy", f"{exact} does not become a number; give its class `_eval_evalf`")
        number = _attempt(operator, "sympy", complex, exact)
        if not abs(number - value) <= VALUE_RTOL * abs(value) + 1e-12:
            told = f"{number.real:.12g}" if number.imag == 0 else f"{number:.12g}"
            at = "(" + ", ".join(f"{v:.6g}" for v in point) + ")"
            raise _failed(operator, "torch = sympy", f"at {at} torch gives {value:.12g}, sympy {told}")


def check_exporter(exporter: Exporter) -> None:
    """Check that an exporter writes a small law of two columns, text or bytes if its files have a suffix.

    Raises
    ------
    PluginError : names the exporter and what went wrong.
    """
    law = parse("2.5*mass*(speed - 0.5)**2 + 1", Vocabulary(ELEMENTARY), ("mass", "speed"))
    formula = Formula(law, ("mass", "speed"), "energy")
    try:
        written = exporter(formula)
    except SymRegError:
        raise
    except _FAULTS as error:
        raise PluginError(f"exporter {exporter.name!r} raised {type(error).__name__}: {error}") from error
    if written is None or (exporter.suffix and not isinstance(written, str | bytes)):
        raise PluginError(f"exporter {exporter.name!r} must return text for {exporter.suffix!r}, not {written!r}")


def check_noise_model(model: NoiseModel) -> None:
    """Check that a noise model is one distribution in all its methods.

    Shapes and finite numbers; the loss is the sum of log densities; `working` is the slope of the loss; invalid
    predictions give +inf and no exception; samples repeat with the seed and can be described by the model; a CUDA
    device, where there is one, gives the same.

    Raises
    ------
    NoiseModelError : names the model, the check that failed, and the numbers.
    """
    rows, points = 3, 40
    random = generator(0)
    values = 0.2 + 0.6 * torch.rand(rows, points, generator=random, dtype=DTYPE)
    if model.support not in ("fraction", "successes"):
        values = 10 * values
    y = (values[0] * (1 + 0.1 * torch.randn(points, generator=random, dtype=DTYPE))).abs()
    y = {"count": y.round(), "fraction": y.clamp(0.01, 0.99), "successes": (y > 0.5).to(DTYPE)}.get(model.support, y)
    model.check_data(y, "y")
    for sigma in (None, 0.05 + torch.rand(points, generator=random, dtype=DTYPE)) if model.uses_sigma else (None,):
        _check_noise(model, y, values, sigma)
        if torch.cuda.is_available():
            _check_noise_device(model, y, values, sigma, model.assess(y, values, sigma), "cuda")


def _check_noise_device(
    model: NoiseModel,
    y: torch.Tensor,
    values: torch.Tensor,
    sigma: torch.Tensor | None,
    expected: tuple[torch.Tensor, ...],
    device: str,
) -> None:
    """Another device gives the same loss, residual and weight, and keeps them there."""
    moved = (part if part is None else part.to(device) for part in (y, values, sigma))
    for word, here, there in zip(("loss", "residual", "weight"), expected, model.assess(*moved), strict=True):
        told = f"noise model {model.name!r} fails the check {device!r}: its {word} of values there"
        if there.device.type != device:
            raise NoiseModelError(f"{told} must be there, not on {there.device}")
        if not torch.allclose(there.cpu(), here, rtol=DEVICE_RTOL):
            far = float((there.cpu() - here).abs().max())
            raise NoiseModelError(f"{told} differs by up to {far:.3g} from that on the CPU")


def _check_noise(model: NoiseModel, y: torch.Tensor, values: torch.Tensor, sigma: torch.Tensor | None) -> None:
    rows, points = values.shape

    def require(holds: bool, check: str, message: str) -> None:
        if not holds:
            given = "without sigma" if sigma is None else "with sigma"
            raise NoiseModelError(f"noise model {model.name!r} fails the check {check!r} {given}: {message}")

    parameters, own = model.estimate(y, values, sigma), model.own_names(sigma)
    require(
        parameters.shape == (rows, len(own)) and bool(torch.isfinite(parameters).all()),
        "estimate",
        f"it must give finite numbers ({rows}, {len(own)}), one column for each of own_names {own}, not "
        f"{tuple(parameters.shape)}",
    )
    loss = model.negative_log_likelihood(y, values, sigma)
    require(
        loss.shape == (rows,) and loss.dtype == DTYPE and bool(torch.isfinite(loss).all()),
        "loss",
        f"it must give {rows} finite float64 numbers, not {loss}",
    )
    total = -model.log_density(y, values, sigma, parameters).sum(1)
    require(
        torch.allclose(total, loss, rtol=VALUE_RTOL),
        "loss = Σ log density",
        f"the loss is {float(loss[0]):.9g}, minus the sum of log densities {float(total[0]):.9g}",
    )
    # every prediction of the first candidate moved by itself, up and down: (2N, N)
    step = 1e-4 * values[0].abs()
    moved = torch.cat([values[0] + torch.diag(step), values[0] - torch.diag(step)])
    up, down = model.negative_log_likelihood(y, moved, sigma).view(2, points)
    slope = (up - down) / (2 * step)
    residual, weight = model.working(y, values, sigma)
    require(bool((weight >= 0).all()), "working", "a weight is negative; use the expected curvature")
    given = -(weight * residual).expand(rows, points)[0]
    worst = int((given - slope).abs().argmax())
    require(
        torch.allclose(given, slope, rtol=1e-4, atol=1e-5 * float(slope.abs().max())),
        "working = slope of the loss",
        f"-weight·residual is {float(given[worst]):.6g}, differences of the loss give {float(slope[worst]):.6g}",
    )
    for bad in (torch.nan, torch.inf, -torch.inf):
        broken = values.clone()
        broken[1, 3] = bad
        lost = model.negative_log_likelihood(y, broken, sigma)
        require(
            bool(lost[1] == torch.inf) and torch.equal(lost[[0, 2]], loss[[0, 2]]),
            "invalid predictions",
            f"a prediction {bad} must give that candidate, and no other, the loss inf, not {float(lost[1])}",
        )
        finite = [bool(torch.isfinite(part).all()) for part in model.working(y, broken, sigma)]
        require(all(finite), "invalid predictions", "residual and weight must be 0 there, not NaN or inf")
    spread = model.dispersion(values, sigma, parameters)
    require(
        torch.broadcast_shapes(spread.shape, values.shape) == values.shape and bool((spread > 0).all()),
        "dispersion",
        "it must be positive and broadcast to (B, N)",
    )
    draw, again = (model.sample(generator(1), values, sigma, parameters) for _ in range(2))
    require(
        draw.shape == values.shape and draw.dtype == DTYPE,
        "sample",
        f"it must give float64 {tuple(values.shape)}, not {draw.dtype} {tuple(draw.shape)}",
    )
    require(torch.equal(draw, again), "sample", "the same seed gives different draws; use the generator alone")
    for row in draw:
        model.check_data(row, "sample")
