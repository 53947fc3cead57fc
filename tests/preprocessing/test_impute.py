import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning
from skdrfm.preprocessing import CrossSectionalImputer


def literal(X, strategy, industry=None):
    if strategy == "zero":
        return X.fillna(0.0)
    of_date = X.groupby(level="date").transform(strategy)
    if industry is None:
        return X.fillna(of_date)
    of_row = industry[X.index.get_level_values("asset")].to_numpy()
    of_industry = X.groupby([X.index.get_level_values("date"), of_row]).transform(strategy)
    return X.fillna(of_industry).fillna(of_date)


def quietly(transformer, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return transformer.fit_transform(X)


class TestReferenceValues:
    @pytest.mark.parametrize(("strategy", "value"), [("median", 2.5), ("mean", 4.0), ("zero", 0.0)])
    def test_statistic_of_the_known_values_is_put(self, strategy, value):
        X = np.array([[1.0], [np.nan], [2.0], [10.0], [3.0]])
        got = CrossSectionalImputer(strategy).fit_transform(X).ravel()
        np.testing.assert_array_equal(got, [1, value, 2, 10, 3])

    @settings(max_examples=25)
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from(["median", "mean", "zero"]),
        st.sampled_from([0.2, 0.6, 0.95]),
        st.booleans(),
    )
    def test_values_equal_those_of_pandas_on_ragged_panels(self, make_panel, by_asset, seed, strategy, missing, within):
        X = make_panel(seed, missing=missing)
        industry = by_asset[0] if within else None
        got = quietly(CrossSectionalImputer(strategy, industry=industry), X)
        expected = literal(X, strategy, industry)
        pd.testing.assert_frame_equal(got, expected, rtol=1e-12, atol=1e-12)
        assert got.attrs["n_missing_filled_by_column"] == (X.isna() & got.notna()).sum().to_dict()
        assert got.attrs["n_missing_filled"] == int((X.isna() & got.notna()).sum().sum())
        assert got.attrs["n_missing_left"] == got.isna().sum().to_dict()

    def test_industry_without_values_takes_those_of_the_date_and_is_counted(self):
        index = pd.Index(list("ABCDE"), name="asset")
        X = pd.DataFrame({"ROE": [1.0, np.nan, 5.0, np.nan, np.nan]}, index=index)
        industry = pd.Series(["b", "b", "m", "s", "s"], index=index)
        out = CrossSectionalImputer("mean", industry=industry).fit_transform(X)
        assert out["ROE"].tolist() == [1, 1, 5, 3, 3]
        assert out.attrs["n_missing_filled"] == 3
        assert out.attrs["n_filled_from_date"] == {"ROE": 2}


class TestProperties:
    def test_known_values_are_never_touched(self, make_panel):
        X = make_panel(1)
        out = quietly(CrossSectionalImputer(), X)
        pd.testing.assert_frame_equal(out.where(X.notna()), X, check_exact=True)

    def test_float32_is_filled_with_float32(self):
        X = np.array([[0.1], [0.2], [np.nan]], dtype=np.float32)
        out = CrossSectionalImputer("mean").fit_transform(X)
        assert out.dtype == np.float32
        assert out[2, 0] == np.float32((np.float64(X[0, 0]) + np.float64(X[1, 0])) / 2)


class TestValidation:
    def test_dates_without_any_value_stay_missing_are_counted_and_warned_of_once(self):
        dates = pd.Index([1, 1, 2, 2, 3, 3], name="date")
        X = pd.DataFrame({"ROE": [1, np.nan, np.nan, np.nan, np.nan, np.nan], "CAP": [1.0, 2, 3, 4, 5, 6]}, index=dates)
        message = r"leaves 4 values NaN in 1 of 2 columns: on 2 \(date, column\) pairs"
        with pytest.warns(CoverageWarning, match=message) as caught:
            out = CrossSectionalImputer().fit(X).transform(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert out.attrs["n_missing_left"] == {"ROE": 4, "CAP": 0}
        assert set(out.attrs) == {
            "n_missing_filled",
            "n_missing_filled_by_column",
            "n_filled_from_date",
            "n_missing_left",
        }
        np.testing.assert_array_equal(out["ROE"], [1, 1] + 4 * [np.nan])

    def test_zero_needs_no_value_and_gives_no_warning(self):
        out = CrossSectionalImputer("zero").fit_transform(np.full((3, 1), np.nan))
        np.testing.assert_array_equal(out, np.zeros((3, 1)))
