"""Every built-in operator against sympy, against differences and against its own domain."""

import math

import pytest
import sympy
import torch

from sr_accessor.errors import OperatorError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator

GRID = [-800.0, -7.5, -3.0, -2.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.3, 0.5, 1.0, 1.7, 2.0, 3.0, 12.0, 800.0]


def grid(operator):
    axes = [torch.tensor(GRID, dtype=torch.float64)] * operator.arity
    return [g.reshape(-1) for g in torch.meshgrid(*axes, indexing="ij")]


def by_sympy(operator, *values):
    """The finite real value by sympy in 30 digits, or None."""
    with_symbols = operator.to_sympy(*(sympy.Rational(v) for v in values))
    value = sympy.N(with_symbols, 30)
    if not value.is_number or value.is_finite is not True or not value.is_real:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


@pytest.mark.parametrize("operator", ELEMENTARY, ids=lambda o: o.name)
def test_torch_equals_sympy(operator):
    if operator.arity == 0:
        assert operator.torch() == float(operator.to_sympy())
        return
    arguments = grid(operator)
    values = operator.torch(*arguments)
    for i, value in enumerate(values.tolist()):
        at = [a[i].item() for a in arguments]
        expected = by_sympy(operator, *at)
        if expected is None:
            assert not math.isfinite(value), f"{operator.name}{at} = {value}, sympy has no real value"
        elif math.isfinite(value):
            assert value == pytest.approx(expected, rel=1e-13, abs=1e-300), f"{operator.name}{at}"
        else:  # the border of the doubles: cosh(800)
            assert abs(expected) > 1e300, f"{operator.name}{at} = {value}, sympy says {expected}"


@pytest.mark.parametrize("operator", [o for o in ELEMENTARY if o.arity], ids=lambda o: o.name)
def test_domain_is_where_the_value_is_finite(operator):
    arguments = grid(operator)
    finite = torch.isfinite(operator.torch(*arguments))
    stated = torch.ones_like(finite) if operator.domain is None else operator.domain(*arguments)
    overflow = torch.isinf(operator.torch(*arguments)) & stated  # 800**800 lies in the domain of pow
    assert torch.equal(finite | overflow, stated)
    assert operator.name == "pow" or not overflow.any()


@pytest.mark.parametrize("operator", [o for o in ELEMENTARY if o.arity], ids=lambda o: o.name)
def test_derivative_is_that_of_autograd(operator):
    declared = operator
    automatic = Operator(operator.name, operator.arity, operator.torch, operator.sympy)
    draw = torch.Generator().manual_seed(1)
    arguments = [0.1 + 0.8 * torch.rand(50, dtype=torch.float64, generator=draw) for _ in range(operator.arity)]
    value = operator.torch(*arguments)
    for i in range(operator.arity):
        ours = torch.as_tensor(declared.partial(i)(value, *arguments)).expand_as(value)
        torch.testing.assert_close(ours.to(value), automatic.partial(i)(value, *arguments), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operator", [o for o in ELEMENTARY if o.arity], ids=lambda o: o.name)
def test_derivative_is_that_of_central_differences(operator):
    draw = torch.Generator().manual_seed(2)
    arguments = [0.1 + 0.8 * torch.rand(50, dtype=torch.float64, generator=draw) for _ in range(operator.arity)]
    value, step = operator.torch(*arguments), 1e-6
    for i in range(operator.arity):
        up = [a + step * (j == i) for j, a in enumerate(arguments)]
        down = [a - step * (j == i) for j, a in enumerate(arguments)]
        difference = (operator.torch(*up) - operator.torch(*down)) / (2 * step)
        ours = torch.as_tensor(operator.partial(i)(value, *arguments)).to(value).expand_as(value)
        torch.testing.assert_close(ours, difference, rtol=1e-6, atol=1e-7)


def test_commutative_operators_commute():
    draw = torch.Generator().manual_seed(4)
    a, b = torch.randn(2, 50, dtype=torch.float64, generator=draw)
    for operator in ELEMENTARY:
        if operator.arity == 2:
            same = torch.equal(operator.torch(a.abs(), b.abs()), operator.torch(b.abs(), a.abs()))
            assert same == operator.commutative, operator.name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "2x"}, "identifier"),
        ({"arity": 3}, "arity must be"),
        ({"torch": "sin"}, "torch must be callable"),
        ({"sympy": 3}, "sympy must be callable"),
        ({"derivative": ()}, "one per argument"),
        ({"units": "metre"}, "units must be one of"),
        ({"cost": 0}, "cost must be"),
        ({"bits": 0.0}, "bits a positive one"),
    ],
)
def test_a_wrong_declaration_is_refused(change, says):
    right = {"name": "sin2", "arity": 1, "torch": torch.sin, "sympy": "sympy:sin"}
    Operator(**right)
    with pytest.raises(OperatorError, match=says):
        Operator(**(right | change))
