import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.preprocessing import CrossSectionalRankScaler
from skdrfm.preprocessing._rank import scaled_ranks
from skdrfm.utils._ties import tie_blocks
from skdrfm.utils.estimator_checks import iter_panel_checks


def expected_failures(estimator):
    return {"check_methods_subset_invariance": ("a cross-sectional statistic depends on the other assets of its date")}


@estimator_checks.parametrize_with_checks(
    [CrossSectionalRankScaler(missing=missing) for missing in ("keep", "zero", "raise")],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_contract_holds(estimator, check):
    check(estimator)


@pytest.mark.parametrize("missing", ["keep", "zero", "raise"])
@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in iter_panel_checks(CrossSectionalRankScaler())])
def test_panel_contract_holds(check, missing):
    check(CrossSectionalRankScaler(missing=missing))


def ragged_panel(seed, n_dates=7, n_assets=9, n_columns=3, n_levels=4, missing=0.2):
    """Rows in random order, many ties, missing values, dates with different assets."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2010-01", periods=n_dates, freq="ME"), [f"A{i}" for i in range(n_assets)]],
        names=["date", "asset"],
    )
    index = index[rng.permutation(len(index))[: rng.integers(1, len(index) + 1)]]
    values = rng.integers(-n_levels, n_levels, size=(len(index), n_columns)).astype(float)
    values[rng.random(values.shape) < missing] = np.nan
    return pd.DataFrame(values, index=index, columns=[f"c{j}" for j in range(n_columns)])


def by_pandas(X):
    grouped = X.groupby(level="date")
    n = grouped.transform("count")
    scaled = 2 * (grouped.rank(method="average") - 1) / (n - 1) - 1
    return scaled.where(n != 1, 0.0).where(X.notna())


class TestReferenceValues:
    def test_smallest_is_minus_one_median_zero_and_largest_one(self):
        X = np.array([[3.0], [10.0], [-5.0], [4.0], [100.0]])
        scaled = CrossSectionalRankScaler().fit_transform(X)
        np.testing.assert_array_equal(scaled.ravel(), [-0.5, 0.5, -1.0, 0.0, 1.0])

    def test_ties_share_their_average_rank(self):
        scaled = CrossSectionalRankScaler().fit_transform(np.array([[1.0], [2.0], [2.0], [2.0], [3.0]]))
        np.testing.assert_array_equal(scaled.ravel(), [-1.0, 0.0, 0.0, 0.0, 1.0])

    def test_a_single_value_on_a_date_gets_the_neutral_rank(self):
        X = np.array([[4.0], [np.nan], [2.0]])
        scaled = CrossSectionalRankScaler().fit_transform(X, groups=[1, 1, 2])
        np.testing.assert_array_equal(scaled.ravel(), [0.0, np.nan, 0.0])

    def test_missing_values_do_not_count_as_members_of_the_cross_section(self):
        X = np.array([[1.0], [np.nan], [3.0], [2.0]])
        scaled = CrossSectionalRankScaler().fit_transform(X)
        np.testing.assert_array_equal(scaled.ravel(), [-1.0, np.nan, 1.0, 0.0])

    def test_negative_and_positive_zero_are_tied(self):
        scaled = CrossSectionalRankScaler().fit_transform(np.array([[0.0], [-0.0], [1.0]]))
        np.testing.assert_array_equal(scaled.ravel(), [-0.5, -0.5, 1.0])

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.95]))
    def test_ranks_equal_those_of_pandas_on_ragged_panels(self, seed, missing):
        X = ragged_panel(seed, missing=missing)
        scaled = CrossSectionalRankScaler().fit_transform(X)
        pd.testing.assert_frame_equal(scaled, by_pandas(X), rtol=0, atol=1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n_names", [1, 2, 3, 700, 40_000])
    def test_scaled_ranks_are_those_of_tie_blocks_bit_for_bit(self, dtype, n_names):
        rng = np.random.default_rng(n_names)
        kinds = [
            rng.standard_normal(n_names),
            rng.integers(-3, 3, n_names).astype(float),
            rng.standard_normal(n_names) * 10.0 ** rng.integers(-300, 300, n_names),
            np.where(rng.random(n_names) < 0.5, 0.0, -0.0),
            np.full(n_names, np.nan),
        ]
        with np.errstate(over="ignore"):
            values = np.array(kinds).astype(dtype)
        values[np.isinf(values)] = 3e38
        values[:, rng.random(n_names) < 0.1] = np.nan
        expected = np.full(values.shape, np.nan, dtype=dtype)
        for row, out in zip(values, expected, strict=True):
            known = ~np.isnan(row)
            below, size = tie_blocks(row[known], np.zeros(known.sum(), dtype=np.intp))
            span = known.sum() - 1
            out[known] = (2 * below + size - 1 - span) / max(span, 1)
        np.testing.assert_array_equal(scaled_ranks(values), expected)

    def test_values_that_differ_in_their_last_bits_alone_are_told_apart(self):
        steps = np.random.default_rng(0).permutation(100)
        close = np.concatenate([value + steps * np.spacing(value) for value in (-1.0, 1.0, 1e300, 0.0)])
        values = np.array([close, np.sort(close), close.round(3)])
        expected = pd.DataFrame(values.T).rank().to_numpy().T
        expected = (2 * (expected - 1) - 399) / 399
        np.testing.assert_array_equal(scaled_ranks(values), expected)


class TestProperties:
    def test_reversing_the_sign_reverses_the_ranks_exactly(self):
        X = ragged_panel(1)
        scaler = CrossSectionalRankScaler()
        pd.testing.assert_frame_equal(scaler.fit_transform(-X), -scaler.fit_transform(X) + 0.0)

    def test_a_monotone_transformation_of_the_values_changes_nothing(self):
        X = ragged_panel(2)
        scaler = CrossSectionalRankScaler()
        pd.testing.assert_frame_equal(scaler.fit_transform(np.exp(X)), scaler.fit_transform(X))

    def test_groups_give_the_same_as_the_date_level(self):
        X = ragged_panel(3)
        expected = CrossSectionalRankScaler().fit_transform(X).to_numpy()
        dates = X.index.get_level_values("date")
        for groups in (dates, dates.to_numpy(), list(dates.astype(str)), dates.to_series()):
            got = CrossSectionalRankScaler().fit_transform(X.to_numpy(), groups=groups)
            np.testing.assert_array_equal(got, expected)
            plain = X.reset_index(drop=True)
            got = CrossSectionalRankScaler().fit(plain, groups=groups).transform(plain, groups=groups)
            np.testing.assert_array_equal(got.to_numpy(), expected)

    def test_level_order_and_unused_dates_of_the_index_do_not_matter(self):
        X = ragged_panel(4)
        expected = CrossSectionalRankScaler().fit_transform(X)
        swapped = CrossSectionalRankScaler().fit_transform(X.swaplevel())
        np.testing.assert_array_equal(swapped, expected)
        first = X.index.get_level_values("date") == X.index.get_level_values("date").min()
        part = CrossSectionalRankScaler().fit_transform(X[~first])
        np.testing.assert_array_equal(part, expected[~first])

    def test_single_index_of_dates_is_read_as_dates(self):
        X = ragged_panel(5)
        expected = CrossSectionalRankScaler().fit_transform(X)
        got = CrossSectionalRankScaler().fit_transform(X.droplevel("asset"))
        np.testing.assert_array_equal(got, expected)

    def test_zero_fills_and_counts_what_keep_leaves(self):
        X = ragged_panel(6)
        kept = CrossSectionalRankScaler().fit_transform(X)
        scaler = CrossSectionalRankScaler(missing="zero")
        filled = scaler.fit_transform(X)
        pd.testing.assert_frame_equal(filled, kept.fillna(0.0))
        assert filled.attrs["n_missing_filled"] == int(X.isna().sum().sum()) > 0
        assert kept.attrs["n_missing_filled"] == 0
        pd.testing.assert_series_equal(scaler.n_missing_, X.isna().sum())
        np.testing.assert_array_equal(scaler.fit(X.to_numpy()).n_missing_, X.isna().sum())

    def test_attributes_of_the_frame_are_kept_and_not_shared(self):
        X = ragged_panel(7)
        X.attrs["source"] = "simulated"
        scaled = CrossSectionalRankScaler().fit_transform(X)
        assert scaled.attrs["source"] == "simulated"
        assert X.attrs == {"source": "simulated"}

    def test_fit_is_not_needed_and_clone_and_pickle_keep_the_result(self):
        X = ragged_panel(8)
        scaler = CrossSectionalRankScaler(missing="zero")
        expected = scaler.fit_transform(X)
        pd.testing.assert_frame_equal(clone(scaler).transform(X), expected)
        pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(scaler)).transform(X), expected)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_float_width_is_preserved(self, dtype):
        X = ragged_panel(9).astype(dtype)
        assert set(CrossSectionalRankScaler().fit_transform(X).dtypes) == {np.dtype(dtype)}
        assert CrossSectionalRankScaler().fit_transform(X.to_numpy()).dtype == dtype

    def test_integers_and_nullable_columns_become_float64(self):
        X = pd.DataFrame({"a": pd.array([1, 2, None], dtype="Int64"), "b": [3, 1, 2]})
        scaled = CrossSectionalRankScaler().fit_transform(X)
        np.testing.assert_array_equal(scaled["a"], [-1.0, 1.0, np.nan])
        np.testing.assert_array_equal(scaled["b"], [1.0, -1.0, 0.0])

    def test_index_travels_through_a_pipeline(self):
        X = ragged_panel(10)
        pipe = make_pipeline(CrossSectionalRankScaler(), CrossSectionalRankScaler(missing="zero"))
        twice = pipe.fit_transform(X)
        assert twice.index.equals(X.index)
        # Ranks of ranks are the same ranks.
        pd.testing.assert_frame_equal(twice, CrossSectionalRankScaler().fit_transform(X).fillna(0.0))

    def test_set_output_gives_named_columns_for_arrays(self):
        scaler = CrossSectionalRankScaler().set_output(transform="pandas")
        frame = scaler.fit_transform(np.array([[1.0, 2.0], [3.0, 0.0]]))
        assert list(frame.columns) == ["x0", "x1"]
        X = ragged_panel(11)
        frame = scaler.fit_transform(X)
        assert frame.index.equals(X.index)
        assert list(scaler.get_feature_names_out()) == list(X.columns)

    def test_groups_are_routed_to_both_methods(self):
        X = ragged_panel(12)
        dates = X.index.get_level_values("date").to_numpy()
        with config_context(enable_metadata_routing=True):
            scaler = CrossSectionalRankScaler().set_fit_request(groups=True)
            pipe = make_pipeline(scaler.set_transform_request(groups=True))
            got = pipe.fit(X.to_numpy(), groups=dates).transform(X.to_numpy(), groups=dates)
        np.testing.assert_array_equal(got, CrossSectionalRankScaler().fit_transform(X))


class TestValidation:
    def test_unknown_way_with_missing_values_is_refused(self):
        with pytest.raises(InvalidParameterError, match="'missing' parameter"):
            CrossSectionalRankScaler(missing="drop").fit(np.ones((2, 1)))

    @pytest.mark.parametrize("missing", ["keep", "zero", "raise"])
    def test_infinity_is_refused_with_its_column(self, missing):
        X = pd.DataFrame({"CAP": [1.0, 2.0], "BETA": [np.inf, -np.inf]})
        scaler = CrossSectionalRankScaler(missing=missing)
        for method in (scaler.fit, scaler.transform):
            with pytest.raises(NonFiniteError, match=r"infinity \(inf\): 2 in 'BETA'\. Replace"):
                method(X)

    def test_nan_is_refused_where_asked_for(self):
        X = pd.DataFrame({"CAP": [1.0, np.nan]})
        with pytest.raises(NonFiniteError, match="NaN: 1 in 'CAP'"):
            CrossSectionalRankScaler(missing="raise").fit(X)

    def test_misnamed_dates_are_refused_instead_of_ranking_over_time(self):
        X = ragged_panel(13)
        with pytest.raises(PanelError, match="level named 'date' \\(found: 'month', 'permno'\\)"):
            CrossSectionalRankScaler().fit(X.rename_axis(["month", "permno"]))
        with pytest.raises(PanelError, match="level named 'date'"):
            CrossSectionalRankScaler().transform(X.droplevel("asset").rename_axis("month"))

    def test_duplicate_rows_are_refused(self):
        X = ragged_panel(14)
        with pytest.raises(PanelError, match="duplicate"):
            CrossSectionalRankScaler().fit(pd.concat([X, X.iloc[:1]]))

    @pytest.mark.parametrize("groups", [[1], [[1], [1], [1]], [1, 2, 3, 4], 5])
    def test_groups_of_another_shape_are_refused(self, groups):
        with pytest.raises(PanelError, match="one date for each row of X, shape"):
            CrossSectionalRankScaler().fit(np.ones((3, 1)), groups=groups)

    def test_groups_without_a_date_are_refused(self):
        with pytest.raises(PanelError, match="Got 1 rows without one"):
            CrossSectionalRankScaler().fit(np.ones((2, 1)), groups=[np.datetime64("NaT"), "2010-01"])

    def test_columns_must_be_those_of_fit(self):
        scaler = CrossSectionalRankScaler().fit(ragged_panel(15))
        with pytest.raises(ValueError, match="feature names"):
            scaler.transform(ragged_panel(15).rename(columns={"c0": "other"}))
