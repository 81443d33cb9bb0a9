"""How fast do galaxies recede? Hubble's law from the 32 points of his figure of 1929."""

from pathlib import Path

import pandas as pd

import sr_accessor  # noqa: F401  registers df.symreg

DATA = Path(__file__).parent / "data" / "hubble.csv"


def main(timeout: float = 10.0):
    galaxies = pd.read_csv(DATA)
    galaxies.attrs["units"] = {"D": "Mpc", "v": "km/s"}
    result = galaxies.symreg.fit("v", timeout=timeout, random_state=0)
    print(result)
    return result


if __name__ == "__main__":
    main()
