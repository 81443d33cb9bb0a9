"""How long does a planet take around the sun? Kepler's third law from his six planets."""

from pathlib import Path

import pandas as pd

import sr_accessor  # noqa: F401  registers df.symreg

DATA = Path(__file__).parent / "data" / "kepler.csv"


def main(timeout: float = 10.0):
    planets = pd.read_csv(DATA, index_col="planet")
    planets.attrs["units"] = {"a": "AU", "P": "d"}
    result = planets.symreg.fit("P", timeout=timeout, random_state=0)
    print(result)
    return result


if __name__ == "__main__":
    main()
