import pytest
import torch

from sr_accessor.plugins.manager import vocabulary
from sr_accessor.search.library import build_library, extend_by_monomials
from sr_accessor.search.ridges import ridges


def points(dimensions, count=1000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 1 + 4 * torch.rand(count, dimensions, generator=generator, dtype=torch.float64)


def holds(found, exponents):
    """Whether the group, or a simple power of it, is among those found."""
    wanted = torch.tensor(exponents, dtype=torch.float64)
    return any(torch.equal(row * power, wanted) for row in found for power in (0.5, 1.0, 2.0))


LAWS = {
    "exponential of five": (lambda a: a[0] * torch.exp(-a[1] * a[2] * a[3] / (a[4] * a[5])), (0, 1, 1, 1, -1, -1)),
    "saturation": (lambda a: a[0] * torch.tanh(a[1] * a[2] / (a[3] * a[4])), (0, 1, 1, -1, -1)),
    "oscillator": (lambda a: a[0] ** 3 / a[1] / (torch.exp(a[0] * a[2] / (a[3] * a[4])) - 1), (1, 0, 1, -1, -1)),
    "friction": (lambda a: 0.3 / (a[0] * a[1] ** 2 * a[2] / a[3]) ** 0.25 + 1 + 0 * a[4], (1, 2, 1, -1, 0)),
    "roots": (lambda a: a[4] * torch.log(1 + a[0] ** 0.5 * a[1] / a[2] ** 0.5 / a[3]), (0.5, 1, -0.5, -1, 0)),
    "wave": (lambda a: a[4] * torch.sin(0.3 * a[0] * a[1] / a[2]), (1, 1, -1, 0, 0)),
    "Gaussian": (lambda a: torch.exp(-((a[0] / a[1]) ** 2) * a[2] / a[3]), (2, -2, 1, -1)),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_group_under_a_function_is_found(name):
    law, exponents = LAWS[name]
    x = points(len(exponents))
    found = ridges(x, law(x.T))
    assert holds(found, exponents) and holds(found, [-e for e in exponents])
    assert len(found) <= 120 and len(found.unique(dim=0)) == len(found)


@pytest.mark.parametrize("name", ["saturation", "friction", "Gaussian"])
def test_under_noise_too(name):
    law, exponents = LAWS[name]
    x = points(len(exponents))
    y = law(x.T)
    noise = torch.randn(len(y), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert holds(ridges(x, y + 0.1 * y.std() * noise), exponents)


def test_units_do_not_matter():
    law, exponents = LAWS["saturation"]
    x = points(len(exponents))
    scale = torch.tensor([1e-9, 3.0, 2e5, 1e-3, 40.0], dtype=torch.float64)
    assert torch.equal(ridges(x, law(x.T)), ridges(x * scale, 1e-20 * law(x.T)))


def test_a_variable_that_changes_its_sign_is_in_no_group():
    x = points(4)
    x[:, 1] -= 3
    x[:, 2] *= -1
    found = ridges(x, torch.exp(x[:, 0] / x[:, 2] * x[:, 3]))
    assert holds(found, (1, 0, -1, 1)) and bool((found[:, 1] == 0).all())


@pytest.mark.parametrize("x", [points(1), points(5, 60)], ids=["one variable", "few rows"])
def test_nothing_where_nothing_can_be_told(x):
    assert ridges(x, torch.ones(len(x), dtype=torch.float64)).shape == (0, x.shape[1])


def test_groups_join_a_library_once():
    x = points(6, 200)
    library = build_library(x, vocabulary("default"), count=300)
    new = torch.tensor([[0, 1, 1, 1, -1, -1.0], [1, 0, 0, 0, 0, 0]], dtype=torch.float64)
    longer = extend_by_monomials(library, new, x, vocabulary("default"))
    assert len(longer) == len(library) + 1 and torch.equal(longer.exponents[-1], new[0])
    assert len(extend_by_monomials(longer, new, x, vocabulary("default"))) == len(longer)
