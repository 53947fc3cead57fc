import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_validate

from skdrfm import WalkForwardSplit, make_factor_panel
from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.panel import LaggedPanel, assets_of, check_aligned, check_panel_index, dates_of, stack_lags

LAGS = (0, 2, 5)


def ragged(seed=0, dtype="float64", n_columns=3, n_months=14):
    """Some assets missing in some months, some values missing, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.period_range("1999-10", periods=n_months, freq="M").to_timestamp(how="end").normalize()
    index = pd.MultiIndex.from_product([dates, list("ABCDEF")], names=["date", "asset"])
    index = index[rng.random(len(index)) < 0.9]
    index = index[rng.permutation(len(index))]
    values = rng.standard_normal((len(index), n_columns))
    values[rng.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values.astype(dtype), index=index, columns=[f"D{j}" for j in range(n_columns)])


@pytest.fixture(scope="module")
def pair():
    X = ragged()
    return LaggedPanel(X, LAGS), stack_lags(X, lags=LAGS)


def literal(X, lags):
    """Rows and columns by look-up of calendar months, one row at a time."""
    months = {key: (key[0].year * 12 + key[0].month, key[1]) for key in X.index}
    known = {months[key]: row for key, row in zip(X.index, X.to_numpy(), strict=True)}
    kept, rows = [], []
    for key in X.index:
        month, asset = months[key]
        history = [known.get((month - lag, asset)) for lag in sorted(lags, reverse=True)]
        if all(row is not None for row in history):
            kept.append(key)
            rows.append(np.concatenate(history))
    return kept, np.array(rows)


ROWS = {
    "list": [3, 0, 3, -1],
    "array": np.array([5, 2]),
    "int32": np.array([5, 2], dtype=np.int32),
    "no rows": np.array([], dtype=int),
    "slice": slice(2, 9),
    "steps back": slice(None, None, -3),
    "empty slice": slice(4, 4),
    "whole": slice(None),
    "range": range(1, 7, 2),
}


class TestReferenceValues:
    @settings(max_examples=30)
    @given(st.integers(0, 2**16), st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True))
    def test_rows_are_those_of_a_literal_look_up(self, seed, lags):
        X = ragged(seed)
        kept, rows = literal(X, lags)
        panel = LaggedPanel(X, lags)
        assert list(panel.index) == kept
        np.testing.assert_array_equal(panel.to_frame().to_numpy(), rows)
        assert panel.shape == rows.shape
        assert len(panel) == len(kept)

    @pytest.mark.parametrize("key", ROWS.values(), ids=ROWS)
    @pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
    def test_rows_by_position_equal_those_of_the_stacked_frame(self, key, dtype):
        X = ragged().fillna(0).astype(dtype)
        panel, stacked = LaggedPanel(X, LAGS), stack_lags(X, lags=LAGS)
        pd.testing.assert_frame_equal(panel.iloc[key], stacked.iloc[key], check_exact=True)
        assert panel.iloc[key].attrs == stacked.iloc[key].attrs
        assert set(panel.iloc[key].dtypes) == {np.dtype(dtype)}

    @settings(max_examples=40)
    @given(st.data())
    def test_masks_give_the_rows_of_the_stacked_frame(self, pair, data):
        panel, stacked = pair
        n = len(panel)
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        pd.testing.assert_frame_equal(panel.iloc[mask], stacked.iloc[mask], check_exact=True)
        part = panel[mask]
        pd.testing.assert_frame_equal(part.to_frame(), stacked[mask], check_exact=True)
        again = np.arange(len(part)) % 2 == 0
        pd.testing.assert_frame_equal(part[again].to_frame(), stacked[mask][again], check_exact=True)
        assert part.attrs == stacked.attrs

    def test_one_row_is_a_series_as_in_pandas(self, pair):
        panel, stacked = pair
        for row in (0, -2, np.int64(3)):
            pd.testing.assert_series_equal(panel.iloc[row], stacked.iloc[row], check_exact=True)

    def test_gathering_takes_no_notice_of_the_size_of_its_blocks(self, pair, monkeypatch):
        panel, stacked = pair
        monkeypatch.setattr("skdrfm.panel._lagged._BLOCK", 7)
        pd.testing.assert_frame_equal(panel.to_frame(), stacked, check_exact=True)

    def test_counts_and_names(self, pair):
        panel, stacked = pair
        assert list(panel.columns) == list(stacked.columns)
        assert panel.lags == (5, 2, 0)
        assert panel.attrs["stack_lags"] == {"n_rows": 74, "n_kept": len(panel), "n_dropped": 74 - len(panel)}
        assert repr(panel) == f"LaggedPanel({len(panel)} rows x 9 columns, lags (5, 2, 0))"

    def test_frequency_is_that_of_stack_lags(self):
        dates = pd.to_datetime(["2000-01-07", "2000-01-10", "2000-01-11"])
        index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
        panel = LaggedPanel(pd.DataFrame({"D0": [1.0, 2.0, 3.0]}, index=index), (1,), "date")
        np.testing.assert_array_equal(panel.to_frame()["D0__lag1"], [1.0, 2.0])


class TestProperties:
    def test_the_helpers_of_panels_take_it(self, pair):
        panel, stacked = pair
        assert check_panel_index(panel) is panel.index
        assert dates_of(panel).equals(dates_of(stacked))
        assert assets_of(panel).equals(assets_of(stacked))
        target = stacked["D0__lag0"]
        assert check_aligned(panel, target) is None
        with pytest.raises(PanelError, match="another order"):
            check_aligned(panel, target.iloc[::-1])

    def test_a_target_follows_the_rows_that_are_kept(self, pair):
        panel, stacked = pair
        X = ragged()
        pd.testing.assert_series_equal(panel.align(X["D1"]), X["D1"].loc[stacked.index])
        pd.testing.assert_frame_equal(panel.align(X), X.loc[stacked.index])
        mask = np.arange(len(panel)) % 3 == 0
        pd.testing.assert_series_equal(panel[mask].align(X["D1"]), X["D1"].loc[stacked.index[mask]])
        np.testing.assert_array_equal(panel.align(X["D1"].to_numpy()), X["D1"].loc[stacked.index])

    def test_windows_and_scores_are_those_of_the_stacked_frame(self):
        X, y = make_factor_panel(n_dates=18, n_assets=10, n_descriptors=2, entry_exit=0.2, random_state=0)
        panel = LaggedPanel(X, (0, 1))
        stacked, target = stack_lags(X, y, lags=(0, 1))
        cv = WalkForwardSplit(12)
        for mine, theirs in zip(cv.split(panel), cv.split(stacked), strict=True):
            np.testing.assert_array_equal(mine[0], theirs[0])
            np.testing.assert_array_equal(mine[1], theirs[1])
        scores = [
            cross_validate(LinearFactorRegressor(), data, target, cv=cv)["test_score"] for data in (panel, stacked)
        ]
        np.testing.assert_array_equal(*scores)

    def test_values_are_held_once_and_shared(self):
        X = ragged(n_months=120, n_columns=40)
        panel = LaggedPanel(X, (0, 1, 2, 3, 4))
        assert np.shares_memory(panel._values, X.to_numpy())
        assert np.shares_memory(panel[dates_of(panel) > dates_of(panel)[0]]._values, X.to_numpy())
        assert panel.nbytes == X.to_numpy().nbytes + len(panel) * (5 + 1) * 4
        assert panel._rows.dtype == np.int32

    def test_windows_lie_in_memory_as_those_of_the_stacked_frame(self, pair):
        panel, stacked = pair
        rows = [4, 1, 2]
        assert panel.iloc[rows].to_numpy().strides == stacked.iloc[rows].to_numpy().strides
        assert panel.iloc[rows].to_numpy().flags.f_contiguous

    def test_columns_of_several_arrays_are_copied_once_and_the_originals_let_go(self):
        X = ragged().astype({"D1": "float32"})
        panel = LaggedPanel(X, LAGS)
        assert panel._source.shape[1] == 0
        pd.testing.assert_frame_equal(panel.to_frame(), stack_lags(X, lags=LAGS), check_exact=True)
        assert set(panel.to_frame().dtypes) == {np.dtype("float64")}

    @pytest.mark.parametrize("types", [{}, {"D1": "float32"}], ids=["one array", "two arrays"])
    def test_later_changes_of_X_do_not_reach_the_panel_and_those_of_a_window_not_X(self, types):
        if not types and pd.__version__ < "3":
            pytest.skip("pandas 2 shares the values of X with whoever holds them")
        X = ragged().astype(types) if types else ragged()  # astype alone would share the values
        before = X.copy()
        panel = LaggedPanel(X, LAGS)
        frame = panel.to_frame()
        window = panel.iloc[:5]
        window.iloc[:, :] = -7.0
        pd.testing.assert_frame_equal(X, before)
        for row in range(len(X)):  # one cell at a time is written in place where nothing else holds the values
            X.iloc[row, 0] = 9.0
        pd.testing.assert_frame_equal(panel.to_frame(), frame)

    def test_nothing_can_be_set(self, pair):
        panel, _ = pair
        for name in ("index", "columns", "shape", "other"):
            with pytest.raises(AttributeError):
                setattr(panel, name, None)
        panel.attrs["stack_lags"]["n_kept"] = -1
        assert panel.attrs["stack_lags"]["n_kept"] == len(panel)
        with pytest.raises(ValueError, match="read-only"):
            panel._values[0] = 1.0

    def test_it_survives_pickle_and_copy(self, pair):
        panel, stacked = pair
        for other in (pickle.loads(pickle.dumps(panel)), copy.deepcopy(panel)):
            pd.testing.assert_frame_equal(other.to_frame(), stacked, check_exact=True)


class TestValidation:
    def test_it_never_becomes_an_array_by_itself(self, pair):
        panel, _ = pair
        for use in (np.asarray, np.mean, lambda p: LinearFactorRegressor().fit(p, np.ones(len(p)))):
            with pytest.raises(PanelError, match=r"Pass panel.iloc\[rows\], or panel.to_frame\(\) where"):
                use(panel)

    @pytest.mark.parametrize("key", ["D0__lag0", 0, slice(0, 5), [0, 1], ["D0__lag0"], np.ones((2, 2), bool)], ids=str)
    def test_brackets_take_masks_alone(self, pair, key):
        with pytest.raises(PanelError, match=r"indexed by a boolean mask of its rows. Got .*Take rows with panel.iloc"):
            pair[0][key]

    def test_a_list_of_its_rows_is_refused_too(self, pair):
        with pytest.raises(PanelError, match="indexed by a boolean mask"):
            list(pair[0])

    def test_masks_of_other_rows_are_refused(self, pair):
        panel, stacked = pair
        with pytest.raises(PanelError, match="mask must have one value for each row of panel"):
            panel[np.ones(3, dtype=bool)]
        mask = stacked["D0__lag0"] > 0
        pd.testing.assert_frame_equal(panel[mask].to_frame(), stacked[mask])
        with pytest.raises(PanelError, match="another order"):
            panel[mask.iloc[::-1]]

    def test_rows_that_are_not_there_are_refused(self, pair):
        panel, _ = pair
        for key in (len(panel), [0, len(panel)], np.ones(2, dtype=bool)):
            with pytest.raises(IndexError):
                panel.iloc[key]

    def test_columns_are_not_taken_by_position(self, pair):
        with pytest.raises(PanelError, match=r"rows alone. Got rows and columns"):
            pair[0].iloc[0, 1]
        with pytest.raises(PanelError, match="'axis' must be 0"):
            pair[0].take([0], axis=1)

    def test_a_target_of_other_rows_is_refused(self, pair):
        X = ragged()
        with pytest.raises(PanelError, match="another order"):
            pair[0].align(X["D0"].iloc[::-1])
        with pytest.raises(PanelError, match=rf"for each row of X \({len(X)}\)"):
            pair[0].align(X["D0"].iloc[1:])

    def test_what_is_no_panel_is_refused(self):
        X = ragged()
        with pytest.raises(PanelError, match="Got a Series. Make it one"):
            LaggedPanel(X["D0"])
        with pytest.raises(PanelError, match="levels 'date' and 'asset'"):
            LaggedPanel(X.reset_index(drop=True))
        with pytest.raises(PanelError, match=r"'lags' must be distinct integers >= 0, at least one. Got \(1, 1\)"):
            LaggedPanel(X, (1, 1))
        with pytest.raises(PanelError, match=r"all lags \(0, 99\). Got none among 74 rows"):
            LaggedPanel(X, (99, 0))
        with pytest.raises(PanelError, match=r"other columns: 'D1' \(Float64\). Convert"):
            LaggedPanel(X.astype({"D1": "Float64"}), LAGS)
        many = X.assign(**dict.fromkeys("abcde", "text"))
        with pytest.raises(PanelError, match=r"'a' \(.*\), 'b' \(.*\), 'c' \(.*\) and 2 more"):
            LaggedPanel(many, LAGS)
