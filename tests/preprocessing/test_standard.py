import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from skdrfm.preprocessing import CrossSectionalStandardScaler


def literal(X, weight, ddof):
    """One column of one date after the other, with pandas."""
    out = X.copy()
    for _, rows in X.groupby(level="date"):
        w = weight[rows.index.get_level_values("asset")].to_numpy()
        for name, column in rows.items():
            known = column.notna().to_numpy()
            mean = np.average(column[known], weights=w[known]) if known.any() else np.nan
            std = column.std(ddof=ddof)
            flat = column.nunique() <= 1
            out.loc[rows.index, name] = (column - mean) / std if not flat else column.where(~known, 0.0)
    return out


class TestReferenceValues:
    def test_scores_by_hand(self):
        X = np.array([[1.0], [2.0], [3.0], [np.nan]])
        np.testing.assert_array_equal(CrossSectionalStandardScaler().fit_transform(X).ravel(), [-1, 0, 1, np.nan])
        got = CrossSectionalStandardScaler(ddof=0).fit_transform(X).ravel()
        np.testing.assert_allclose(got, [-np.sqrt(1.5), 0, np.sqrt(1.5), np.nan], rtol=1e-15)

    def test_weight_moves_the_mean_and_leaves_the_unit(self):
        index = pd.Index(["A", "B", "C"], name="asset")
        X = pd.DataFrame({"CAP": [1.0, 2.0, 3.0]}, index=index)
        weight = pd.Series({"A": 1.0, "B": 1.0, "C": 2.0})
        got = CrossSectionalStandardScaler(weight=weight).fit_transform(X)["CAP"]
        np.testing.assert_allclose(got, [-1.25, -0.25, 0.75], rtol=1e-15)

    def test_without_dates_it_is_the_scaler_of_scikit_learn(self):
        X = np.random.default_rng(0).standard_normal((50, 4)) + 7
        expected = StandardScaler().fit_transform(X)
        np.testing.assert_allclose(CrossSectionalStandardScaler(ddof=0).fit_transform(X), expected, atol=1e-13)

    @settings(max_examples=15)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([0, 1]), st.booleans())
    def test_scores_equal_literal_ones_on_ragged_panels(self, make_panel, by_asset, seed, missing, ddof, weighted):
        X = make_panel(seed, missing=missing)
        weight = by_asset[1] if weighted else None
        got = CrossSectionalStandardScaler(weight=weight, ddof=ddof).fit_transform(X)
        expected = literal(X, by_asset[1] if weighted else by_asset[1] * 0 + 1, ddof)
        pd.testing.assert_frame_equal(got, expected, rtol=1e-12, atol=1e-12)


class TestProperties:
    @pytest.mark.parametrize("value", [0.1, 1e300, -1e-300, 0.0])
    def test_constant_and_single_values_get_exactly_zero(self, value):
        X = np.array([[value]] * 7 + [[np.nan]])
        got = CrossSectionalStandardScaler().fit_transform(X, groups=[1] * 6 + [2, 1])
        np.testing.assert_array_equal(got.ravel(), [0.0] * 7 + [np.nan])

    @pytest.mark.parametrize("unit", [2.0**-600, 2.0**900])
    def test_unit_of_a_descriptor_has_no_effect_however_extreme(self, unit):
        X = np.random.default_rng(1).standard_normal((20, 2))
        expected = CrossSectionalStandardScaler().fit_transform(X)
        np.testing.assert_array_equal(CrossSectionalStandardScaler().fit_transform(X * unit), expected)

    def test_sum_of_large_values_does_not_overflow(self):
        X = np.array([[8e307], [8e307], [8e307], [4e307]])
        got = CrossSectionalStandardScaler().fit_transform(X).ravel()
        np.testing.assert_allclose(got, [0.5, 0.5, 0.5, -1.5], rtol=1e-12)

    def test_weighted_mean_is_zero_and_deviation_one(self, make_panel, by_asset):
        X = make_panel(3, missing=0.1)
        weight = by_asset[1]
        out = CrossSectionalStandardScaler(weight=weight).fit_transform(X)
        w = weight[X.index.get_level_values("asset")].to_numpy()[:, None]
        enough = X.groupby(level="date").count() > 1
        sums = (out * w).groupby(level="date").sum()
        np.testing.assert_allclose(sums, 0, atol=1e-12)
        std = out.groupby(level="date").std().to_numpy()[enough.to_numpy()]
        np.testing.assert_allclose(std, 1, rtol=1e-12)

    def test_unit_of_the_weights_has_no_effect(self, make_panel, by_asset):
        X = make_panel(4)
        expected = CrossSectionalStandardScaler(weight=by_asset[1]).fit_transform(X)
        got = CrossSectionalStandardScaler(weight=by_asset[1] * 2.0**80).fit_transform(X)
        pd.testing.assert_frame_equal(got, expected, check_exact=True)

    def test_zero_fills_and_counts_what_keep_leaves(self, make_panel):
        X = make_panel(5)
        kept = CrossSectionalStandardScaler().fit_transform(X)
        filled = CrossSectionalStandardScaler(missing="zero").fit_transform(X)
        pd.testing.assert_frame_equal(filled, kept.fillna(0.0), check_exact=True)
        assert filled.attrs["n_missing_filled"] == int(X.isna().sum().sum()) > 0
        assert kept.attrs["n_missing_filled"] == 0
