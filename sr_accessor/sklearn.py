"""from sr_accessor.sklearn import SymbolicRegressor, SymbolicTransformer: the search for scikit-learn's pipelines."""

from sr_accessor.errors import MissingDependencyError

try:
    from sr_accessor.frontends.sklearn_estimator import SymbolicRegressor, SymbolicTransformer
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise MissingDependencyError(
        "sr_accessor.sklearn needs scikit-learn: pip install 'sr-accessor[sklearn]'"
    ) from error

__all__ = ["SymbolicRegressor", "SymbolicTransformer"]
