"""Values against scipy to 1e-10 and better, derivatives against mpmath, and sr_accessor's own checks."""

import mpmath
import numpy as np
import pytest
import scipy.special as sp
import torch
from sr_special_functions.bessel import BESSEL
from sr_special_functions.elliptic import ELLIPTIC
from sr_special_functions.gamma import GAMMA
from sr_special_functions.lambert import LAMBERT

from sr_accessor import plugins
from sr_accessor.plugins import manager
from sr_accessor.testing import check_operator

OPERATORS = {operator.name: operator for operator in (*GAMMA, *BESSEL, *LAMBERT, *ELLIPTIC)}
WIDE = np.concatenate([np.geomspace(1e-8, 600, 4001), np.linspace(7.9, 8.1, 401)])
BOTH = np.concatenate([-WIDE, [0.0], WIDE])
NEGATIVE = -np.linspace(0.03, 30.03, 2000) - 1e-3
#: name -> (trusted function, points, an envelope that errors near zeros of the function are measured by)
TRUSTED = {
    "erf": (sp.erf, BOTH, None),
    "erfc": (sp.erfc, BOTH[BOTH < 25], None),
    "gamma": (sp.gamma, np.concatenate([NEGATIVE, WIDE[WIDE < 170]]), None),
    "loggamma": (sp.gammaln, WIDE, lambda x: np.maximum(np.abs(sp.gammaln(x)), 1e-3)),
    "digamma": (sp.digamma, WIDE, lambda x: np.maximum(np.abs(sp.digamma(x)), 1e-2)),
    "j0": (sp.j0, BOTH, lambda x: np.hypot(sp.j0(x), sp.j1(x))),
    "j1": (sp.j1, BOTH, lambda x: np.where(np.abs(x) < 1, np.abs(sp.j1(x)), np.hypot(sp.j0(x), sp.j1(x)))),
    "y0": (sp.y0, WIDE, lambda x: np.hypot(sp.y0(x), np.minimum(np.abs(sp.y1(x)), 1))),
    "y1": (sp.y1, WIDE, lambda x: np.hypot(sp.y1(x), np.minimum(np.abs(sp.y0(x)), 1))),
    "i0": (sp.i0, BOTH, None),
    "i1": (sp.i1, BOTH, None),
    "k0": (sp.k0, WIDE, None),
    "k1": (sp.k1, WIDE, None),
    "lambertw": (
        lambda x: sp.lambertw(x).real,
        np.concatenate([np.linspace(-0.3678, 3, 3000), np.geomspace(1e-9, 1e9, 3000)]),
        None,
    ),
    "ellipk": (sp.ellipk, np.concatenate([-np.geomspace(1e-9, 1e4, 999), np.linspace(0, 0.9999, 999)]), None),
    "ellipe": (sp.ellipe, np.concatenate([-np.geomspace(1e-9, 1e4, 999), np.linspace(0, 1, 999)]), None),
}
#: name -> the same of mpmath, differentiated numerically with 30 digits
HIGH_PRECISION = {
    "erf": mpmath.erf, "erfc": mpmath.erfc, "gamma": mpmath.gamma, "loggamma": mpmath.loggamma,
    "digamma": mpmath.digamma, "j0": mpmath.j0, "j1": mpmath.j1, "y0": lambda x: mpmath.bessely(0, x),
    "y1": lambda x: mpmath.bessely(1, x), "i0": lambda x: mpmath.besseli(0, x), "i1": lambda x: mpmath.besseli(1, x),
    "k0": lambda x: mpmath.besselk(0, x), "k1": lambda x: mpmath.besselk(1, x), "lambertw": mpmath.lambertw,
    "ellipk": mpmath.ellipk, "ellipe": mpmath.ellipe,
}  # fmt: skip
SLOPES = {"ellipk": [-3.0, -0.2, 1e-9, 0.3, 0.97], "ellipe": [-3.0, -0.2, 1e-9, 0.3, 0.97]}


@pytest.mark.parametrize("name", OPERATORS)
def test_registration_checks_pass(name):
    check_operator(OPERATORS[name])


@pytest.mark.parametrize("name", TRUSTED)
def test_values(name):
    trusted, points, envelope = TRUSTED[name]
    wanted = trusted(points)
    got = OPERATORS[name].torch(torch.tensor(points)).numpy()
    known = np.isfinite(wanted) & (np.abs(wanted) > 1e-290)
    scale = np.abs(wanted) if envelope is None else envelope(points)
    assert np.max(np.abs(got - wanted)[known] / scale[known]) < 1e-11


@pytest.mark.parametrize("name", HIGH_PRECISION)
def test_derivatives(name):
    points = SLOPES.get(name, [0.013, 0.5, 2.0, 5.5, 7.999, 8.001, 13.0, 45.0])
    x = torch.tensor(points, dtype=torch.float64)
    operator = OPERATORS[name]
    got = operator.derivative[0](operator.torch(x), x)
    with mpmath.workdps(40):
        wanted = [float(mpmath.diff(HIGH_PRECISION[name], mpmath.mpf(p))) for p in points]
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-10, atol=1e-16)


def test_nan_and_infinity_do_not_raise():
    x = torch.tensor([float("nan"), float("inf"), float("-inf"), 0.0, -2.0], dtype=torch.float64)
    for operator in OPERATORS.values():
        assert bool(operator.torch(x)[0].isnan()), operator.name


def test_the_plugin_is_installed_and_its_vocabularies_are_there():
    row = plugins.table().set_index("name").loc["special"]
    assert (row.distribution, row.status) == ("sr-special-functions", "loaded"), row.error
    chosen = manager.vocabulary("bessel")
    assert "j0" in chosen and "sin" in chosen and "gamma" not in chosen
