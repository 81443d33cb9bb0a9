"""The version of this package, which hatch reads from here, and those of what it runs on."""

import platform

__all__ = ["__version__", "versions"]

__version__ = "0.1.0"


def versions() -> dict[str, str]:
    """The package, Python and torch: what a result or a network was made with."""
    import torch  # not for whoever only asks for our own

    return {"sr_accessor": __version__, "python": platform.python_version(), "torch": torch.__version__}
