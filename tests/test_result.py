"""FitResult and Equation: the table of the front, choice, constants, predictions, forms and warnings."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import sr_accessor as sr
from sr_accessor import result as result_module
from sr_accessor.display import figure
from sr_accessor.errors import (
    ColumnError,
    InputError,
    MissingDependencyError,
    OptionError,
    SymRegWarning,
    UnknownNameError,
)
from sr_accessor.expressions.batch import Expressions, concatenate, constant, variable
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.observations import Observations
from sr_accessor.result import CANDIDATES, DEFINITIONS, FitResult
from sr_accessor.search.front import Front

VOCABULARY = Vocabulary(ELEMENTARY)
LABELS = ("<b>x</b> [K]", "$z$")
TARGET = "100%_y"


def c(value: float) -> Expressions:
    return constant([value], VOCABULARY)


def x(index: int) -> Expressions:
    return variable([index], VOCABULARY)


def table(rows: int = 60, seed: int = 0, noise: float = 0.1) -> pd.DataFrame:
    """y = 2x + 3 + noise; z does not matter."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 5, (rows, 2))
    y = 2 * values[:, 0] + 3 + noise * rng.normal(size=rows)
    return pd.DataFrame({LABELS[0]: values[:, 0], LABELS[1]: values[:, 1], TARGET: y}, index=np.arange(rows) * 3)


def straight(frame: pd.DataFrame) -> tuple[float, float]:
    return tuple(np.polyfit(frame[LABELS[0]], frame[TARGET], 1).tolist())


def front(laws: Expressions, observations: Observations) -> Front:
    """The laws with their Gaussian loss (sigma known, or at its best value)."""
    values = evaluate(laws, torch.tensor(observations.x))[0].numpy()
    square = (values - observations.y) ** 2
    n = len(observations.y)
    if observations.sigma is None:
        loss = n / 2 * np.log(2 * np.pi * np.e * square.mean(1).clip(1e-30))
    else:
        s = observations.sigma
        loss = (square / s**2 / 2 + np.log(s) + np.log(2 * np.pi) / 2).sum(1)
    bits = 8.0 * laws.complexity.double()
    return Front(laws, torch.tensor(loss), bits, ("prior", "screen pair", "guess")[: len(laws)])


def result(frame: pd.DataFrame | None = None, *, laws: Expressions | None = None, sigma=None, **options) -> FitResult:
    """mean, line, and the line with a superfluous factor."""
    frame = table() if frame is None else frame
    observations = Observations.from_frame(frame, TARGET, sigma=sigma)
    slope, offset = straight(frame)
    if laws is None:
        line = c(slope) * x(0) + c(offset)
        laws = concatenate([c(frame[TARGET].mean()), line, c(1.0) * c(slope) * x(0) + c(offset)])
    return FitResult(
        observations=observations, front=front(laws, observations), noise=GAUSSIAN, rounds=4, seconds=1.5,
        provenance={"seed": 7, "device": "cpu"}, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def line() -> FitResult:
    held_out = Observations.from_frame(table(rows=30, seed=1), TARGET)
    return result(held_out=held_out)


# ---------------------------------------------------------------------------- the table
def test_front_has_the_promised_columns_each_defined(line):
    assert list(line.front.columns) == list(line.front.attrs["definitions"]) == list(DEFINITIONS)
    assert line.front["complexity"].tolist() == [1, 5, 7]
    assert line.front["n_constants"].tolist() == [1, 2, 3]
    assert line.front["selected"].tolist() == [False, True, False]
    assert line.front["origin"].tolist() == ["prior", "screen pair", "guess"]


def test_statistics_are_those_of_the_textbook(line):
    frame, row = table(), line.front.iloc[1]
    fit = stats.linregress(frame[LABELS[0]], frame[TARGET])
    residual = frame[TARGET] - fit.slope * frame[LABELS[0]] - fit.intercept
    sigma = np.sqrt((residual**2).mean())
    loss = -stats.norm(0, sigma).logpdf(residual).sum()
    assert row["r2"] == pytest.approx(fit.rvalue**2, rel=1e-9)
    assert row["rmse"] == pytest.approx(sigma, rel=1e-9) and row["mse"] == pytest.approx(sigma**2, rel=1e-9)
    assert row["loss"] == pytest.approx(loss, rel=1e-9)
    assert row["aic"] == pytest.approx(2 * loss + 4, rel=1e-9)
    assert row["bic"] == pytest.approx(2 * loss + 2 * np.log(60), rel=1e-9)
    assert row["mdl"] == pytest.approx(loss / np.log(2) + 40, rel=1e-9)
    first = line.front.iloc[0]
    assert first["score"] == 0 and row["score"] == pytest.approx(np.log(first["mse"] / row["mse"]) / 4)
    assert line.front["chi2_red"].isna().all()


def test_r2_val_is_computed_from_held_out_rows_only(line):
    frame = table(rows=30, seed=1)
    y = frame[TARGET]
    law = line.best.predict_array(frame[list(LABELS)].to_numpy())
    expected = 1 - ((y - law) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert line.front["r2_val"].iloc[1] == pytest.approx(expected, rel=1e-12)
    assert result().front["r2_val"].isna().all()


def test_a_law_is_simplified_with_its_errors():
    """a·(a + b)/(a + b) + c·a is (1 + c)·a: one constant, whose error is that of a straight line's slope."""
    frame = table()
    laws = x(0) * (x(0) + x(1)) / (x(0) + x(1)) + c(1.0) * x(0)
    eq = result(frame, laws=laws)[0]
    shorter = eq.simplify()
    assert shorter.complexity == 3 and eq.complexity > 3 and len(shorter.params) == 1
    given = frame[list(eq.names)]
    np.testing.assert_allclose(shorter.predict(given), eq.predict(given), rtol=1e-9)
    assert shorter.params["stderr"].iloc[0] == pytest.approx(eq.params["stderr"].iloc[0], rel=1e-6)
    assert shorter.simplify() is shorter


def test_a_law_without_its_rows_is_not_simplified(tmp_path):
    result().save(tmp_path / "law.json")
    with pytest.raises(InputError, match="data=True"):
        sr.load(tmp_path / "law.json").best.simplify()


def test_chi2_with_sigma():
    frame = table()
    found = result(frame, sigma=0.1)
    slope, offset = straight(frame)
    chi2 = (((frame[TARGET] - slope * frame[LABELS[0]] - offset) / 0.1) ** 2).sum() / 58
    assert found.front["chi2_red"].iloc[1] == pytest.approx(chi2)
    assert not [w for w in found.warnings if w.code == "CHI2"]


def test_the_table_handed_out_is_a_copy(line):
    mine = line.front
    mine.loc[0, "loss"] = 99.0
    assert line.front.loc[0, "loss"] != 99.0


def test_the_table_can_be_checked_and_shows_what_is_wrong(line):
    checked = line.check()
    assert list(checked.columns) == ["loss", "loss_again", "rmse", "rmse_again", "equation"]
    np.testing.assert_allclose(checked["loss_again"], line.front["loss"], rtol=1e-12)
    np.testing.assert_allclose(checked["rmse_again"], line.front["rmse"], rtol=1e-12)
    seen = line.observations
    told = front(concatenate([c(1.0), x(0)]), seen)
    wrong = FitResult(observations=seen, noise=GAUSSIAN, front=replace(told, loss=told.loss + 1.0)).check()
    np.testing.assert_allclose(wrong["loss"] - wrong["loss_again"], 1.0)
    with pytest.raises(InputError, match="data=True"):
        sr.load(line.to_json()).check()


# ---------------------------------------------------------------------------- what else was kept
def test_candidates_are_all_laws_that_were_kept_once_each(monkeypatch):
    frame = table()
    found = sr.fit(frame, TARGET, network=None, max_rounds=2, timeout=60.0, random_state=0, progress=False)
    kept, shown = found.candidates, found.front
    assert list(kept.columns) == list(kept.attrs["definitions"]) == list(CANDIDATES)
    assert kept["mdl"].is_monotonic_increasing and len(kept) > len(shown)
    own = kept[kept["on_front"]].sort_values("complexity", ignore_index=True)
    same = [name for name in CANDIDATES if name != "on_front"]
    pd.testing.assert_frame_equal(own[same], shown[same])
    scale = found.observations.y.std()
    apart = np.abs(np.subtract.outer(kept["rmse"].to_numpy(), kept["rmse"].to_numpy())) > 1e-12 * scale
    assert (apart | np.eye(len(kept), dtype=bool)).all()  # no two say the same
    again = sr.load(found.to_json(data=True))
    pd.testing.assert_frame_equal(again.candidates, kept)
    monkeypatch.setattr(result_module, "MOST_VALUES", 3 * len(frame))  # piece by piece
    pd.testing.assert_frame_equal(again.candidates, kept)


def test_candidates_of_a_known_law_and_of_a_file_without_data_are_the_front(line):
    assert sorted(line.candidates["equation"]) == sorted(line.front["equation"])
    kept = sr.load(line.to_json()).candidates
    assert kept["on_front"].all() and kept["mdl"].is_monotonic_increasing and len(kept) == len(line)


# ---------------------------------------------------------------------------- choice
def test_rows_complexities_and_rules(line):
    assert len(line) == 3 and [e.complexity for e in line] == [1, 5, 7]
    assert line[-1].complexity == 7 and line.at(complexity=5).complexity == 5 == line.best.complexity
    with pytest.raises(IndexError, match="no law 3; the front has 3"):
        line[3]
    with pytest.raises(UnknownNameError, match=r"no law of complexity 4; .*known: '1', '5', '7'"):
        line.at(complexity=4)


def test_select_gives_a_new_view_and_leaves_the_old_one(line):
    other = line.select("accuracy")
    assert other is not line and other.rule == "accuracy" and line.rule == "mdl"
    assert line.select("validation").front["r2_val"].equals(line.front["r2_val"])
    with pytest.raises(UnknownNameError, match="did you mean 'knee'"):
        line.select("kne")
    with pytest.raises(InputError, match="held-out"):
        result().select("validation")
    with pytest.raises(AttributeError, match="does not change"):
        line.rule = "aic"


def test_a_result_needs_a_law():
    laws = concatenate([c(1.0)])[0:0]
    observations = Observations.from_frame(table(), TARGET)
    nothing = Front(laws, torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64), ())
    with pytest.raises(InputError, match="at least one law"):
        FitResult(observations=observations, front=nothing, noise=GAUSSIAN)


# ---------------------------------------------------------------------------- constants
def test_params_are_those_of_linear_regression(line):
    frame = table()
    fit = stats.linregress(frame[LABELS[0]], frame[TARGET])
    params = line.best.params
    assert list(params.columns) == ["value", "stderr", "unit", "lower", "upper", "fixed"]
    assert list(params.index) == ["c0", "c1"]
    np.testing.assert_allclose(params["value"], [fit.slope, fit.intercept], rtol=1e-9)
    np.testing.assert_allclose(params["stderr"], [fit.stderr, fit.intercept_stderr], rtol=1e-6)
    half = stats.t.ppf(0.975, 58) * fit.stderr
    assert params.loc["c0", "upper"] - params.loc["c0", "value"] == pytest.approx(half, rel=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(line.best.covariance)), params["stderr"])
    np.testing.assert_allclose(np.diag(line.best.correlation), 1)
    assert line.best.correlation.loc["c0", "c1"] < -0.9
    assert line.best.warnings == ()


def test_what_is_not_identifiable_is_nan_with_a_reason(line):
    params = line[2].params
    assert params["stderr"].isna().tolist() == [True, True, False]
    (warning,) = line[2].warnings
    assert warning.code == "SINGULAR" and "c0, c1" in warning.message and ".fix(c0=...)" in warning.message
    assert line[2].correlation.isna().to_numpy().sum() == 8


def test_literals_are_part_of_the_form_not_parameters():
    law = (c(2.0) * x(0)).with_literals(torch.tensor([[True]])) + c(3.0)
    assert list(result(laws=law).best.params["value"]) == [3.0]


# ---------------------------------------------------------------------------- predictions
def test_predict_keeps_index_and_name_and_reads_only_what_the_law_names(line):
    frame = table()
    prediction = line.predict(frame)
    assert prediction.name == TARGET and prediction.index.equals(frame.index)
    slope, offset = straight(frame)
    np.testing.assert_allclose(prediction, slope * frame[LABELS[0]] + offset, rtol=1e-12)
    shuffled = frame.sample(frac=1, random_state=0).assign(extra=1.0)[["extra", LABELS[0]]]
    pd.testing.assert_series_equal(line.predict(shuffled).sort_index(), prediction)
    assigned = frame.assign(p=line.predict, r=line.residuals)
    np.testing.assert_allclose(assigned["p"] + assigned["r"], frame[TARGET], rtol=1e-12)
    pd.testing.assert_series_equal(line.best(frame), prediction)
    np.testing.assert_array_equal(line.best.predict_array(frame[list(LABELS)].to_numpy()), prediction)


def test_missing_columns_are_named(line):
    with pytest.raises(ColumnError, match="no column '<b>x</b> \\[K\\]'"):
        line.predict(table()[[LABELS[1]]])
    with pytest.raises(ColumnError, match="100%_y"):
        line.residuals(table()[list(LABELS)])


@pytest.mark.parametrize("band, extra", [("confidence", 0.0), ("prediction", 1.0)])
def test_bands_are_those_of_linear_regression(line, band, extra):
    frame = table()
    found = line.predict(frame, band, level=0.9)
    u, n = frame[LABELS[0]], 60
    s2 = (line.residuals(frame) ** 2).sum() / (n - 2)
    variance = s2 * (extra + 1 / n + (u - u.mean()) ** 2 / ((u - u.mean()) ** 2).sum())
    half = stats.t.ppf(0.95, n - 2) * np.sqrt(variance)
    assert list(found.columns) == ["mean", "lower", "upper"] and found.index.equals(frame.index)
    np.testing.assert_allclose(found["upper"] - found["mean"], half, rtol=1e-6)
    np.testing.assert_allclose(found["mean"] - found["lower"], half, rtol=1e-6)


def test_band_does_not_need_what_is_not_identifiable(line):
    frame = table()
    with_factor, plain = line[2].predict(frame, "confidence"), line[1].predict(frame, "confidence")
    # the superfluous constant costs one degree of freedom in neither: rank counts, not constants
    pd.testing.assert_frame_equal(with_factor, plain, rtol=1e-6)


def test_prediction_band_uses_sigma_of_the_new_rows():
    found, frame = result(sigma=0.1), table().iloc[:3]
    given = found.predict(frame, "prediction", sigma=[0.1, 10.0, 10.0])
    default = found.predict(frame, "prediction")
    width = given["upper"] - given["lower"]
    assert width.iloc[1] == pytest.approx(2 * 1.96 * 10, rel=1e-3)
    assert width.iloc[0] == pytest.approx((default["upper"] - default["lower"]).iloc[0])


def test_wrong_band_or_level(line):
    with pytest.raises(OptionError, match="did you mean 'confidence'"):
        line.predict(table(), "confidnce")
    with pytest.raises(OptionError, match="between 0 and 1"):
        line.predict(table(), "confidence", level=95)


def test_extrapolation_is_said_once_with_range_and_share(line):
    frame = table(rows=4).assign(**{LABELS[0]: [2.0, 3.0, 7.0, 9.0], LABELS[1]: 100.0})
    with pytest.warns(SymRegWarning, match="EXTRAPOLATION") as caught:
        line.predict(frame)
    (warning,) = caught
    assert "2 of 4 rows (50%)" in str(warning.message) and LABELS[1] not in str(warning.message)


def test_domain_keeps_nan_and_names_the_part_that_fails():
    frame = table()
    law = c(1.0) * (x(0) - c(0.5)).apply("log") + c(3.0)
    found = result(frame, laws=law)
    new = frame.iloc[:4].copy()
    new.iloc[2, 0] = 0.2
    new.iloc[3, 0] = np.nan
    with pytest.warns(SymRegWarning) as caught:
        prediction = found.predict(new)
    messages = {w.message.code: w.message.message for w in caught}
    assert prediction.isna().tolist() == [False, False, True, True]
    assert "1 of 4" in messages["DOMAIN"] and "row 2" in messages["DOMAIN"] and "log(" in messages["DOMAIN"]
    assert "3.0" not in messages["DOMAIN"]


def test_xarray_in_xarray_out(line):
    import xarray as xr

    grid = xr.Dataset({LABELS[0]: ("t", [2.0, 3.0]), "other": ("k", [1.0])}, coords={"t": [10, 20]})
    prediction = line.predict(grid)
    assert prediction.dims == ("t",) and prediction.name == TARGET and prediction["t"].values.tolist() == [10, 20]
    band = line.predict(grid, "confidence")
    assert list(band.data_vars) == ["mean", "lower", "upper"] and band["mean"].dims == ("t",)
    assert (band["lower"] < band["upper"]).all()


# ---------------------------------------------------------------------------- forms
def test_forms(line):
    import sympy

    best, frame = line.best, table()
    slope, offset = straight(frame)
    (symbol,) = best.expr.free_symbols
    assert symbol == sympy.Symbol(LABELS[0])
    assert float(best.expr.subs(symbol, 2)) == pytest.approx(2 * slope + offset, rel=1e-12)
    assert repr(best).startswith(f"{TARGET} = 1.98")
    assert best.to_latex().count("=") == 1 and "1.98" in best.to_latex()
    assert best._repr_latex_() == f"$${best.to_latex()}$$"
    assert repr(slope) in best.to_text() and repr(slope) not in best.to_text("error")
    assert len(best.to_text(2)) < len(best.to_text(5)) < len(best.to_text())
    with pytest.raises(OptionError, match="precision='eror'"):
        best.to_latex("eror")


def test_rounding_does_not_move_the_loss(line):
    frame = table(noise=0.3).assign(**{LABELS[0]: lambda f: f[LABELS[0]] + 1e4})  # offset and slope: correlation -1
    found = result(frame)
    best = found.best
    seen = torch.tensor(frame[list(LABELS)].to_numpy())
    y = torch.tensor(frame[TARGET].to_numpy())
    rounded, exact = ((evaluate(e, seen)[0][0] - y).square().sum() for e in (best.rounded, best.expression))
    variance = exact / 58
    assert (rounded - exact) / variance < 0.05
    digits = [len(f"{v!r}".replace("-", "").replace(".", "")) for v in best.rounded.constants[0].tolist()]
    assert max(digits) < 10  # of 17, though the errors alone would leave 2


def test_exact_law_shows_exact_constants():
    frame = table(noise=0.0)
    found = result(frame, laws=c(2.0000000000000004) * x(0) + c(2.9999999999999996))
    assert found.best.rounded.constants.tolist() == [[2.0, 3.0]]
    assert found.front["equation"].iloc[0] == found.best.to_text("error")


# ---------------------------------------------------------------------------- report and display
def test_report_is_in_the_order_of_lmfit(line):
    report = line.report()
    heads = ["Model", "Fit Statistics", "Constants", "Correlations", "Front", "Provenance"]
    positions = [report.index(f"[[{head}]]") for head in heads]
    assert positions == sorted(positions)
    assert "c0: 1.984 +/- 0.011 (0.56%)" in report and "C(c0, c1) = -0.94" in report
    assert "seed" in report and line.provenance["data_hash"] in report
    assert "[[Correlations]]" not in line.report(min_correl=0.99)


def test_repr_is_short_and_shows_law_and_front(line):
    lines = repr(line).splitlines()
    assert lines[0] == repr(line.best) and len(lines) < 12 and max(map(len, lines)) <= 110
    assert sum("▸" in text for text in lines) == 1
    assert "converged" in repr(line)


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.text = [], set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def test_bundle_is_static_escaped_and_small(line):
    bundle = line._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/latex", "text/plain"}
    page = Reader(bundle["text/html"])
    assert not {"script", "svg", "style", "math", "b>x"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert {"table", "details", "img"} <= set(page.tags)
    assert len(bundle["text/html"].encode()) < 150_000
    assert "<b>x</b>" not in bundle["text/html"]
    assert page.text[0] == bundle["text/latex"] == f"$${line.to_latex()}$$"
    alone = [text for text in page.text[1:] if set(text) & {"$", "\\"}]  # no other dollar or backslash is typeset
    assert set(alone) <= {"$", "\\"} and len(alone) == page.tags.count("span")
    for form in ("LaTeX", "sympy", "Python", "NumPy", "pandas eval", "Excel", "C"):
        assert f"Copy as {form}" in page.text


def test_a_law_is_written_with_the_names_of_its_constants():
    frame = pd.DataFrame({"t": np.linspace(0, 4, 30), "c0": np.tile([1.0, 2.0], 15)})
    frame["y"] = 3 * np.exp(-0.7 * frame["t"])
    formula = "a*exp(-k*t) + 0.5*b"
    known = sr.refine(frame, "y", formula, fix={"k": 0.7}, restarts=0, random_state=0).best
    assert known.to_text("names") == formula
    assert [name in known.to_latex("names") for name in "akb"] == [True] * 3
    found = sr.fit(frame[["t", "y"]], "y", network=None, random_state=0, max_rounds=1, progress=False).best
    assert all(name in found.to_latex("names").replace("_{", "").replace("}", "") for name in found.params.index)
    both = sr.fit(frame, "y", network=None, random_state=0, max_rounds=1, progress=False)
    with_constant = next(law for law in both if len(law.params))
    with pytest.raises(InputError, match="a column and a constant are called 'c0'"):
        with_constant.to_text("names")


def test_json_to_be_copied_is_the_chosen_law_alone(line):
    page = line._repr_mimebundle_()["text/html"]
    folded = re.search(r"Copy as JSON</summary><pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1]
    law = sr.load(html.unescape(re.sub(r"<[^>]*>", "", folded)))
    assert len(law) == 1 and len(line) > 1
    pd.testing.assert_frame_equal(law.best.params, line.best.params)
    kept = ["complexity", "loss", "mse", "chi2_red", "mdl", "equation", "selected"]
    pd.testing.assert_frame_equal(
        law.front[kept], line.front[line.front["selected"]][kept].reset_index(drop=True), check_exact=True
    )
    by_hand = line.select(0)
    assert sr.load(by_hand._json_of(0)).best.to_text() == by_hand.best.to_text()


def test_page_says_what_to_install_without_matplotlib(line, monkeypatch):
    monkeypatch.setattr(figure, "available", lambda: False)
    page = line._repr_html_()
    assert "img" not in Reader(page).tags and "sr-accessor[plot]" in page
    with pytest.raises(MissingDependencyError, match="sr-accessor\\[plot\\]"):
        line.plot.pareto()


def test_plots_return_axes(line):
    from matplotlib.figure import Figure

    for draw in (line.plot.pareto, line.plot.parity, line.plot.histogram):
        ax = Figure().add_subplot()
        assert draw(ax) is ax and ax.get_xlabel() and (ax.lines or ax.patches)
    for draw in (line.plot.residuals, line.plot.fit, line.plot.profile):
        for label in LABELS:
            ax = Figure().add_subplot()
            assert draw(label, ax) is ax and ax.get_xlabel() == label.replace("$", "\\$")
        with pytest.raises(ColumnError, match="no input 'w'"):
            draw("w")


@pytest.mark.parametrize("noise", ["gaussian", "poisson", "student_t", "laplace", "negative_binomial"])
def test_a_histogram_stands_beside_what_the_noise_model_expects(noise):
    from matplotlib.figure import Figure

    from sr_accessor.live import SETS, pulls

    frame = pd.DataFrame({"x": np.linspace(0.1, 5, 400)})
    frame["n"] = np.random.default_rng(3).poisson(30 * np.exp(-0.7 * frame["x"])).astype(float)
    told = sr.refine(frame, "n", "a*exp(-k*x)", start={"a": 20.0, "k": 1.0}, noise=noise)
    seen, drawn = pulls(told.best)
    assert seen.shape == (400,) and drawn.shape == (SETS, 400) and np.isfinite(drawn).all()
    if noise == "poisson":  # what it is: residuals as large as expected, in each bar about as many
        assert seen.std() == pytest.approx(1, abs=0.1) and drawn.std() == pytest.approx(1, abs=0.05)
    if noise == "gaussian":  # what it is not: too many small ones
        assert (np.abs(seen) < 0.3).mean() > 1.2 * (np.abs(drawn) < 0.3).mean()
    ax = Figure().add_subplot()
    told.plot.histogram(ax)
    counts = [patch.get_height() for patch in ax.containers[0]]
    assert sum(counts) == 400 and sum(ax.patches[-2].get_data().values) == pytest.approx(400)


def test_a_profile_holds_the_others_and_shows_its_band(line):
    from matplotlib.figure import Figure

    x, other = LABELS
    ax = Figure().add_subplot()
    line.plot.profile(other, ax, at={x: 2.0})
    assert ax.get_title() == f"{x} = 2"
    drawn = {artist.get_label(): artist for artist in ax.lines}
    assert set(drawn) == {"law"} and np.ptp(drawn["law"].get_ydata()) == 0  # z does not matter
    assert drawn["law"].get_ydata()[0] == pytest.approx(7, abs=0.2)
    alone = Figure().add_subplot()
    line.plot.profile(x, alone, level=0.68)
    assert "measured" in {artist.get_label() for artist in alone.lines} and alone.get_title() == ""
    assert [part.get_label() for part in alone.collections] == ["68 % band"]
    with pytest.raises(ColumnError, match="no input 'w'"):
        line.plot.profile(x, at={"w": 1.0})


def test_what_the_rows_look_at(line):
    from sr_accessor.transformer.checkpoint import read_header

    config = read_header("default")[1]
    page = line.plot.attention(LABELS[1], network="default")
    assert len(page.axes) == config.encoder_layers * config.heads
    assert page.get_supxlabel().endswith(LABELS[1].replace("$", r"\$"))
    with pytest.raises(InputError, match="used no network"):
        line.plot.attention()
    with pytest.raises(ColumnError, match="no input 'w'"):
        line.plot.attention("w", network="default")


def test_plot_without_axes_makes_a_figure(line):
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    ax = line.plot.parity()
    assert pyplot.fignum_exists(ax.figure.number)
    pyplot.close(ax.figure)


# ---------------------------------------------------------------------------- warnings and provenance
def test_warnings_of_data_fit_and_law_in_this_order():
    frame = table(rows=4)
    remark = SymRegWarning("TIMEOUT", "the time was up")
    found = result(frame, sigma=1e-6, rule="accuracy", remarks=[remark], status="timeout")
    codes = [w.code for w in found.warnings]
    assert codes[:1] == ["TIMEOUT"] and "CHI2" in codes
    assert found.status == "timeout" and "CHI2" in repr(found) and "CHI2" in found.report()
    assert "too simple" in next(w.message for w in found.warnings if w.code == "CHI2")
    assert "too flexible" in next(w.message for w in result(sigma=10.0).warnings if w.code == "CHI2")


def test_few_rows():
    found = result(table(rows=3), rule="accuracy")
    assert "FEW_ROWS" in [w.code for w in found.warnings]
    assert "FEW_ROWS" not in [w.code for w in result(table(rows=5)).warnings]


def test_provenance_is_complete_and_a_copy(line):
    provenance = line.provenance
    assert provenance["seed"] == 7 and provenance["rounds"] == 4 and provenance["noise"] == "gaussian"
    assert {"data_hash", "rule", "status", "seconds", "device"} <= set(provenance)
    provenance["seed"] = 8
    assert line.provenance["seed"] == 7


def test_weights_count_like_sigma_of_unknown_scale():
    frame = table().assign(w=1.0)
    frame.loc[frame.index[:10], "w"] = 0.25
    observations = Observations.from_frame(frame, TARGET, list(LABELS), sample_weight="w")
    slope, offset = np.polyfit(frame[LABELS[0]], frame[TARGET], 1, w=np.sqrt(frame["w"]))
    law = c(slope) * x(0) + c(offset)
    found = FitResult(observations=observations, front=front(law, observations), noise=GAUSSIAN)
    _, expected = np.polyfit(frame[LABELS[0]], frame[TARGET], 1, w=np.sqrt(frame["w"]), cov=True)
    np.testing.assert_allclose(found.best.covariance, expected, rtol=1e-6)
    assert found.front["chi2_red"].isna().all()


def test_a_constant_law_predicts_on_every_row(line):
    frame = table(rows=5)
    assert line[0].names == () and line[0].predict(frame).nunique() == 1
    assert line[0].predict(frame).index.equals(frame.index)
    assert "= 9.3" in line[0].to_latex()
