import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skdrfm import explain
from skdrfm.cli import _model
from skdrfm.datasets._panel_file import EXACT_FLOATS
from skdrfm.exceptions import PersistenceError
from skdrfm.factor_model import LinearFactorRegressor, save
from skdrfm.panel import stack_lags
from skdrfm.preprocessing import CrossSectionalRankScaler

NAMES = ("60VOL", "BETA", "SKEW", "LOGDV")


@pytest.fixture(scope="session")
def inputs(table):
    """Ranked and stacked by hand."""
    frame = table.set_index(["date", "asset"])
    ranked = CrossSectionalRankScaler(missing="zero").fit_transform(frame[list(NAMES)])
    return stack_lags(ranked, frame["forward"], lags=(0, 3))


@pytest.fixture(scope="session")
def model(inputs):
    return LinearFactorRegressor().fit(*inputs)


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "linear.skdrfm"
    save(model, path)
    return path


def rows_of(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, parse_dates=["date"], **EXACT_FLOATS)


class TestExplain:
    @pytest.mark.parametrize(("by", "suffix"), [("descriptor", ".csv"), ("lag", ".parquet"), ("group", ".csv")])
    def test_rows_are_those_of_the_function_and_add_up(self, run, file, panel, model, inputs, tmp_path, by, suffix):
        out = tmp_path / f"rows{suffix}"
        result = run("explain", file, panel, "--by", by, "--date", "2002", "--out", out, "--group", "Size=LOGDV")
        assert result.exit_code == 0, result.output
        rows = rows_of(out).set_index(["date", "asset"])
        chosen = inputs[0][inputs[0].index.get_level_values("date") >= pd.Timestamp("2002-01-01")]
        expected = explain(model, chosen)
        parts = {
            "descriptor": expected.by_descriptor,
            "lag": lambda: expected.by_lag().rename(columns="lag{}".format),
            "group": lambda: expected.by_group({"Risk": ["60VOL", "BETA", "SKEW"], "Size": ["LOGDV"]}),
        }[by]()
        assert list(rows.columns) == ["prediction", "intercept", *parts.columns]
        np.testing.assert_array_equal(rows[list(parts.columns)], parts)
        # Other rows beside a row may change the last bit of a matrix product.
        np.testing.assert_allclose(rows["prediction"], model.predict(chosen), rtol=1e-12)
        np.testing.assert_allclose(rows.iloc[:, 1:].sum(axis=1), rows["prediction"], rtol=0, atol=1e-15)
        assert [str(asset) for _, asset in rows.index] == [asset for _, asset in chosen.index]
        assert f"{len(chosen)} rows in {out}" in result.stdout

    def test_cells_are_one_row_each(self, run, file, panel, tmp_path):
        out = tmp_path / "rows.csv"
        result = run("explain", file, panel, "--by", "cell", "--out", out)
        assert result.exit_code == 0
        rows = rows_of(out)
        assert len(rows) == 12 * 8
        assert {"lag", "descriptor", "loading", "relevance"} < set(rows.columns)
        assert "96 rows in" in result.stdout

    def test_the_last_date_is_explained_unless_another_is_named(self, run, file, panel):
        document = json.loads(run("explain", file, panel, "--json").stdout)
        assert document["dates"] == {"first": "2002-09-30", "last": "2002-09-30", "count": 1}
        assert document["n_rows"] == len(document["rows"]) == 12
        document = json.loads(run("explain", file, panel, "--json", "--date", "2001-05", "--date", "2000-06-30").stdout)
        assert document["dates"] == {"first": "2000-06-30", "last": "2001-05-31", "count": 2}
        document = json.loads(run("explain", file, panel, "--json", "--date", "all").stdout)
        assert document["dates"]["count"] == 30

    def test_dates_may_have_a_time_zone(self, run, file, panel, broken):
        zoned = broken(lambda frame: frame.assign(date=frame["date"].dt.tz_localize("UTC")))
        arguments = ["--date", "2001", "--json"]
        one, other = (json.loads(run("explain", file, path, *arguments).stdout) for path in (zoned, panel))
        assert one["rows"] == other["rows"]

    def test_summary_is_mean_and_share(self, run, file, panel, model, inputs):
        document = json.loads(run("explain", file, panel, "--json", "--date", "all").stdout)
        expected = explain(model, inputs[0])
        summary = pd.DataFrame(document["summary"]).set_index("descriptor")
        np.testing.assert_allclose(summary["share"][list(NAMES)], expected.share().mean()[list(NAMES)])
        means = expected.by_descriptor().mean()[list(NAMES)]
        np.testing.assert_allclose(summary["mean_contribution"][list(NAMES)], means)
        assert summary["share"].is_monotonic_decreasing
        assert document["largest_conservation_gap"] < 1e-15

    def test_returns_are_not_needed_and_never_inputs(self, run, file, broken, panel):
        without = broken(lambda frame: frame.drop(columns="return"))
        assert run("explain", file, without).stdout == run("explain", file, panel).stdout

    def test_columns_that_the_model_does_not_know_are_left_out_and_order_does_not_matter(
        self, run, file, broken, panel
    ):
        other = broken(
            lambda frame: frame[["SKEW", "return", "asset", "LOGDV", "BETA", "date", "60VOL"]].assign(more="x")
        )
        assert run("explain", file, other).stdout == run("explain", file, panel).stdout

    def test_later_rows_change_nothing(self, run, file, broken, panel):
        before = broken(lambda frame: frame[frame["date"] <= pd.Timestamp("2001-12-31")])
        arguments = ["--date", "2001-12", "--json"]
        one, other = (json.loads(run("explain", file, path, *arguments).stdout) for path in (before, panel))
        assert one["rows"] == other["rows"]

    def test_universe_has_the_explained_rows_but_ranks_are_of_all(self, run, file, broken, model, inputs):
        path = broken(lambda frame: frame.assign(big=(frame["asset"] == "A01").astype(int)))
        result = run("explain", file, path, "--universe-column", "big", "--json")
        (row,) = json.loads(result.stdout)["rows"]
        assert row["asset"] == "A01"
        last = inputs[0].xs("A01", level="asset").iloc[[-1]]
        assert row["prediction"] == model.predict(last)[0]

    def test_text_fits_80_columns(self, run, file, panel):
        result = run("explain", file, panel)
        assert "LinearFactorRegressor, linear: 12 predictions of 2002-09-30" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert "--out" in result.stderr


class TestNamesOfModels:
    def test_a_model_of_plain_columns_reads_the_ranks_of_the_date(self, run, inputs, table, panel, tmp_path):
        now = inputs[0].iloc[:, 4:].set_axis(list(NAMES), axis=1)
        model = LinearFactorRegressor().fit(now, inputs[1])
        save(model, tmp_path / "plain.skdrfm")
        document = json.loads(run("explain", tmp_path / "plain.skdrfm", panel, "--json").stdout)
        assert document["lags"] == [0]
        expected = model.predict(now[now.index.get_level_values("date") == pd.Timestamp("2002-09-30")])
        np.testing.assert_allclose([row["prediction"] for row in document["rows"]], expected, rtol=1e-12)

    def test_a_model_without_names_takes_those_of_the_options(self, run, inputs, panel, tmp_path):
        now = inputs[0].iloc[:, 4:]
        model = LinearFactorRegressor().fit(now.to_numpy(), inputs[1].to_numpy())
        save(model, tmp_path / "nameless.skdrfm")
        arguments = ["explain", tmp_path / "nameless.skdrfm", panel]
        result = run(*arguments)
        assert result.exit_code == 2
        assert "reads 1 lags of 4 descriptors" in result.stderr
        result = run(*arguments, "--lags", "0", "--json", "--descriptors", ",".join(NAMES))
        assert result.stderr == ""
        document = json.loads(result.stdout)
        assert (document["descriptors"], document["lags"]) == (list(NAMES), [0])

    def test_a_file_of_keras_is_told_by_its_name(self, monkeypatch, tmp_path):
        fake = SimpleNamespace(input_shape=(None, 2, 4))
        monkeypatch.setattr("skdrfm.networks.load_keras", lambda path: fake)
        opened = _model.ModelFile.open(tmp_path / "m.keras")
        assert (opened.model, opened.shape, opened.lags) == (fake, (2, 4), None)
        assert opened.choose_lags(None) == (12, 9, 6, 3, 0)
        assert opened.choose_lags([0, 3]) == (3, 0)
        with pytest.raises(_model.MismatchError, match="reads 2 lags of 4 descriptors"):
            opened.check_shape((0,), NAMES)

    def test_a_damaged_file_of_keras_is_refused(self, monkeypatch, tmp_path):
        def fail(path):
            raise OSError("no HDF5")

        monkeypatch.setattr("skdrfm.networks.load_keras", fail)
        with pytest.raises(PersistenceError, match="must be a Keras model.*OSError: no HDF5"):
            _model.ModelFile.open(tmp_path / "m.h5")


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--lags", "0,1"], "--lags must be those of the model, 3, 0. Got 1, 0."),
            (["--descriptors", "BETA"], "--descriptors must be those of the model"),
            (["--lags", "-1,0"], "must be distinct integers >= 0"),
            (["--date", "soon"], "must be a day, a month, a year or 'all'"),
            (["--date", "2002-02-31"], "must be a day of the calendar"),
            (["--date", "2000-01"], "2000-04-30 to 2002-09-30. Got 2000-01"),
            (["--rule", "lrp-most"], "is not one of"),
            (["--by", "stock"], "is not one of"),
            (["--out", "rows.xlsx"], "ending in .csv or .parquet"),
            (["--out", "absent/rows.csv"], "in a folder that exists"),
            (["--group", "Size=NOPE", "--by", "group"], "Got NOPE"),
            (["--asset-column", "ticker"], "must have the columns 'ticker'"),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, run, file, panel, arguments, message):
        result = run("explain", file, panel, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr

    def test_the_lags_of_the_model_may_be_named(self, run, file, panel):
        assert run("explain", file, panel, "--lags", "0,3").exit_code == 0

    @pytest.mark.parametrize("content", [b"", b"\x00\xff" * 100])
    def test_files_that_are_no_model_are_refused(self, run, panel, tmp_path, content):
        path = tmp_path / "model.skdrfm"
        path.write_bytes(content)
        result = run("explain", path, panel)
        assert result.exit_code == 2
        assert "cannot be loaded as a factor model" in result.stderr
        assert "MODEL must be a file" in result.stderr

    def test_a_panel_without_a_descriptor_of_the_model_is_refused(self, run, file, broken):
        result = run("explain", file, broken(lambda frame: frame.drop(columns="BETA")))
        assert result.exit_code == 2
        assert "Missing: BETA. Found: 60VOL, SKEW, LOGDV" in result.stderr

    def test_a_panel_with_repeated_keys_is_refused(self, run, file, broken):
        result = run("explain", file, broken(lambda frame: pd.concat([frame, frame.head(1)])))
        assert result.exit_code == 2
        assert "duplicate" in result.stderr
