"""What `import sr_accessor` loads, how long it takes, and that it may be repeated."""

import subprocess
import sys

HEAVY = ("torch", "sympy", "scipy.optimize", "sklearn", "ipywidgets", "matplotlib")


def run(code: str) -> str:
    """Standard output of a fresh interpreter, in which warnings are errors."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    out = run(f"import sys, sr_accessor; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert out.strip() == "[]"


def test_import_is_quick():
    code = (
        "import time, pandas, xarray\n"
        "start = time.process_time()\n"
        "import sr_accessor\n"
        "print(time.process_time() - start)"
    )
    # Promised is 0.1 s, measured 0.015 s. Of the processor, and the best of three: others share the machine.
    assert min(float(run(code)) for _ in range(3)) < 0.1


def test_wrong_input_is_refused_without_torch_and_within_a_tenth_of_a_second():
    code = (
        "import sys, time, pandas as pd, sr_accessor as sr\n"
        "df = pd.DataFrame({'x': range(1000), 'y': [float('inf')] * 1000})\n"
        "start = time.process_time()\n"
        "try: df.symreg.fit('y')\n"
        "except sr.errors.InputError: print(time.process_time() - start, 'torch' in sys.modules)"
    )
    seconds, torch_loaded = min((run(code).split() for _ in range(3)), key=lambda words: float(words[0]))
    assert float(seconds) < 0.1
    assert torch_loaded == "False"


def test_import_again_replaces_the_accessors_silently():
    run(
        "import sys, pandas as pd, xarray as xr, sr_accessor\n"
        "first = pd.DataFrame.symreg\n"
        "for name in [m for m in sys.modules if m.startswith('sr_accessor')]: del sys.modules[name]\n"
        "import sr_accessor\n"
        "assert pd.DataFrame.symreg is not first\n"
        "assert hasattr(xr.Dataset, 'symreg') and hasattr(xr.DataArray, 'symreg')"
    )


def test_works_without_xarray():
    run(
        "import sys; sys.modules['xarray'] = None\n"
        "import pandas as pd, sr_accessor\n"
        "from sr_accessor.observations import Observations\n"
        "df = pd.DataFrame({'x': [1, 2, 3], 'y': [1, 4, 9]})\n"
        "assert hasattr(df, 'symreg')\n"
        "assert len(Observations.from_frame(df, 'y').y) == 3"
    )
