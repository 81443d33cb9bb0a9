"""Lines against scipy and mpmath, sr_accessor's checks, and a spectrum that is recognised."""

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.special
import torch
from sr_spectroscopy import GAUSS, LORENTZ, VOIGT, voigt

import sr_accessor as sr
from sr_accessor.plugins import manager
from sr_accessor.testing import check_operator


@pytest.mark.parametrize("operator", [GAUSS, LORENTZ, VOIGT], ids=lambda o: o.name)
def test_registration_checks_pass(operator):
    check_operator(operator)


def test_voigt_is_the_real_part_of_the_faddeeva_function():
    u, a = np.meshgrid(np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 400)]), np.geomspace(1e-9, 1e4, 200))
    wanted = scipy.special.wofz(u + 1j * a).real
    got = voigt(torch.tensor(u), torch.tensor(a)).numpy()
    assert np.max(np.abs(got / wanted - 1)) < 1e-12
    assert torch.equal(voigt(torch.tensor(-u), torch.tensor(a)), torch.tensor(got))
    narrow = voigt(torch.tensor(u[0]), torch.zeros(1, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(narrow, np.exp(-np.square(u[0])), rtol=1e-10, atol=1e-290)


@pytest.mark.parametrize("argument", [0, 1])
def test_derivatives_of_voigt(argument):
    points = [(0.3, 0.2), (1.7, 1e-3), (5.0, 0.4), (0.01, 8.0), (40.0, 2.0), (2.6, 3.0), (0.7, 6.5)]
    u, a = torch.tensor(points, dtype=torch.float64).T
    got = VOIGT.partial(argument)(VOIGT.torch(u, a), u, a)

    def faddeeva(x, y):
        return mpmath.re(mpmath.exp(-(mpmath.mpc(x, y) ** 2)) * mpmath.erfc(mpmath.mpc(y, -x)))

    with mpmath.workdps(60):
        order = (1, 0) if argument == 0 else (0, 1)
        wanted = [float(mpmath.diff(faddeeva, tuple(map(mpmath.mpf, p)), order)) for p in points]
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-10)


def test_the_plugin_is_installed_and_names_its_vocabulary():
    row = sr.plugins.table().set_index("name").loc["spectroscopy"]
    assert (row.distribution, row.status) == ("sr-spectroscopy", "loaded"), row.error
    names = {o.name for o in manager.vocabulary("spectroscopy")}
    assert {"gauss", "lorentz", "voigt", "exp"} < names and not names & {"sin", "tan", "acos"}


def test_a_line_is_recognised():
    random = np.random.default_rng(2)
    detuning = np.linspace(-1.0, 1.0, 120)
    clean = 3.1 / (1 + np.square(detuning / 0.2)) + 0.4
    spectrum = pd.DataFrame({"d": detuning, "counts": clean + random.normal(0, 0.01, 120)})
    result = sr.fit(spectrum, "counts", sigma=0.01, operators="spectroscopy", random_state=0, timeout=10.0)
    assert "lorentz(" in result.to_text()
    assert np.abs(result.best.predict(spectrum) - clean).max() < 0.01
    assert result.provenance["routes"]["lorentz"][:2] == ["screens", "moves"]
