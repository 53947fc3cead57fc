import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from skdrfm.exceptions import MissingDependencyError, NonFiniteError, PanelError
from skdrfm.metrics import AlphaBeta, alpha_beta, newey_west_t

pytest.importorskip("statsmodels.api", reason="alpha_beta regresses through statsmodels")

MONTHS = pd.period_range("2010-01", periods=120, freq="M", name="month")


def make_factors(seed=0):
    rng = np.random.default_rng(seed)
    factors = pd.DataFrame(rng.normal(0.005, 0.04, (120, 2)), index=MONTHS, columns=["market", "size"])
    noise = np.convolve(rng.normal(0.0, 0.02, 122), [0.5, 0.3, 0.2], mode="valid")
    returns = 0.004 + factors @ np.array([0.8, -0.3]) + noise
    return returns, factors


def algebra(y, factors, n_lags):
    """Coefficients and Newey-West standard errors from the matrix formulas."""
    x = np.column_stack([np.ones(len(y)), factors])
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    scores = x * (y - x @ b)[:, None]
    middle = scores.T @ scores
    for lag in range(1, n_lags + 1):
        gamma = scores[lag:].T @ scores[:-lag]
        middle += (1 - lag / (n_lags + 1)) * (gamma + gamma.T)
    return b, np.sqrt(np.diag(inverse @ middle @ inverse))


class TestReferenceValues:
    @pytest.mark.parametrize("n_lags", [0, 4, 12])
    def test_equals_the_matrix_formulas(self, n_lags):
        returns, factors = make_factors()
        result = alpha_beta(returns, factors, periods_per_year=12, n_lags=n_lags)
        b, errors = algebra(returns.to_numpy(), factors.to_numpy(), n_lags)
        assert result.alpha == pytest.approx(b[0], rel=1e-10)
        assert result.alpha_annualised == pytest.approx(12 * b[0], rel=1e-10)
        np.testing.assert_allclose(result.betas, b[1:], rtol=1e-10)
        np.testing.assert_allclose(result.standard_errors, errors, rtol=1e-10)
        np.testing.assert_allclose(result.t_values, b / errors, rtol=1e-10)
        np.testing.assert_allclose(result.p_values, 2 * student_t.sf(np.abs(b / errors), 117), rtol=1e-8)

    def test_r_squared_is_the_squared_correlation_of_one_factor(self):
        returns, factors = make_factors()
        result = alpha_beta(returns, factors["market"], periods_per_year=12)
        assert result.r_squared == pytest.approx(np.corrcoef(returns, factors["market"])[0, 1] ** 2, rel=1e-10)
        assert list(result.betas.index) == ["market"]

    def test_a_factor_that_explains_nothing_leaves_the_mean(self):
        # The factor is orthogonal to returns and to the constant.
        returns = pd.Series([0.01, 0.03, 0.01, 0.03], index=range(4))
        factor = pd.Series([0.01, 0.01, -0.01, -0.01], index=range(4))
        result = alpha_beta(returns, factor, periods_per_year=12, n_lags=1)
        assert result.alpha == pytest.approx(0.02)
        assert result.betas["factor"] == pytest.approx(0.0, abs=1e-14)
        assert result.t_values["alpha"] == pytest.approx(newey_west_t(returns, n_lags=1))

    def test_default_lags_are_those_of_the_t_statistic(self):
        returns, factors = make_factors()
        result = alpha_beta(returns, factors, periods_per_year=12)
        assert result.n_lags == 4
        explicit = alpha_beta(returns, factors, periods_per_year=12, n_lags=4)
        pd.testing.assert_frame_equal(result.to_frame(), explicit.to_frame())

    def test_planted_coefficients_are_found(self):
        result = alpha_beta(*make_factors(), periods_per_year=12)
        planted = np.array([0.004, 0.8, -0.3])
        found = result.to_frame()
        assert (np.abs(found["coefficient"] - planted) < 3 * found["standard_error"]).all()

    def test_returns_that_factors_explain_exactly_have_no_errors(self):
        _, factors = make_factors()
        result = alpha_beta(0.001 + 2 * factors["market"], factors, periods_per_year=12)
        assert result.r_squared == pytest.approx(1.0)
        assert result.betas.to_numpy() == pytest.approx([2.0, 0.0], abs=1e-12)
        assert result.to_frame()[["standard_error", "t_value", "p_value"]].isna().all(axis=None)

    @pytest.mark.parametrize("level", [0.0, 0.01])
    def test_equal_returns_have_no_r_squared(self, level):
        _, factors = make_factors()
        result = alpha_beta(pd.Series(level, index=MONTHS), factors, periods_per_year=12)
        assert np.isnan(result.r_squared)
        assert result.alpha == pytest.approx(level, abs=1e-15)


class TestDates:
    def test_factors_are_looked_up_by_date(self):
        returns, factors = make_factors()
        expected = alpha_beta(returns.iloc[20:100], factors.iloc[20:100], periods_per_year=12)
        longer = alpha_beta(returns.iloc[20:100], factors.iloc[::-1], periods_per_year=12)
        assert longer.n_dates == 80
        pd.testing.assert_frame_equal(longer.to_frame(), expected.to_frame())

    def test_missing_values_on_dates_that_are_not_used_do_not_matter(self):
        returns, factors = make_factors()
        expected = alpha_beta(returns.iloc[1:], factors, periods_per_year=12).alpha
        factors.iloc[0] = np.nan
        assert alpha_beta(returns.iloc[1:], factors, periods_per_year=12).alpha == expected

    def test_dates_that_factors_lack_are_named(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match=r"Got none for 2 of 120 dates: Period\('2010-01', 'M'\)"):
            alpha_beta(returns, factors.iloc[2:], periods_per_year=12)

    def test_dates_of_another_type_are_pointed_out(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="Check that both use the same type of dates"):
            alpha_beta(returns, factors.set_axis(MONTHS.to_timestamp()), periods_per_year=12)

    @pytest.mark.parametrize("order", [[1, 0, 2], [0, 0, 1]])
    def test_dates_of_returns_increase(self, order):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="dates of returns must increase"):
            alpha_beta(returns.iloc[order], factors, periods_per_year=12)

    def test_dates_of_factors_do_not_repeat(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="in factors neither"):
            alpha_beta(returns, pd.concat([factors, factors]), periods_per_year=12)


class TestResult:
    def test_table_names_alpha_and_the_factors(self):
        result = alpha_beta(*make_factors(), periods_per_year=12)
        table = result.to_frame()
        assert isinstance(result, AlphaBeta)
        assert table.index.tolist() == ["alpha", "market", "size"]
        assert table.loc["alpha", "coefficient"] == result.alpha
        assert table.loc["size", "t_value"] == result.t_values["size"]
        np.testing.assert_allclose(table["coefficient"] / table["standard_error"], table["t_value"])

    def test_numbers_cannot_be_overwritten(self):
        result = alpha_beta(*make_factors(), periods_per_year=12)
        for series in (result.betas, result.standard_errors, result.t_values, result.p_values):
            with pytest.raises(ValueError, match="read-only"):
                series.iloc[0] = 0.0

    def test_representation_shows_the_coefficients(self):
        text = repr(alpha_beta(*make_factors(), periods_per_year=12))
        assert text.startswith("AlphaBeta(alpha_annualised=0.0")
        assert "market: 0.8" in text or "market: 0.7" in text
        assert text.endswith("n_dates=120, n_lags=4)")

    def test_inputs_are_not_changed(self):
        returns, factors = make_factors()
        before = factors.copy()
        alpha_beta(returns, factors, periods_per_year=12)
        pd.testing.assert_frame_equal(factors, before)


class TestValidation:
    def test_arrays_have_no_dates(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="both indexed by date. Got ndarray and DataFrame"):
            alpha_beta(returns.to_numpy(), factors, periods_per_year=12)
        with pytest.raises(PanelError, match="Got Series and ndarray"):
            alpha_beta(returns, factors.to_numpy(), periods_per_year=12)

    def test_missing_values_are_refused(self):
        returns, factors = make_factors()
        factors.iloc[5, 1] = np.nan
        with pytest.raises(NonFiniteError, match="factors must hold finite numbers. Got NaN: 1 in 'size'"):
            alpha_beta(returns, factors, periods_per_year=12)
        with pytest.raises(NonFiniteError, match="returns must hold finite numbers"):
            alpha_beta(returns.where(returns.index != MONTHS[3]), factors, periods_per_year=12)

    def test_factors_must_hold_numbers(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="factors must hold numbers"):
            alpha_beta(returns, factors.assign(size="big"), periods_per_year=12)

    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    def test_factors_that_depend_on_each_other_are_refused(self, scale):
        returns, factors = make_factors()
        factors = factors.assign(sum=(factors["market"] + 2 * factors["size"]) * scale)
        with pytest.raises(PanelError, match="none may be a combination of the others"):
            alpha_beta(returns, factors, periods_per_year=12)

    @pytest.mark.parametrize("level", [0.0, 0.1])
    def test_constant_factors_are_refused(self, level):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="factors must vary"):
            alpha_beta(returns, factors.assign(size=level), periods_per_year=12)

    def test_factors_of_very_different_size_are_accepted(self):
        returns, factors = make_factors()
        result = alpha_beta(returns, factors * [1e-6, 1e6], periods_per_year=12)
        expected = alpha_beta(returns, factors, periods_per_year=12)
        np.testing.assert_allclose(result.t_values, expected.t_values, rtol=1e-6)

    @pytest.mark.parametrize("names", [["alpha", "size"], ["market", "market"]])
    def test_names_must_differ(self, names):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="different names and none called 'alpha'"):
            alpha_beta(returns, factors.set_axis(names, axis=1), periods_per_year=12)

    def test_at_least_one_factor_is_needed(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match=r"at least one column.*Got \[\]"):
            alpha_beta(returns, factors[[]], periods_per_year=12)

    def test_factors_must_be_fewer_than_dates(self):
        returns, factors = make_factors()
        with pytest.raises(PanelError, match="2 factors need at least 4 dates. Got 3"):
            alpha_beta(returns.iloc[:3], factors, periods_per_year=12)

    def test_lags_must_be_fewer_than_dates(self):
        with pytest.raises(PanelError, match=r"below the number of periods \(120\)"):
            alpha_beta(*make_factors(), periods_per_year=12, n_lags=120)

    def test_the_way_to_install_statsmodels_is_told(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "statsmodels.api", None)
        with pytest.raises(MissingDependencyError, match=r"regress returns on factors.*skdrfm\[statistics\]"):
            alpha_beta(*make_factors(), periods_per_year=12)
