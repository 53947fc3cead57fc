import datetime
import random

import numpy as np
import pandas as pd
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.datasets import make_factor_panel
from skdrfm.datasets._factor_panel import _generators
from skdrfm.descriptors import DESCRIPTORS, GROUPS
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index, stack_lags


def rank_ic(a, b):
    """Mean over dates of the rank correlation."""
    ranks = [s.groupby(level="date").rank() for s in (a, b)]
    centred = [r - r.groupby(level="date").transform("mean") for r in ranks]
    sums = [
        (u * v).groupby(level="date").sum()
        for u, v in ((centred[0], centred[1]), (centred[0], centred[0]), (centred[1], centred[1]))
    ]
    return float((sums[0] / np.sqrt(sums[1] * sums[2])).mean())


def life_of_assets(X):
    """First date, last date and number of rows of each asset, as positions."""
    dates = X.index.get_level_values("date")
    positions = pd.Series(dates.unique().sort_values().get_indexer(dates), index=X.index)
    return positions.groupby(level="asset").agg(["min", "max", "size"])


class TestReferenceValues:
    def test_rows_are_month_ends_and_assets_and_columns_the_descriptors_of_the_paper(self):
        X, y = make_factor_panel(n_dates=14, n_assets=12, start="2001-11", random_state=0)
        assert X.shape == (14 * 12, 16)
        assert tuple(X.columns) == DESCRIPTORS
        assert set(X.columns) == {name for names in GROUPS.values() for name in names}
        check_panel_index(X)
        assert y.index.equals(X.index)
        assert y.name == "forward_return"
        dates = X.index.get_level_values("date").unique()
        assert list(dates[[0, 3, 13]]) == [pd.Timestamp(d) for d in ("2001-11-30", "2002-02-28", "2002-12-31")]
        assert X.index.is_monotonic_increasing
        assert X.index.get_level_values("asset")[0] == "A01"

    @pytest.mark.parametrize(("n_descriptors", "last"), [(1, "60VOL"), (5, "ROA"), (16, "ILLIQ"), (18, "X18")])
    def test_further_descriptors_are_numbered(self, n_descriptors, last):
        X, _ = make_factor_panel(3, 4, n_descriptors=n_descriptors, random_state=0)
        assert X.shape[1] == n_descriptors
        assert X.columns[-1] == last

    @pytest.mark.parametrize("start", ["2001-11", "2001-11-30", datetime.date(2001, 11, 3), pd.Period("2001-11", "M")])
    def test_the_first_month_may_be_given_in_several_ways(self, start):
        X, _ = make_factor_panel(2, 3, start=start, random_state=0)
        assert X.index[0][0] == pd.Timestamp("2001-11-30")


class TestTruth:
    @pytest.mark.parametrize("n_descriptors", [1, 2, 7, 16, 20])
    @pytest.mark.parametrize(("nonlinearity", "regimes"), [(0.0, 1), (0.5, 2), (1.0, 3)])
    def test_loadings_times_lagged_characteristics_are_the_expected_return(self, n_descriptors, nonlinearity, regimes):
        X, _, truth = make_factor_panel(
            40,
            15,
            n_descriptors=n_descriptors,
            nonlinearity=nonlinearity,
            regimes=regimes,
            entry_exit=0.5,
            random_state=3,
            return_truth=True,
        )
        explained = (truth.loadings.to_numpy() * truth.lagged.to_numpy()).sum(axis=1)
        np.testing.assert_allclose(truth.expected_return, explained, rtol=0, atol=1e-16)
        assert truth.expected_return.index.equals(X.index)
        assert truth.loadings.index.equals(X.index)
        assert list(truth.loadings.columns) == list(truth.lagged.columns)
        lags = {int(column.split("__lag")[1]) for column in truth.loadings.columns}
        assert 0 in lags
        assert lags & {3, 12}
        assert {column.split("__lag")[0] for column in truth.loadings.columns} <= set(X.columns)

    def test_lagged_characteristics_are_those_of_the_same_asset_in_earlier_months(self):
        X, _, truth = make_factor_panel(30, 10, random_state=4, return_truth=True)
        lags = sorted({int(c.split("__lag")[1]) for c in truth.lagged.columns})
        stacked = stack_lags(X, lags=lags)
        pd.testing.assert_frame_equal(truth.lagged.loc[stacked.index], stacked[truth.lagged.columns], check_names=False)
        assert truth.lagged.notna().all(axis=None)

    @pytest.mark.parametrize("n_descriptors", [2, 16])
    def test_without_nonlinearity_loadings_are_constant_within_a_regime(self, n_descriptors):
        X, _, truth = make_factor_panel(
            150,
            5,
            n_descriptors=n_descriptors,
            nonlinearity=0.0,
            regimes=3,
            random_state=0,
            return_truth=True,
        )
        assert set(truth.regime) == {0, 1, 2}
        by_row = truth.regime.reindex(X.index.get_level_values("date")).to_numpy()
        distinct = truth.loadings.groupby(by_row).nunique()
        assert (distinct == 1).all(axis=None)
        assert (truth.loadings.nunique() == 3).any()

    def test_nonlinearity_makes_loadings_differ_between_assets_of_a_date(self):
        shares = []
        for nonlinearity in (0.25, 1.0):
            *_, truth = make_factor_panel(
                10, 50, nonlinearity=nonlinearity, regimes=1, random_state=0, return_truth=True
            )
            spread = truth.loadings.groupby(level="date").std().mean()
            assert (spread > 0).all()
            shares.append(spread)
        # The non-linear part has weight `nonlinearity`, for the same draws.
        np.testing.assert_allclose(shares[1], 4 * shares[0], rtol=1e-10)

    def test_one_regime_is_constant_in_time(self):
        *_, truth = make_factor_panel(60, 3, nonlinearity=0.0, regimes=1, random_state=0, return_truth=True)
        assert (truth.loadings.nunique() == 1).all()
        assert set(truth.regime) == {0}

    def test_regimes_persist_and_all_occur(self):
        *_, truth = make_factor_panel(2000, 1, regimes=4, random_state=0, return_truth=True)
        changes = (truth.regime.diff().dropna() != 0).mean()
        assert 0.025 < changes < 0.055
        assert truth.regime.value_counts(normalize=True).min() > 0.1

    def test_returns_are_made_of_expected_return_market_and_noise(self):
        X, y, truth = make_factor_panel(24, 20, noise=0.0, random_state=0, return_truth=True)
        market = truth.market.reindex(X.index.get_level_values("date")).to_numpy()
        np.testing.assert_allclose(y, (1 + truth.expected_return) * (1 + market) - 1, atol=1e-14)

    def test_truth_is_read_only(self):
        *_, truth = make_factor_panel(3, 3, random_state=0, return_truth=True)
        with pytest.raises(AttributeError):
            truth.regime = None
        for part in (truth.loadings, truth.lagged, truth.characteristics, truth.regime):
            assert not part.to_numpy().flags.writeable

    @pytest.mark.parametrize("n_descriptors", [2, 6, 16])
    def test_the_truth_ranks_returns_well_enough_for_short_tests(self, n_descriptors):
        _, y, truth = make_factor_panel(120, 150, n_descriptors=n_descriptors, random_state=0, return_truth=True)
        assert 0.10 < rank_ic(truth.expected_return, y) < 0.20

    def test_shocks_have_no_relation_to_the_truth(self):
        X, y, truth = make_factor_panel(150, 150, random_state=1, return_truth=True)
        market = truth.market.reindex(X.index.get_level_values("date")).to_numpy()
        shock = (1 + y) / ((1 + truth.expected_return) * (1 + market)) - 1
        # 22,500 rows: the standard error of a correlation is 0.0067.
        assert abs(rank_ic(truth.expected_return, shock)) < 0.025
        assert abs(shock.mean()) < 4 * 0.09 / np.sqrt(len(y))


class TestProperties:
    def test_returns_have_a_realistic_size_and_a_common_market(self):
        _, y = make_factor_panel(120, 100, random_state=0)
        by_date = y.groupby(level="date")
        assert 0.08 < by_date.std().mean() < 0.10
        assert 0.03 < by_date.mean().std() < 0.06
        assert y.min() > -1

    def test_noise_sets_the_cross_sectional_spread(self):
        quiet, loud = (
            make_factor_panel(24, 200, noise=noise, random_state=0)[1].groupby(level="date").std().mean()
            for noise in (0.05, 0.2)
        )
        assert quiet == pytest.approx(0.0525, rel=0.1)
        assert loud == pytest.approx(0.205, rel=0.1)

    def test_cross_sections_are_standard_normal(self):
        X, _ = make_factor_panel(30, 1000, random_state=0)
        by_date = X.groupby(level="date")
        assert by_date.mean().abs().max(axis=None) < 0.16
        assert (by_date.std() - 1).abs().max(axis=None) < 0.12

    def test_reversal_is_quick_and_size_and_leverage_are_slow(self):
        X, _ = make_factor_panel(240, 60, random_state=0)
        wide = X.unstack("asset")
        persistence = {
            name: np.corrcoef(wide[name].iloc[1:].to_numpy().ravel(), wide[name].iloc[:-1].to_numpy().ravel())[0, 1]
            for name in X.columns
        }
        assert persistence["1MOM"] < 0.15
        assert 0.7 < persistence["12-1MOM"] < 0.85
        assert min(persistence["CAP"], persistence["LEVERAGE"]) > 0.97

    def test_the_same_seed_gives_the_same_panel_and_another_seed_another(self):
        first, second, other = (
            make_factor_panel(30, 8, missing=0.1, entry_exit=0.5, random_state=seed)
            for seed in (7, np.random.RandomState(7), 8)
        )
        pd.testing.assert_frame_equal(first[0], second[0])
        pd.testing.assert_series_equal(first[1], second[1])
        assert not first[1].reindex(other[1].index).equals(other[1])
        assert not np.array_equal(make_factor_panel(2, 2)[1].to_numpy(), make_factor_panel(2, 2)[1].to_numpy())

    @pytest.mark.parametrize("seed", [None, 0])
    def test_parts_draw_from_generators_of_their_own(self, seed):
        assert len({generator.random() for generator in _generators(seed)}) == 5

    @pytest.mark.parametrize("seed", [None, 0])
    def test_global_random_state_is_left_alone(self, seed):
        before = np.random.get_state(), random.getstate()  # noqa: NPY002
        make_factor_panel(26, 4, missing=0.1, entry_exit=1.0, random_state=seed)
        after = np.random.get_state(), random.getstate()  # noqa: NPY002
        np.testing.assert_array_equal(before[0][1], after[0][1])
        assert before[0][2:] == after[0][2:]
        assert before[1] == after[1]

    def test_a_longer_panel_begins_as_the_shorter_one(self):
        options = {"missing": 0.2, "regimes": 3, "random_state": 5}
        X, y = make_factor_panel(20, 6, **options)
        longer_X, longer_y = make_factor_panel(50, 6, **options)
        pd.testing.assert_frame_equal(longer_X.loc[X.index], X)
        pd.testing.assert_series_equal(longer_y.loc[y.index], y)

    def test_missing_values_change_neither_returns_nor_other_cells(self):
        options = {"n_dates": 40, "n_assets": 50, "random_state": 2}
        whole, y = make_factor_panel(**options)
        X, same, truth = make_factor_panel(**options, missing=0.1, return_truth=True)
        pd.testing.assert_series_equal(same, y)
        assert X.isna().mean(axis=None) == pytest.approx(0.1, abs=0.01)
        pd.testing.assert_frame_equal(X.fillna(whole), whole)
        pd.testing.assert_frame_equal(truth.characteristics, whole)

    def test_lives_are_contiguous_and_long_enough(self):
        X, _ = make_factor_panel(60, 100, entry_exit=0.4, random_state=0)
        lives = life_of_assets(X)
        assert len(lives) == 100
        assert (lives["size"] == lives["max"] - lives["min"] + 1).all()
        assert lives["size"].min() >= 24
        enters, leaves = lives["min"] > 0, lives["max"] < 59
        assert (int(enters.sum()), int(leaves.sum())) == (20, 20)
        assert not (enters & leaves).any()

    def test_values_of_rows_that_stay_are_those_of_the_whole_panel(self):
        X, y = make_factor_panel(60, 20, random_state=1)
        part, y_part = make_factor_panel(60, 20, entry_exit=1.0, random_state=1)
        assert len(part) < len(X)
        pd.testing.assert_frame_equal(X.loc[part.index], part)
        pd.testing.assert_series_equal(y.loc[y_part.index], y_part)

    @pytest.mark.parametrize("n_assets", [1, 2, 10])
    def test_at_least_one_asset_lives_through(self, n_assets):
        X, _ = make_factor_panel(80, n_assets, entry_exit=1.0, random_state=0)
        assert (life_of_assets(X)["size"] == 80).sum() == 1

    def test_panels_shorter_than_a_life_have_neither_entry_nor_exit(self):
        X, _ = make_factor_panel(24, 10, entry_exit=1.0, random_state=0)
        assert len(X) == 240


class TestValidation:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("n_dates", 0),
            ("n_assets", 1.5),
            ("n_descriptors", 0),
            ("nonlinearity", -0.1),
            ("nonlinearity", 1.1),
            ("regimes", 0),
            ("missing", 1.0),
            ("entry_exit", 2),
            ("noise", -0.01),
            ("start", 200001),
            ("random_state", "seed"),
            ("return_truth", "yes"),
        ],
    )
    def test_parameters_out_of_range_are_refused_by_name(self, name, value):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of make_factor_panel"):
            make_factor_panel(**{name: value})

    @pytest.mark.parametrize("start", ["soon", "2000-13", pd.NaT])
    def test_a_start_that_is_no_month_is_refused(self, start):
        with pytest.raises(PanelError, match="'start' must be a month such as '2000-01'"):
            make_factor_panel(3, 3, start=start)
