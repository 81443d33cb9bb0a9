"""Special functions as operators of sr_accessor, and a vocabulary "special" that adds them to the built-in ones."""

from sr_accessor import hookimpl

__all__ = ["register_operators"]


@hookimpl
def register_operators(registry):
    from sr_special_functions.bessel import BESSEL
    from sr_special_functions.elliptic import ELLIPTIC
    from sr_special_functions.gamma import GAMMA
    from sr_special_functions.lambert import LAMBERT

    operators = (*GAMMA, *BESSEL, *LAMBERT, *ELLIPTIC)
    for operator in operators:
        registry.add(operator)
    registry.vocabulary("special", base="elementary", add=[operator.name for operator in operators])
    registry.vocabulary("bessel", base="elementary", add=[operator.name for operator in BESSEL])
