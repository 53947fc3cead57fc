import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.preprocessing import CrossSectionalWinsorizer


class TestReferenceValues:
    def test_values_beyond_the_quantiles_take_their_value(self):
        X = np.array([[0.0], [1.0], [2.0], [3.0], [100.0], [np.nan]])
        # Level 0.1 of 5 values stands at 0.4 between 0 and 1, level 0.9 at 0.6 between 3 and 100.
        got = CrossSectionalWinsorizer(0.1, 0.9).fit_transform(X).ravel()
        np.testing.assert_allclose(got, [0.4, 1, 2, 3, 61.2, np.nan], rtol=1e-14)

    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.9]), st.floats(0, 0.45), st.floats(0.55, 1))
    def test_values_equal_those_of_pandas_on_ragged_panels(self, make_panel, seed, missing, lower, upper):
        X = make_panel(seed, missing=missing, decimals=seed % 3)
        got = CrossSectionalWinsorizer(lower, upper).fit_transform(X)
        grouped = X.groupby(level="date")
        bounds = [grouped.transform(lambda column, q=q: column.quantile(q)) for q in (lower, upper)]
        expected = X.clip(*bounds)
        pd.testing.assert_frame_equal(got, expected, rtol=1e-12, atol=1e-12)

    def test_counts_tell_how_many_values_were_drawn_in(self, make_panel):
        X = make_panel(1)
        out = CrossSectionalWinsorizer(0.2, 0.8).fit_transform(X)
        expected = ((out != X) & X.notna()).sum()
        assert out.attrs["n_clipped"] == expected.to_dict()
        assert expected.min() > 0


class TestProperties:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_open_ends_constants_and_single_values_change_nothing(self, make_panel, dtype):
        X = make_panel(2).astype(dtype)
        out = CrossSectionalWinsorizer(0.0, 1.0).fit_transform(X)
        pd.testing.assert_frame_equal(out, X, check_exact=True)
        assert set(out.attrs["n_clipped"].values()) == {0}
        flat = pd.DataFrame({"CAP": np.full(9, 0.1, dtype=dtype)}, index=pd.Index([1] * 8 + [2], name="date"))
        out = CrossSectionalWinsorizer(0.3, 0.4).fit_transform(flat)
        pd.testing.assert_frame_equal(out, flat, check_exact=True)
        assert out.attrs["n_clipped"] == {"CAP": 0}

    def test_missing_values_stay_missing(self, make_panel):
        X = make_panel(3)
        out = CrossSectionalWinsorizer(0.3, 0.6).fit_transform(X)
        assert out.isna().equals(X.isna())

    def test_sign_turns_with_the_levels(self, make_panel):
        X = make_panel(4)
        got = -CrossSectionalWinsorizer(0.25, 1.0).fit_transform(-X)
        pd.testing.assert_frame_equal(got, CrossSectionalWinsorizer(0.0, 0.75).fit_transform(X), rtol=1e-13)

    def test_distance_of_large_values_does_not_overflow(self):
        X = np.array([[-1.7e308], [1.7e308]])
        got = CrossSectionalWinsorizer(0.25, 0.75).fit_transform(X).ravel()
        np.testing.assert_allclose(got, [-0.85e308, 0.85e308], rtol=1e-14)


class TestValidation:
    @pytest.mark.parametrize(("lower", "upper"), [(0.9, 0.1), (0.5, 0.5)])
    def test_crossed_levels_are_refused(self, lower, upper):
        winsorizer = CrossSectionalWinsorizer(lower, upper)
        for method in (winsorizer.fit, winsorizer.transform):
            with pytest.raises(ValueError, match=f"must be below 'upper'. Got lower={lower} and upper={upper}"):
                method(np.ones((3, 1)))
