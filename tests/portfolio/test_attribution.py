import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.explanation import Explanation, linear_explanation
from skdrfm.metrics import newey_west_t
from skdrfm.portfolio import backtest, group_attribution, long_short_weights

NAMES = ("BETA", "SKEW", "ROE", "CAP")
GROUPS = {"Risk": ("BETA", "SKEW"), "Quality": ["ROE"], "Size": ["CAP"]}
DATES = pd.date_range("2020-01-31", periods=6, freq="ME")


def panel(n_dates=6, n_assets=12, seed=0):
    """An explanation with loadings of its own for each row, returns that follow it in part, and a portfolio."""
    rng = np.random.default_rng(seed)
    assets = [f"A{number:02d}" for number in range(n_assets)]
    index = pd.MultiIndex.from_product([DATES[:n_dates], assets], names=["date", "asset"])
    n = len(index)
    loadings, data = rng.normal(size=(2, n, 2, len(NAMES))) * 0.1
    bias, stabilizer, state = rng.normal(size=(3, n)) * [[0.01], [1e-6], [0.001]]
    explanation = Explanation(
        loadings=loadings,
        data=data,
        predictions=(loadings * data).sum((1, 2)) + bias + stabilizer + state,
        bias=bias,
        stabilizer=stabilizer,
        state=state,
        index=index,
        descriptor_names=NAMES,
    )
    contributions = explanation.by_group(GROUPS).to_numpy()
    returns = pd.Series(contributions @ [1.5, 0.0, -1.0] + rng.normal(0, 0.02, n), index=index)
    weights = long_short_weights(pd.Series(explanation.predictions, index=index), n_quantiles=3)
    return explanation, weights, returns


class TestReferenceValues:
    def test_two_groups_by_hand(self):
        # r = 0.01 + 2 c_BETA - c_CAP + e with e orthogonal to the constant and both contributions.
        index = pd.MultiIndex.from_product([[1], list("ABCDE")], names=["date", "asset"])
        data = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [0.0, 0.0]])
        explanation = linear_explanation(
            data[:, None], [0.01, 0.03], 0.2, index=index, descriptor_names=["BETA", "CAP"]
        )
        residual = np.array([0.001, -0.001, -0.001, 0.001, 0.0])
        contributions = data * [0.01, 0.03]
        returns = pd.Series(0.01 + contributions @ [2.0, -1.0] + residual, index=index)
        weights = pd.Series([0.75, 0.0, 0.5, -0.25, 0.0], index=index)
        attribution = group_attribution(explanation, weights, returns)
        # Sums of w c: 0.01 (0.75 + 0.5 + 0.25) and 0.03 (0.75 - 0.5 + 0.25); the weights sum to 1.
        np.testing.assert_allclose(attribution.forecast, [[0.015, 0.015, 0.2]], rtol=1e-13)
        np.testing.assert_allclose(attribution.payoffs, [[2, -1, 0.01]], rtol=1e-12)
        np.testing.assert_allclose(attribution.realised, [[0.03, -0.015, 0.01, 0.0]], atol=1e-16)
        assert list(attribution.forecast.columns) == ["BETA", "CAP", "intercept"]
        assert list(attribution.realised.columns) == ["BETA", "CAP", "intercept", "specific"]
        assert attribution.realised.columns.name == "descriptor"

    def test_payoffs_are_the_coefficients_of_statsmodels_at_each_date(self):
        sm = pytest.importorskip("statsmodels.api", reason="compares with least squares of statsmodels")
        explanation, weights, returns = panel()
        attribution = group_attribution(explanation, weights, returns, GROUPS)
        contributions = explanation.by_group(GROUPS)
        for date in DATES:
            fit = sm.OLS(returns[date].to_numpy(), sm.add_constant(contributions.loc[date].to_numpy())).fit()
            payoffs = attribution.payoffs.loc[date]
            np.testing.assert_allclose(payoffs[["intercept", *GROUPS]], fit.params, rtol=1e-9)
            specific = weights[date].to_numpy() @ fit.resid
            assert attribution.realised.loc[date, "specific"] == pytest.approx(specific, abs=1e-14)

    def test_a_model_that_is_right_is_paid_one_for_one(self):
        explanation, weights, _ = panel()
        truth = pd.Series(explanation.linear_prediction, index=weights.index)
        attribution = group_attribution(explanation, weights, truth, GROUPS)
        np.testing.assert_allclose(attribution.payoffs[list(GROUPS)], 1, rtol=1e-10)
        np.testing.assert_allclose(attribution.realised[list(GROUPS)], attribution.forecast[list(GROUPS)], rtol=1e-10)
        assert attribution.realised[["intercept", "specific"]].abs().max(axis=None) < 1e-15

    def test_collinear_contributions_get_the_payoffs_of_minimum_norm(self):
        explanation, weights, returns = panel()
        values = explanation.values[:, 0, 0]
        doubled = linear_explanation(
            np.column_stack([values, 3 * values, np.full(len(values), 5.0)])[:, None],
            [1.0, 1.0, 1.0],
            index=explanation.index,
            descriptor_names=["BETA", "SKEW", "CAP"],
        )
        payoffs = group_attribution(doubled, weights, returns).payoffs
        single = linear_explanation(values[:, None, None], [1.0], index=explanation.index)
        alone = group_attribution(single, weights, returns).payoffs["x0"]
        # b (1 + 3 * 3) = alone with payoffs b and 3 b; equal contributions cannot be told from the intercept.
        np.testing.assert_allclose(payoffs["BETA"], alone / 10, rtol=1e-9)
        np.testing.assert_allclose(payoffs["SKEW"], alone * 0.3, rtol=1e-9)
        assert (payoffs["CAP"] == 0).all()

    def test_rounding_of_equal_contributions_is_no_payoff(self):
        _, weights, returns = panel()
        contributions = np.full(12, 0.1)
        assert contributions.mean() != 0.1
        constant = linear_explanation(np.full((72, 1, 1), 0.1), [1.0], index=weights.index)
        attribution = group_attribution(constant, weights, returns)
        assert (attribution.payoffs["x0"] == 0).all()
        np.testing.assert_allclose(attribution.payoffs["intercept"], returns.groupby("date").mean(), rtol=1e-12)

    def test_summary_has_annualised_means_and_the_newey_west_t(self):
        attribution = group_attribution(*panel(), GROUPS)
        summary = attribution.summary(periods_per_year=4)
        assert list(summary.index) == [*GROUPS, "intercept", "specific", "total"]
        assert list(summary.columns) == ["Forecast", "Realised", "Newey-West t"]
        np.testing.assert_allclose(summary.loc["Risk", "Forecast"], 4 * attribution.forecast["Risk"].mean())
        np.testing.assert_allclose(summary.loc["specific", "Realised"], 4 * attribution.realised["specific"].mean())
        assert summary.loc["Size", "Newey-West t"] == newey_west_t(attribution.realised["Size"].to_numpy())
        assert np.isnan(summary.loc["specific", "Forecast"])
        np.testing.assert_allclose(
            summary.loc["total", ["Forecast", "Realised"]],
            4 * np.array([attribution.forecast.sum(axis=1).mean(), attribution.realised.sum(axis=1).mean()]),
        )
        np.testing.assert_allclose(attribution.summary()["Realised"], 3 * summary["Realised"], rtol=1e-14)

    def test_to_frame_has_a_row_for_each_date_and_part(self):
        attribution = group_attribution(*panel(n_dates=2), GROUPS)
        table = attribution.to_frame()
        assert list(table.columns) == ["date", "group", "forecast", "payoff", "realised"]
        assert table["group"].tolist() == [*GROUPS, "intercept", "specific"] * 2
        assert table["date"].tolist() == [DATES[0]] * 5 + [DATES[1]] * 5
        np.testing.assert_array_equal(table["realised"], attribution.realised.to_numpy().ravel())
        specific = table["group"] == "specific"
        assert table.loc[specific, ["forecast", "payoff"]].isna().all(axis=None)
        np.testing.assert_array_equal(table.loc[~specific, "payoff"], attribution.payoffs.to_numpy().ravel())
        np.testing.assert_array_equal(table.loc[~specific, "forecast"], attribution.forecast.to_numpy().ravel())


class TestProperties:
    @pytest.mark.parametrize("groups", [GROUPS, None])
    @pytest.mark.parametrize("seed", range(3))
    def test_parts_add_up_to_the_forecast_and_the_gross_return_of_the_portfolio(self, groups, seed):
        explanation, _, returns = panel(seed=seed)
        result = backtest(pd.Series(explanation.predictions, index=explanation.index), returns, n_quantiles=3)
        attribution = group_attribution(explanation, result.weights, returns, groups)
        expected = (result.weights * explanation.predictions).groupby("date").sum()
        np.testing.assert_allclose(attribution.forecast.sum(axis=1), expected, atol=1e-12)
        np.testing.assert_allclose(attribution.realised.sum(axis=1), result.gross_long_short, atol=1e-12)
        pd.testing.assert_index_equal(attribution.realised.index, result.gross_long_short.index)
        # Long and short cancel, so a constant return contributes nothing.
        assert (attribution.realised["intercept"] == 0).all()
        assert np.isnan(attribution.summary().loc["intercept", "Newey-West t"])

    def test_positions_of_a_delayed_backtest_add_up_to_its_gross_return(self):
        explanation, _, returns = panel(n_dates=6)
        scores = pd.Series(explanation.predictions, index=returns.index)
        result = backtest(scores, returns, n_quantiles=3, delay=1, rebalance_every=3)
        attribution = group_attribution(explanation, result.positions, returns, GROUPS)
        gross = result.gross_long_short.dropna()
        assert len(gross) == 5
        np.testing.assert_allclose(attribution.realised.sum(axis=1), gross, atol=1e-14)

    def test_realised_is_payoff_times_forecast(self):
        attribution = group_attribution(*panel(), GROUPS)
        parts = list(GROUPS)
        np.testing.assert_array_equal(
            attribution.realised[parts], attribution.payoffs[parts] * attribution.forecast[parts]
        )

    def test_an_intercept_that_is_equal_for_all_names_adds_nothing_to_the_forecast(self):
        explanation, weights, returns = panel()
        linear = linear_explanation(explanation.data, np.ones(8), 0.7, index=explanation.index)
        assert group_attribution(linear, weights, returns).forecast["intercept"].abs().max() < 1e-15

    def test_groups_add_up_the_forecast_of_their_descriptors(self):
        explanation, weights, returns = panel()
        grouped = group_attribution(explanation, weights, returns, GROUPS).forecast
        single = group_attribution(explanation, weights, returns).forecast
        np.testing.assert_allclose(grouped["Risk"], single["BETA"] + single["SKEW"], atol=1e-15)

    def test_row_order_and_order_of_levels_change_no_bit(self):
        explanation, weights, returns = panel()
        expected = group_attribution(explanation, weights, returns, GROUPS).to_frame()
        rng = np.random.default_rng(1)
        first, second, third = (rng.permutation(len(weights)) for _ in range(3))
        shuffled = group_attribution(explanation[first], weights.iloc[second].swaplevel(), returns.iloc[third], GROUPS)
        pd.testing.assert_frame_equal(shuffled.to_frame(), expected, check_exact=True)

    def test_later_rows_change_no_earlier_bit(self):
        explanation, weights, returns = panel()
        all_dates = group_attribution(explanation, weights, returns, GROUPS)
        early = group_attribution(explanation, weights.loc[: DATES[2]], returns.loc[: DATES[2]], GROUPS)
        for name in ("forecast", "realised", "payoffs"):
            expected = getattr(all_dates, name).iloc[:3]
            pd.testing.assert_frame_equal(getattr(early, name), expected, check_exact=True, check_freq=False)

    def test_opposite_weights_give_the_opposite_contributions(self):
        explanation, weights, returns = panel()
        plain, opposite = (group_attribution(explanation, w, returns, GROUPS) for w in (weights, -weights))
        pd.testing.assert_frame_equal(opposite.forecast, -plain.forecast, check_exact=True)
        pd.testing.assert_frame_equal(opposite.realised, -plain.realised, check_exact=True)
        pd.testing.assert_frame_equal(opposite.payoffs, plain.payoffs, check_exact=True)

    def test_results_are_read_only_and_say_what_they_are(self):
        attribution = group_attribution(*panel(), GROUPS)
        for name in ("forecast", "realised", "payoffs", "n_names"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(attribution, name).to_numpy()[0] = 1
        assert repr(attribution).startswith("GroupAttribution(6 dates from 2020-01-31")
        assert "groups='Risk', 'Quality', 'Size'" in repr(attribution)
        assert attribution.n_names.tolist() == [12] * 6


class TestCoverage:
    def test_dates_with_too_few_names_keep_their_forecast_and_are_counted(self):
        explanation, weights, returns = panel()
        few = weights[(weights.index.get_level_values("date") != DATES[1]) | (weights.groupby("date").cumcount() < 4)]
        with pytest.warns(CoverageWarning, match="1 of 6 dates have no payoffs") as caught:
            attribution = group_attribution(explanation, few, returns, GROUPS)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert attribution.n_names.tolist() == [12, 4, 12, 12, 12, 12]
        assert attribution.forecast.notna().all(axis=None)
        for table in (attribution.payoffs, attribution.realised):
            assert table.isna().any(axis=1).tolist() == [False, True, False, False, False, False]
            assert table.loc[DATES[1]].isna().all()
        assert attribution.summary().drop(index="intercept", columns="Forecast").notna().all(axis=None)

    def test_one_name_more_than_coefficients_is_enough(self):
        explanation, weights, returns = panel(n_assets=5)
        assert group_attribution(explanation, weights, returns, GROUPS).payoffs.notna().all(axis=None)

    @pytest.mark.parametrize("n_assets", [1, 3])
    def test_without_any_regression_the_summary_has_forecasts_alone(self, n_assets):
        explanation, weights, returns = panel()
        few = weights.groupby("date").head(n_assets)
        with pytest.warns(CoverageWarning, match="6 of 6 dates"):
            summary = group_attribution(explanation, few, returns, GROUPS).summary()
        assert summary["Realised"].isna().all()
        assert summary["Newey-West t"].isna().all()
        assert summary["Forecast"].drop("specific").notna().all()

    def test_dates_without_portfolio_are_nan_and_not_counted(self):
        explanation, weights, returns = panel()
        expected = group_attribution(explanation, weights, returns, GROUPS)
        weights.loc[DATES[2]] = np.nan
        attribution = group_attribution(explanation, weights, returns, GROUPS)
        for name in ("forecast", "realised", "payoffs"):
            table = getattr(attribution, name)
            assert table.loc[DATES[2]].isna().all()
            kept = getattr(expected, name).drop(DATES[2])
            pd.testing.assert_frame_equal(table.drop(DATES[2]), kept, check_exact=True)

    def test_names_without_explanation_may_have_weight_zero_and_change_nothing(self):
        explanation, weights, returns = panel()
        flat = weights == 0
        assert flat.any()
        some = np.flatnonzero(~flat | (np.arange(len(flat)) % 2 == 0))
        with_zeros = group_attribution(explanation[some], weights, returns, GROUPS)
        without = group_attribution(explanation, weights.iloc[some], returns, GROUPS)
        pd.testing.assert_frame_equal(with_zeros.to_frame(), without.to_frame(), check_exact=True)

    def test_dates_without_any_explanation_are_nan_and_counted_if_there_is_a_portfolio(self):
        explanation, weights, returns = panel()
        weights.loc[DATES[1]] = 0.0
        weights.loc[DATES[4]] = np.nan
        some = np.flatnonzero(~explanation.index.get_level_values("date").isin(DATES[[1, 4]]))
        with pytest.warns(CoverageWarning, match="1 of 6 dates have no payoffs"):
            attribution = group_attribution(explanation[some], weights, returns, GROUPS)
        assert attribution.n_names.tolist() == [12, 0, 12, 12, 0, 12]
        assert attribution.realised.isna().all(axis=1).tolist() == [False, True, False, False, True, False]
        assert attribution.realised.isna().any(axis=1).sum() == 2
        assert (attribution.forecast.loc[DATES[1]] == 0).all()
        assert attribution.forecast.loc[DATES[4]].isna().all()

    def test_equal_scores_contribute_exactly_nothing(self):
        explanation, weights, returns = panel()
        attribution = group_attribution(explanation, weights * 0, returns, GROUPS)
        assert (attribution.forecast == 0).all(axis=None)
        assert (attribution.realised == 0).all(axis=None)


class TestValidation:
    def test_names_that_are_held_need_an_explanation(self):
        explanation, weights, returns = panel()
        held = int(np.flatnonzero(weights != 0)[0])
        some = np.delete(np.arange(len(weights)), held)
        message = r"Each name that is held must have an explanation. Got 1 of 72 rows of weights without one: \(Timest"
        with pytest.raises(PanelError, match=message):
            group_attribution(explanation[some], weights, returns, GROUPS)

    def test_rows_without_a_return_are_an_error(self):
        explanation, weights, returns = panel()
        with pytest.raises(PanelError, match=r"Each row of weights must have a realised return"):
            group_attribution(explanation, weights, returns.iloc[1:])

    def test_an_explanation_without_panel_index_is_refused(self):
        explanation, weights, returns = panel()
        bare = linear_explanation(explanation.data, np.ones(8))
        with pytest.raises(PanelError, match="Got an explanation without an index"):
            group_attribution(bare, weights, returns)
        numbered = linear_explanation(explanation.data, np.ones(8), index=pd.RangeIndex(len(weights)))
        with pytest.raises(PanelError, match="explanation must have a MultiIndex"):
            group_attribution(numbered, weights, returns)

    def test_groups_must_hold_each_descriptor_once(self):
        with pytest.raises(PanelError, match=r"Got \['ROE', 'CAP'\] in none"):
            group_attribution(*panel(), {"Risk": ["BETA", "SKEW"]})

    @pytest.mark.parametrize("name", ["intercept", "specific", "total"])
    def test_reserved_names_are_refused(self, name):
        with pytest.raises(PanelError, match=f"No group may be named .* Got '{name}'"):
            group_attribution(*panel(), {name: NAMES})

    def test_contributions_must_be_finite(self):
        explanation, weights, returns = panel()
        data = explanation.data.copy()
        data[5, 0, 3] = np.nan
        broken = linear_explanation(data, np.ones(8), index=explanation.index, descriptor_names=NAMES)
        with pytest.raises(NonFiniteError, match=r"contributions of the explanation must hold .* 1 in 'CAP'"):
            group_attribution(broken, weights, returns)

    def test_weights_that_are_missing_on_part_of_a_date_are_refused(self):
        explanation, weights, returns = panel()
        weights.iloc[0] = np.nan
        with pytest.raises(PanelError, match="weights must be finite on a date, or NaN on all its names"):
            group_attribution(explanation, weights, returns)

    def test_types_are_checked(self):
        explanation, weights, returns = panel()
        with pytest.raises(ValueError, match="'explanation' parameter of group_attribution must be an instance of"):
            group_attribution(weights, weights, returns)
        with pytest.raises(ValueError, match="'groups' parameter of group_attribution"):
            group_attribution(explanation, weights, returns, ["BETA"])
        with pytest.raises(ValueError, match="'periods_per_year'"):
            group_attribution(explanation, weights, returns).summary(periods_per_year=0)
