"""Constants of the greatest likelihood under any noise model: Levenberg–Marquardt with weights that follow the law.

Iteratively reweighted Gauss–Newton: each step is a damped least-squares problem in the noise model's residuals and
weights, and only the likelihood itself says whether it helped. Constants that enter linearly are solved for at every
trial point, the weights held. Plain Gaussian noise goes to `levenberg_marquardt`, the same without reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate, rows_of
from sr_accessor.expressions.jacobian import AtPoints, input_derivative
from sr_accessor.expressions.linear import linear_constants
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt, solve_normal
from sr_accessor.refinement.solution import Reason, Refined

__all__ = ["MANY_PASSES", "PASSES", "LawErrors", "Parameters", "most_likely", "tied_jacobian"]

#: Bytes of one piece's Jacobian.
PIECE_BYTES = 16 * 2**20
PIECE_BYTES_CUDA = 2**30
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e9
#: Nats that a step must be expected to gain: 1e-8 moves no constant by more than 1.4e-4 of its standard error.
TOLERANCE = 1e-8
#: Steps of least squares where the likelihood of the start is zero, and weight of a row there.
FIRST_STEPS, PULL = 8, 100.0
#: Passes at most in which error bars that depend on the law follow it, where many laws are compared.
PASSES = 2
#: Passes until nothing changes, and the change of a loss, in nats, that is nothing.
MANY_PASSES, SETTLED = 20, 1e-8


@dataclass(frozen=True)
class Parameters:
    """What the K numbers of candidates of one structure are: P parameters, each in its bounds, some of them held.

    Parameters
    ----------
    index : (K,) int64, which parameter each number is; two numbers may be one parameter
    lower, upper : (P,) float64, bounds; infinite where there is none
    free : (B, P) bool, False where a parameter keeps its value
    names : P names
    """

    index: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor
    free: torch.Tensor
    names: tuple[str, ...]

    def __getitem__(self, rows) -> Parameters:
        return replace(self, free=self.free[rows])

    def values(self, constants: torch.Tensor) -> torch.Tensor:
        """(B, P) from the numbers (B, K); of several places of one parameter they are the same."""
        values = constants.new_zeros(len(constants), len(self.lower))
        return values.index_copy_(1, self.index, constants)

    def off_bounds(self, constants: torch.Tensor) -> Parameters:
        """The same, but for those that the numbers (B, K) put at a bound held: there is no curvature to speak of."""
        at = self.values(constants)
        return replace(self, free=self.free & (at > self.lower) & (at < self.upper))


@dataclass(frozen=True)
class LawErrors:
    """Error bars that depend on the law: errors of x by its slope, and errors of y that differ downwards and upwards.

    Parameters
    ----------
    sides : (N, 2) standard errors of y downwards and upwards (twice the same where they are equal)
    x : (N, D) standard errors of x, 0 where x is exact, or None; both with an axis of candidates before these where
        candidates have points of their own

    The effective variance is σ² + Σ (∂f/∂x·σ_x)² [Orear 1982, Am. J. Phys. 50, 912], to first order in σ_x; σ is the
    error of y towards the law. The likelihood is that of a normal curve with two widths, of one height where they meet
    [Barlow 2004, arXiv:physics/0406120]: it has no step where a law crosses a measurement.
    """

    sides: torch.Tensor
    x: torch.Tensor | None

    def __getitem__(self, rows) -> LawErrors:
        return LawErrors(self.sides[rows], None if self.x is None else self.x[rows])

    def sigma(self, expressions: Expressions, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N) standard deviation of y − f, in units of y; without the errors of x where f has no slope."""
        return self.measure(expressions, x, y)[0]

    def measure(self, expressions: Expressions, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`sigma`, and (B,) the nats that a loss under it lacks: of log((σ₋ + σ₊)/2) it has log σ of one side."""
        if self.x is None:
            values, both = evaluate(expressions, x)[0], self.sides
        else:
            values, slopes = input_derivative(expressions, x)
            along = (slopes * self.x.mT).square().sum(1)[..., None]
            both = (self.sides.square() + torch.where(along.isfinite(), along, 0.0)).sqrt()
        sigma = torch.where(values < y, both[..., 0], both[..., 1])
        return sigma, (both.mean(-1) / sigma).log().sum(1)

    def loss(self, expressions: Expressions, x: torch.Tensor, y: torch.Tensor, noise: NoiseModel) -> torch.Tensor:
        """(B,) nats with these error bars."""
        sigma, lacking = self.measure(expressions, x, y)
        return noise.negative_log_likelihood(y, evaluate(expressions, x)[0], sigma) + lacking


def most_likely(
    expressions: Expressions,
    x: torch.Tensor,
    y: torch.Tensor,
    noise: NoiseModel,
    sigma: torch.Tensor | None = None,
    *,
    errors: LawErrors | None = None,
    parameters: Parameters | None = None,
    steps: int = 20,
    tolerance: float = TOLERANCE,
    passes: int = PASSES,
) -> Refined:
    """Minimise the negative log-likelihood over the free constants of every candidate.

    Parameters
    ----------
    expressions : Expressions, B candidates; their numbers are the start
    x : Tensor (N, D), or (B, N, D) where candidates have points of their own
    y : Tensor (N,), or (B, N) where candidates have targets of their own
    noise : the noise model; its own parameters are fitted along
    sigma : Tensor (N,) or (B, N), optional, standard errors of y
    errors : error bars that depend on the law take the place of `sigma`; computed anew after each pass
    parameters : bounds, ties and held numbers of candidates of one structure; None: all numbers are free alone
    steps : Jacobians computed per candidate at most, in each pass
    tolerance : nats; a candidate is done when a step promises less
    passes : of `errors` at most; fewer where no loss changes by more than `SETTLED` nats

    Returns
    -------
    Refined, in the order given; `loss` in nats, +inf where the law cannot be (`INVALID_START`)
    """
    options = {"parameters": parameters, "steps": steps, "tolerance": tolerance}
    if errors is not None:
        found = most_likely(expressions, x, y, noise, sigma, **options)
        loss = errors.loss(found.expressions, x, y, noise)
        for _ in range(passes):
            found, before = found.expressions, loss
            found = most_likely(found, x, y, noise, errors.sigma(found, x, y), **options)
            loss = errors.loss(found.expressions, x, y, noise)
            if not bool(((loss - before).abs() > SETTLED).any()):
                break
        return replace(found, loss=loss)
    if parameters is None and isinstance(noise, Gaussian):
        weight = None if sigma is None else sigma**-2
        found = levenberg_marquardt(expressions, x, y, weight, steps=steps)
        values = evaluate(found.expressions, x)[0]
        return replace(found, loss=noise.negative_log_likelihood(y, values, sigma))

    expressions, whole = expressions.trimmed(), expressions
    linear = _linear(expressions, parameters)
    count, points = len(expressions), x.shape[-2]
    per_row = (1 + expressions.constants.shape[1]) * points * x.element_size()
    piece = max(16, (PIECE_BYTES if x.device.type == "cpu" else PIECE_BYTES_CUDA) // max(1, per_row))
    parts = []
    for start in range(0, max(count, 1), piece):  # pieces of a batch, not candidates
        rows = slice(start, start + piece)
        own = None if parameters is None else parameters[rows]
        given = (rows_of(x, rows, 2), rows_of(y, rows, 1), noise, rows_of(sigma, rows, 1))
        problem = _Problem(expressions[rows], linear[rows], *given, own)
        parts.append(_descend(problem, steps, tolerance))
    constants = whole.constants.clone()
    constants[:, : expressions.constants.shape[1]] = torch.cat([p[0] for p in parts])
    loss, reason, used = (torch.cat([part[i] for part in parts]) for i in (1, 2, 3))
    return Refined(whole.with_constants(constants), loss, reason, used)


def tied_jacobian(columns: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    """Derivatives by the P parameters (B, P, N) from those by the K numbers (B, K, N); zero by held parameters."""
    table = columns.new_zeros(len(columns), len(parameters.lower), columns.shape[2])
    return table.index_add_(1, parameters.index, columns) * parameters.free[:, :, None]


# ---------------------------------------------------------------------------------------------------- inside
@dataclass(frozen=True)
class _Problem:
    """A piece of the batch and all that its likelihood depends on."""

    expressions: Expressions
    linear: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    noise: NoiseModel
    sigma: torch.Tensor | None
    parameters: Parameters | None

    def __getitem__(self, rows) -> _Problem:
        return replace(
            self,
            expressions=self.expressions[rows],
            linear=self.linear[rows],
            x=rows_of(self.x, rows, 2),
            y=rows_of(self.y, rows, 1),
            sigma=rows_of(self.sigma, rows, 1),
            parameters=None if self.parameters is None else self.parameters[rows],
        )

    @property
    def free(self) -> torch.Tensor:
        """(B, P) bool"""
        return self.expressions.free if self.parameters is None else self.parameters.free

    @property
    def start(self) -> torch.Tensor:
        """(B, P) the numbers that the expressions have now."""
        constants = self.expressions.constants
        return constants if self.parameters is None else self.parameters.values(constants)


@dataclass(frozen=True)
class _State:
    """Parameters (B, P), loss (B,) in nats, curvature (B, P, P) and downhill slope (B, P)."""

    numbers: torch.Tensor
    loss: torch.Tensor
    normal: torch.Tensor
    gradient: torch.Tensor

    def where(self, condition: torch.Tensor, other: _State) -> _State:
        return _State(
            torch.where(condition[:, None], self.numbers, other.numbers),
            torch.where(condition, self.loss, other.loss),
            torch.where(condition[:, None, None], self.normal, other.normal),
            torch.where(condition[:, None], self.gradient, other.gradient),
        )

    def __getitem__(self, rows) -> _State:
        return _State(self.numbers[rows], self.loss[rows], self.normal[rows], self.gradient[rows])


class _Objective:
    """The likelihood of a problem's candidates, and the memory to compute it in."""

    def __init__(self, problem: _Problem):
        self.problem = problem
        self.at = AtPoints(problem.expressions, problem.x)
        self.pair = problem.linear[:, :, None] & problem.linear[:, None, :]
        self.any_linear = bool(problem.linear.any())
        # Weights that depend on the values change with the linear constants: their solution is found in two passes.
        self.passes = 1 if isinstance(problem.noise, Gaussian) else 2

    def measure(self, numbers: torch.Tensor, first_sigma: torch.Tensor | None = None) -> _State:
        """Loss, curvature and slope, after the linear constants were solved for where that helps.

        `first_sigma` takes the place of the model's weights in the first pass.
        """
        problem, p = self.problem, self.problem.parameters
        constants = numbers if p is None else numbers[:, p.index]
        columns = problem.x.new_empty(self.at.shape)
        values = self.at.fill(constants, columns)
        columns = torch.where(columns.isfinite(), columns, 0.0)  # a point without slope does not steer the step
        columns = columns if p is None else tied_jacobian(columns, p)
        loss, residual, weight = problem.noise.assess(problem.y, values, problem.sigma)
        for turn in range(self.passes if self.any_linear else 0):
            if turn == 0 and first_sigma is not None:
                finite = values.isfinite()
                right = torch.where(finite, problem.y - values, 0.0)
                normal, gradient = _products(columns, right, (finite / first_sigma.square()).to(values))
            else:
                normal, gradient = _products(columns, residual, weight)
            change = solve_normal(torch.where(self.pair, normal, 0.0), torch.where(problem.linear, gradient, 0.0))
            change = torch.where(problem.linear & change.isfinite(), change, 0.0)
            moved = values + (change[:, None, :] @ columns)[:, 0, :]
            better, *curve = problem.noise.assess(problem.y, moved, problem.sigma)
            helps = better < loss
            values = torch.where(helps[:, None], moved, values)
            numbers = torch.where(helps[:, None], numbers + change, numbers)
            loss = torch.where(helps, better, loss)
            residual, weight = (
                torch.where(helps[:, None], new, old) for new, old in zip(curve, (residual, weight), strict=True)
            )
        normal, gradient = _products(columns, residual, weight)
        sound = loss.isfinite() & normal.flatten(1).sum(1).isfinite() & gradient.sum(1).isfinite()
        return _State(numbers, torch.where(sound, loss, torch.inf), normal, gradient)


def _products(columns: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """JᵀWJ (B, P, P) and JᵀWr (B, P)."""
    weighted = columns * weight[:, None, :]
    return weighted @ columns.mT, (weighted @ residual.expand_as(columns[:, 0])[:, :, None])[:, :, 0]


def _linear(expressions: Expressions, parameters: Parameters | None) -> torch.Tensor:
    """(B, P) parameters in which the value is jointly linear: free, without bounds, linear in each of their places."""
    linear = linear_constants(expressions)
    if parameters is None:
        return linear
    count = len(parameters.lower)
    bent = torch.zeros(len(linear), count, dtype=torch.int64, device=linear.device)
    bent.index_add_(1, parameters.index, (~linear).long())
    unbounded = parameters.lower.isinf() & parameters.upper.isinf()
    return (bent == 0) & unbounded & parameters.free


def _started(problem: _Problem, objective: _Objective) -> _State:
    """The state of the start or, where that is likelier, after some steps of least squares.

    Far from the data likelihoods mislead: where a law crosses 0 a relative error is infinite, and the likelihood of
    a negative rate is zero. Heavy tails need no such help, and least squares would follow the outliers.
    """
    noise = problem.noise
    screening = noise.screening_sigma(problem.y, problem.sigma)
    state = objective.measure(problem.start, None if noise.heavy_tailed else screening)
    if objective.any_linear:
        # Twice: the derivative by a nonlinear constant scales with the linear ones, which the first pass finds.
        again = objective.measure(state.numbers)
        state = again.where(again.loss.isfinite(), state)
    if isinstance(noise, Gaussian) or noise.heavy_tailed:
        return state
    fitted = _least_squares(problem, screening.expand_as(problem.y))
    found = objective.measure(fitted)
    state = found.where(found.loss < state.loss, state)
    lost = (~state.loss.isfinite() & problem.free.any(1)).nonzero()[:, 0]
    if len(lost):  # rows whose predictions cannot be are pulled to their measurement
        part = problem[lost]
        values = evaluate(part.expressions.with_constants(_constants(part, fitted[lost])), part.x)[0]
        density = noise.log_density(part.y, values, part.sigma, noise.estimate(part.y, values, part.sigma))
        spread = rows_of(screening, lost, 1).expand_as(values)
        spread = torch.where(density.isfinite(), spread, spread / PULL**0.5)
        found = _Objective(part).measure(_least_squares(part, spread))
        whole = tuple(t.clone() for t in (state.numbers, state.loss, state.normal, state.gradient))
        for target, source in zip(whole, (found.numbers, found.loss, found.normal, found.gradient), strict=True):
            target[lost] = source
        state = _State(*whole)
    return state


def _least_squares(problem: _Problem, spread: torch.Tensor) -> torch.Tensor:
    """(B, P) parameters after some steps of least squares with these standard deviations (N,) or (B, N)."""
    if problem.parameters is None:
        fitted = levenberg_marquardt(problem.expressions, problem.x, problem.y, spread**-2, steps=FIRST_STEPS)
        return fitted.expressions.constants
    least = replace(problem, noise=Gaussian(absolute=False), sigma=spread)
    return _descend(least, FIRST_STEPS, TOLERANCE)[4]


def _constants(problem: _Problem, numbers: torch.Tensor) -> torch.Tensor:
    """(B, K) numbers of the expressions from the parameters (B, P)."""
    return numbers if problem.parameters is None else numbers[:, problem.parameters.index]


def _descend(problem: _Problem, steps: int, tolerance: float) -> tuple[torch.Tensor, ...]:
    """Constants (B, K), loss, reason, steps, and the parameters (B, P) of a piece."""
    count, slots = problem.start.shape
    device = problem.x.device
    objective = _Objective(problem)
    reason = torch.full((count,), int(Reason.STEPS_SPENT), device=device)
    used = torch.ones(count, dtype=torch.int64, device=device)
    if slots == 0:
        values = evaluate(problem.expressions, problem.x)[0]
        loss = problem.noise.negative_log_likelihood(problem.y, values, problem.sigma)
        reason[:] = int(Reason.NO_CONSTANTS)
        return problem.expressions.constants, loss, reason, used, problem.start

    whole, rows = problem, torch.arange(count, device=device)
    state = _started(problem, objective)
    numbers, loss = problem.start.clone(), state.loss.clone()
    damping = torch.full((count,), FIRST_DAMPING, dtype=problem.x.dtype, device=device)
    valid = state.loss.isfinite()
    reason[~valid] = int(Reason.INVALID_START)
    reason[~problem.free.any(1)] = int(Reason.NO_CONSTANTS)
    done = ~valid | ~problem.free.any(1)
    improved = torch.zeros(count, dtype=torch.bool, device=device)
    for _ in range(steps):
        if bool(done.all()):
            break
        if float(done.float().mean()) > 0.4:
            loss[rows], numbers[rows] = state.loss, torch.where(valid[rows, None], state.numbers, numbers[rows])
            keep = ~done
            rows, state, problem = rows[keep], state[keep], problem[keep]
            damping, improved, done = damping[keep], improved[keep], done[keep]
            objective = _Objective(problem)
        step = _step(problem, state, damping)
        moved = state.numbers + step
        if problem.parameters is not None:
            moved = moved.clamp(problem.parameters.lower, problem.parameters.upper)
        trial = objective.measure(moved)
        used[rows] += (~done).long()
        promised = (step * state.gradient).sum(1)  # twice what the parabola gains, and an upper limit of it
        better = (trial.loss < state.loss) & ~done
        # Near the end the loss is all rounding; the parabola still knows the way, and its promise is the error left.
        rounding = 1e-13 * state.loss.abs()
        level = ~better & ~done & (promised < rounding + tolerance) & (trial.loss <= state.loss + rounding)
        small = (promised < tolerance) & (better | level) | better & (state.loss - trial.loss < tolerance)
        tiny = ~better & ~done & (step.abs() <= 1e-12 * state.numbers.abs() + 1e-300).all(1)
        state = trial.where(better | level, state)
        improved |= better
        damping = torch.where(better | level, damping / 8, damping * 6).clamp(min=LEAST_DAMPING)
        stuck = ~done & (damping > MOST_DAMPING)
        ended = (small | tiny | stuck) & ~done
        reason[rows[ended]] = int(Reason.CONVERGED)
        reason[rows[stuck & ~improved & ~done]] = int(Reason.NO_DESCENT)
        done = done | ended
    loss[rows], numbers[rows] = state.loss, torch.where(valid[rows, None], state.numbers, numbers[rows])
    return _constants(whole, numbers), loss, reason, used, numbers


def _step(problem: _Problem, state: _State, damping: torch.Tensor) -> torch.Tensor:
    """(B, P) damped Gauss–Newton step; a parameter at a bound that would go beyond it stays."""
    normal, gradient, free = state.normal, state.gradient, problem.free
    if problem.parameters is not None:
        p = problem.parameters
        held = (state.numbers <= p.lower) & (gradient < 0) | (state.numbers >= p.upper) & (gradient > 0)
        free = free & ~held
        normal = torch.where(free[:, :, None] & free[:, None, :], normal, 0.0)
        gradient = torch.where(free, gradient, 0.0)
    step = solve_normal(normal, gradient, torch.where(problem.linear, 1e-12, damping[:, None]))
    return torch.where(free, step, 0.0)
