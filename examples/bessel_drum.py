"""How does a drum move? A Bessel law found in a noisy profile of its lowest mode, with an operator from a plugin.

pip install ./extensions/sr-special-functions && python examples/bessel_drum.py
"""

import numpy as np
import pandas as pd
from scipy.special import j0

import sr_accessor  # noqa: F401  registers df.symreg

#: A membrane of 0.28 m radius: amplitude in mm, and 2.405/0.28 m, so that the rim stays at rest [Rayleigh 1877, §200].
AMPLITUDE, WAVENUMBER, NOISE = 1.834, 8.589, 0.01


def measure(rows: int = 150, seed: int = 3) -> pd.DataFrame:
    """Displacement u in mm at distances r in m from the middle; simulated, with gaussian errors."""
    random = np.random.default_rng(seed)
    r = np.sort(random.uniform(0.0, 0.28, rows))
    drum = pd.DataFrame({"r": r, "u": AMPLITUDE * j0(WAVENUMBER * r) + random.normal(0.0, NOISE, rows)})
    drum.attrs["units"] = {"r": "m", "u": "mm"}
    return drum


def main(timeout: float = 120.0, max_rounds: int = 8):  # rounds end it: as far on a busy machine as on an idle one
    drum = measure()
    options = {"operators": "bessel", "timeout": timeout, "max_rounds": max_rounds, "random_state": 0}
    result = drum.symreg.fit("u", sigma=NOISE, **options)
    print(result)
    print(result.best.params)
    print(f"put in: {AMPLITUDE} mm and {WAVENUMBER} / m")
    for operator in [name for name in result.provenance["routes"] if f"{name}(" in result.to_text()]:
        ways = ", ".join(result.provenance["routes"][operator])
        print(f"{operator}: searched by {ways}; this law came from {result.best.origin!r}")
    return result


if __name__ == "__main__":
    main()
