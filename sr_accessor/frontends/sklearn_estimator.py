"""SymbolicRegressor and SymbolicTransformer: the search as estimators of scikit-learn, for its pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight, check_is_fitted, validate_data

from sr_accessor.device import DTYPE
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE
from sr_accessor.observations import FEWEST_ROWS, Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.manager import noise_model
from sr_accessor.regression import fit as search
from sr_accessor.result import FitResult

__all__ = ["SymbolicRegressor", "SymbolicTransformer"]

#: Parameters that are options of the search, by the same name.
OPTIONS = (
    "noise", "operators", "network", "select", "constraints", "guesses", "constants", "template", "shape",
    "validation", "timeout", "max_rounds", "device",
)  # fmt: skip
#: Two features whose values are correlated as closely as this are one: the simpler one stays.
ALIKE = 0.999


class _Search(BaseEstimator):
    """What both estimators share: the parameters and the fit."""

    def __init__(
        self,
        *,
        noise="gaussian",
        operators="default",
        network="default",
        select="mdl",
        constraints=None,
        guesses=None,
        constants=None,
        template=None,
        shape=None,
        validation="auto",
        timeout=10.0,
        max_rounds=None,
        device="auto",
        absolute_sigma=None,
        random_state=None,
    ):
        self.noise = noise
        self.operators = operators
        self.network = network
        self.select = select
        self.constraints = constraints
        self.guesses = guesses
        self.constants = constants
        self.template = template
        self.shape = shape
        self.validation = validation
        self.timeout = timeout
        self.max_rounds = max_rounds
        self.device = device
        self.absolute_sigma = absolute_sigma
        self.random_state = random_state

    def _result(self, X: Any, y: Any, sample_weight: Any, sigma: Any) -> tuple[FitResult, np.ndarray]:
        """The result, and X as it was read."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=FEWEST_ROWS)
        y = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        rows, weight = np.arange(len(y)), weight
        if sigma is None:
            noise = noise_model(self.noise if self.noise != "auto" else "gaussian")
            rows, weight = _merged(X, y, weight, mergeable=noise.uses_weight, relative=noise.support != "successes")
        elif np.ndim(sigma):
            sigma = np.asarray(column_or_1d(sigma), dtype=np.float64)
        names = self._names()
        observations = Observations.from_arrays(
            X[rows], y[rows], names, _free_name("y", names), sigma=sigma, sample_weight=weight,
            absolute_sigma=self.absolute_sigma, nan_policy="raise",
        )  # fmt: skip
        given = {name: getattr(self, name) for name in OPTIONS}
        given["guesses"] = () if self.guesses is None else self.guesses
        given["shape"] = () if self.shape is None else self.shape
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        return search(observations, FitOptions(**given, random_state=int(seed), progress=False)), X

    def _names(self) -> list[str]:
        return [str(name) for name in getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])]

    def _points(self, X: Any, used: Sequence[str]) -> torch.Tensor:
        """(N, D) the columns that the search had, in its order."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        names = self._names()
        return torch.tensor(X[:, [names.index(name) for name in used]], dtype=DTYPE)


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _merged(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, *, mergeable: bool, relative: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows to fit and their weights, such that a weight of 2 and a row that stands twice are the same rows.

    Rows that are equal become one with the sum of their weights, in sorted order; weightless rows go. Where weights
    mean nothing to the noise model, and none are given, all rows stay.
    """
    everything = np.column_stack([X, y])
    order = np.lexsort(everything.T[::-1])
    if weight is None and not mergeable:
        return order, None
    counted = np.ones(len(y)) if weight is None else weight
    order = order[counted[order] != 0]
    if not len(order):
        return np.arange(len(y)), weight  # which Observations refuses in words
    ordered = everything[order]
    first = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(1)])
    total = np.add.reduceat(counted[order], first)
    plain = bool((total == total[0]).all()) and (relative or weight is None)
    return order[first], None if plain else total


class SymbolicRegressor(RegressorMixin, _Search):
    """A law found by search, as a regressor.

    Parameters
    ----------
    noise, operators, network, select, constraints, guesses, constants, template, shape, validation, timeout,
    max_rounds, device : as in `sr_accessor.options.FitOptions`; features are called as in the table, else x0, x1, …
    absolute_sigma : False takes only the ratios of `sigma`; None is True exactly if it is given
    random_state : int, RandomState or None

    Attributes
    ----------
    result_ : FitResult, with all it can: `result_.report()`, `result_.best.params`, `result_.predict(df, "prediction")`
    n_features_in_, feature_names_in_ : as everywhere in scikit-learn

    Rows that are equal are merged before the search, so that a row that stands twice is a row of weight 2.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # on data without a law, such as scikit-learn's checks use
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, sigma: Any = None) -> SymbolicRegressor:
        """Search for the law of y.

        Parameters
        ----------
        X : (N, D); y : (N,)
        sample_weight : (N,) factors of the squared residuals
        sigma : standard error of y: one number, or (N,)
        """
        self.result_, _ = self._result(X, y, sample_weight, sigma)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(N,) values of the law; NaN where it has none."""
        check_is_fitted(self)
        return self.result_.best.predict_array(self._points(X, self.result_.names))


class SymbolicTransformer(TransformerMixin, _Search):
    """Sub-expressions of the laws that a search finds, as features for other models.

    Parameters
    ----------
    n_components : features at most; those with the highest correlation with y
    others : as of `SymbolicRegressor`

    Attributes
    ----------
    result_ : FitResult
    expressions_ : texts of the features, which `get_feature_names_out` gives
    """

    def __init__(
        self,
        n_components=10,
        *,
        noise="gaussian",
        operators="default",
        network="default",
        select="mdl",
        constraints=None,
        guesses=None,
        constants=None,
        template=None,
        shape=None,
        validation=None,
        timeout=10.0,
        max_rounds=None,
        device="auto",
        absolute_sigma=None,
        random_state=None,
    ):
        super().__init__(
            noise=noise,
            operators=operators,
            network=network,
            select=select,
            constraints=constraints,
            guesses=guesses,
            constants=constants,
            template=template,
            shape=shape,
            validation=validation,
            timeout=timeout,
            max_rounds=max_rounds,
            device=device,
            absolute_sigma=absolute_sigma,
            random_state=random_state,
        )
        self.n_components = n_components

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, sigma: Any = None) -> SymbolicTransformer:
        """Search for laws of y, and keep what they are made of; the arguments are those of `SymbolicRegressor.fit`."""
        self.result_, _ = self._result(X, y, sample_weight, sigma)
        self.expressions_ = to_text(self._features, self.result_.names)
        return self

    @property
    def _features(self) -> Expressions:
        """The sub-expressions of the front, one of each direction, the closest to y first.

        Computed again from the result where it is asked for, so that a pickle holds no tensors.
        """
        front = self.result_._front.expressions
        rows, positions = front.present.nonzero(as_tuple=True)
        parts = front.subexpression(rows, positions)
        parts = parts[((parts.codes >= VARIABLE).any(1) & (parts.lengths > 1)).nonzero()[:, 0]]
        seen = self.result_._observations
        if not len(parts):  # a law of one variable alone
            alone = (front.codes >= VARIABLE).any(1).nonzero()[:, 0]
            parts = front[alone if len(alone) else [0]]
        values, valid = evaluate(parts, torch.tensor(seen.x, dtype=DTYPE))
        y = torch.tensor(seen.y, dtype=DTYPE)
        centred = torch.where(valid.all(1, keepdim=True), values - values.mean(1, keepdim=True), 0.0)
        unit = centred / centred.norm(dim=1, keepdim=True).clamp(min=torch.finfo(DTYPE).tiny)
        simple = torch.argsort(parts.complexity, stable=True)
        close = (unit[simple] @ unit[simple].T).abs() > ALIKE
        own = simple[~close.tril(-1).any(1) & (centred[simple].abs().amax(1) > 0)]
        strength = (unit[own] @ (y - y.mean())).abs()
        kept = own[torch.argsort(strength, descending=True, stable=True)[: self.n_components]]
        return parts[kept if len(kept) else simple[:1]].trimmed()

    def transform(self, X: Any) -> np.ndarray:
        """(N, K) values of the features; NaN where one has none."""
        check_is_fitted(self)
        values, valid = evaluate(self._features, self._points(X, self.result_.names))
        return torch.where(valid, values, torch.nan).T.contiguous().numpy()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The features as text."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.asarray(self.expressions_, dtype=object)

    @property
    def _n_features_out(self) -> int:
        return len(self.expressions_)
