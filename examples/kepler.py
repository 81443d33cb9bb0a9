"""How long does a planet take around the sun? Kepler's third law from his six planets."""

from pathlib import Path

import pandas as pd

import sr_accessor  # noqa: F401  registers df.symreg

DATA = Path(__file__).parent / "data" / "kepler.csv"


def main(timeout: float = 10.0):
    planets = pd.read_csv(DATA, index_col="planet")
    planets.attrs["units"] = {"a": "AU", "P": "d"}
    # The distances have three digits, so that half a percent is what a period can be expected to agree to.
    result = planets.symreg.fit("P", sigma=0.005 * planets["P"], timeout=timeout, random_state=0)
    print(result)
    print(result.best.params)
    return result


if __name__ == "__main__":
    main()
