"""Printers: how an operator is written in other languages; `named` gives them for a function that all have."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CALLS", "named", "power", "same"]

#: language -> how a function of this name is called there.
CALLS: Mapping[str, str] = {
    "python": "math.{name}",
    "numpy": "np.{name}",
    "torch": "torch.{name}",
    "jax": "jnp.{name}",
    "pandas": "{name}",
    "excel": "{name}",
    "c": "{name}",
    "julia": "{name}",
    "matlab": "{name}",
    "fortran": "{name}",
    "sql": "{name}",
    "onnx": "{name}",
}


def named(name: str, arity: int = 1, **other: str | None) -> dict[str, str]:
    """Printers of a function that every language calls `name`.

        named("asin", numpy="arcsin", jax="arcsin", pandas="arcsin")

    Parameters
    ----------
    other : language -> another name; a whole template where it holds "{0}"; None where the language lacks it
    """
    arguments = ", ".join(f"{{{i}}}" for i in range(arity))
    printers = {}
    for language, call in CALLS.items():
        spelled = other.get(language, name.capitalize() if language == "onnx" else name)
        if spelled is not None:
            whole = "{0}" in spelled or not arity
            printers[language] = spelled if whole else f"{call.format(name=spelled)}({arguments})"
    return printers


def same(template: str, **other: str) -> dict[str, str]:
    """Printers of one template, "1/{0}", in every language but the `other` ones."""
    return dict.fromkeys(CALLS, template) | other


def power(exponent: str) -> dict[str, str]:
    """Printers of a whole power; `exponent` "{1}" leaves it open."""
    if exponent != "{1}":
        sign = {"fortran": f"{{0}}**{exponent}", "matlab": f"{{0}}.^{exponent}", "julia": f"{{0}}^{exponent}"}
    else:  # written with the sign: brackets depend on what stands there
        sign = {}
    call = named("pow", 2, numpy="power", jax="power", excel="POWER", sql="POWER")
    called = {language: text.replace("{1}", exponent) for language, text in call.items()}
    called["pandas"] = f"{{0}}**{exponent}"
    return {k: v for k, v in called.items() if k not in ("fortran", "matlab", "julia")} | sign
