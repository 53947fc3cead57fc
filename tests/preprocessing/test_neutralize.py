import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.preprocessing import CrossSectionalNeutralizer

pytestmark = pytest.mark.filterwarnings("ignore::skdrfm.exceptions.CoverageWarning")


def literal(X, factors, weight=None, industry=None):
    """One regression with dummies for each date and column, by least squares of minimum norm."""
    out = X.copy()
    for _, rows in X.groupby(level="date"):
        assets = rows.index.get_level_values("asset")
        w = np.ones(len(rows)) if weight is None else weight[assets].to_numpy()
        names = np.zeros(len(rows)) if industry is None else industry[assets].to_numpy()
        for target in X.columns.difference(factors):
            used = rows[[*factors, target]].notna().all(axis=1).to_numpy()
            dummies = pd.get_dummies(pd.Series(names[used])).to_numpy(float)
            design = np.column_stack([dummies, rows.loc[used, list(factors)]])
            residual = np.full(len(rows), np.nan)
            if used.any() and used.sum() > np.linalg.matrix_rank(design):
                root = np.sqrt(w[used])
                y = rows.loc[used, target].to_numpy()
                b = np.linalg.lstsq(root[:, None] * design, root * y, rcond=None)[0]
                residual[used] = y - design @ b
            out.loc[rows.index, target] = residual
    return out


def big_date(n=40, seed=0, n_industries=3):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([[1, 2], [f"A{i:02d}" for i in range(n)]], names=["date", "asset"])
    X = pd.DataFrame(rng.standard_normal((2 * n, 4)), index=index, columns=["f", "g", "x", "y"])
    X["x"] += 3 * X["f"] - X["g"] + 100
    assets = index.levels[1]
    industry = pd.Series(rng.integers(0, n_industries, n), index=assets)
    return X, industry, pd.Series(rng.uniform(0.01, 10, n), index=assets)


class TestReferenceValues:
    @settings(max_examples=15)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2]), st.booleans(), st.booleans(), st.booleans())
    def test_residuals_equal_literal_regressions(self, make_panel, by_asset, seed, missing, weighted, within, two):
        X = make_panel(seed, n_columns=4, missing=missing)
        X /= np.abs(X).max()  # matrix_rank of the literal version knows no units
        factors = ("c0", "c2") if two else ("c1",)
        industry, weight = by_asset[0] if within else None, by_asset[1] if weighted else None
        got = CrossSectionalNeutralizer(factors, industry=industry, weight=weight).fit_transform(X)
        pd.testing.assert_frame_equal(got, literal(X, factors, weight, industry), rtol=0, atol=1e-11)

    def test_without_factors_the_mean_is_taken_out(self):
        X = np.array([[1.0], [2.0], [6.0], [np.nan]])
        got = CrossSectionalNeutralizer().fit_transform(X).ravel()
        np.testing.assert_array_equal(got, [-2, -1, 3, np.nan])

    def test_weighted_mean_by_hand(self):
        X = pd.DataFrame({"x": [1.0, 2.0, 6.0]}, index=pd.Index(list("ABC"), name="asset"))
        got = CrossSectionalNeutralizer(weight=pd.Series({"A": 2.0, "B": 1.0, "C": 1.0})).fit_transform(X)
        np.testing.assert_allclose(got["x"], [-1.5, -0.5, 3.5], rtol=1e-14)


class TestProperties:
    @pytest.mark.parametrize("with_weight", [False, True])
    @pytest.mark.parametrize("with_industry", [False, True])
    def test_residuals_are_orthogonal_to_factors_and_industries(self, with_weight, with_industry):
        X, industry, weight = big_date()
        X["x"] = X["x"] + 1e9  # rounding errors of one projection alone would be seen
        X["g"] = X["g"] + 1e4
        X.iloc[[3, 50], 2] = np.nan
        neutralizer = CrossSectionalNeutralizer(
            ("f", "g"), industry=industry if with_industry else None, weight=weight if with_weight else None
        )
        out = neutralizer.fit_transform(X)
        assets = X.index.get_level_values("asset")
        w = weight[assets].to_numpy() if with_weight else np.ones(len(X))
        groups = industry[assets].to_numpy() if with_industry else np.zeros(len(X))
        design = {"f": X["f"].to_numpy(), "g": X["g"].to_numpy()}
        design |= {f"industry {code}": (groups == code).astype(float) for code in np.unique(groups)}
        for date in (1, 2):
            for target in ("x", "y"):
                rows = (X.index.get_level_values("date") == date) & out[target].notna().to_numpy()
                e, root = out[target].to_numpy()[rows], np.sqrt(w[rows])
                for factor in design.values():
                    product = np.sum(root * root * e * factor[rows])
                    assert abs(product) < 1e-10 * np.linalg.norm(root * e) * np.linalg.norm(root * factor[rows])

    def test_factors_pass_through_and_a_second_pass_changes_nothing(self):
        X, industry, _ = big_date(seed=1)
        neutralizer = CrossSectionalNeutralizer(("f", "g"), industry=industry)
        once = neutralizer.fit_transform(X)
        pd.testing.assert_frame_equal(once[["f", "g"]], X[["f", "g"]], check_exact=True)
        pd.testing.assert_frame_equal(neutralizer.fit_transform(once), once, rtol=0, atol=1e-12)

    def test_collinear_constant_and_repeated_factors_add_nothing(self):
        X, _, _ = big_date(seed=2)
        expected = CrossSectionalNeutralizer(("f", "g")).fit_transform(X)[["x", "y"]]
        X["twice"] = 2 * X["f"] - X["g"] + 1e6  # whose large mean leaves rounding errors of 1e-10
        X["flat"] = 0.1
        X["far"] = 1e7 + X["g"]
        many = CrossSectionalNeutralizer(("f", "g", "flat", "f")).fit_transform(X)[["x", "y"]]
        pd.testing.assert_frame_equal(many, expected, rtol=0, atol=1e-12)
        many = CrossSectionalNeutralizer(("f", "g", "twice", "flat")).fit_transform(X)[["x", "y"]]
        pd.testing.assert_frame_equal(many, expected, rtol=0, atol=1e-8)

    def test_units_of_factors_have_no_effect(self):
        X, _, _ = big_date(seed=3)
        expected = CrossSectionalNeutralizer(("f", "g")).fit_transform(X)[["x", "y"]]
        X["f"] *= 1e200
        X["g"] *= 1e-200
        got = CrossSectionalNeutralizer(("f", "g")).fit_transform(X)[["x", "y"]]
        pd.testing.assert_frame_equal(got, expected, rtol=0, atol=1e-12)

    def test_what_factors_explain_wholly_leaves_exactly_nothing(self):
        X, industry, _ = big_date(seed=4)
        X["x"] = 0.3 * X["f"] - 7 * X["g"] + 11
        X["y"] = 0.1
        out = CrossSectionalNeutralizer(("f", "g"), industry=industry).fit_transform(X)
        assert (out[["x", "y"]] == 0).all(axis=None)

    def test_a_name_alone_in_its_industry_gets_exactly_zero(self):
        X, industry, weight = big_date(seed=5)
        industry["A07"] = 77
        out = CrossSectionalNeutralizer(("f",), industry=industry, weight=weight).fit_transform(X)
        alone = X.index.get_level_values("asset") == "A07"
        assert (out.loc[alone, ["x", "y", "g"]] == 0).all(axis=None)
        assert (out.loc[~alone, ["x", "y", "g"]] != 0).all(axis=None)

    def test_only_named_columns_are_replaced(self):
        X, _, _ = big_date(seed=6)
        out = CrossSectionalNeutralizer(("f",), columns=["y"]).fit_transform(X)
        every = CrossSectionalNeutralizer(("f",)).fit_transform(X)
        pd.testing.assert_frame_equal(out[["f", "g", "x"]], X[["f", "g", "x"]], check_exact=True)
        np.testing.assert_allclose(out["y"], every["y"], rtol=0, atol=1e-13)

    def test_positions_name_the_columns_of_an_array(self):
        X, _, _ = big_date(seed=7)
        expected = CrossSectionalNeutralizer(("g",)).fit_transform(X)
        dates = X.index.get_level_values("date")
        got = CrossSectionalNeutralizer(factors=np.array([1])).fit_transform(X.to_numpy(), groups=dates)
        np.testing.assert_array_equal(got, expected)

    def test_rows_without_a_factor_have_no_residual_and_are_counted(self):
        X, _, _ = big_date(seed=8)
        X.iloc[:5, 0] = np.nan
        X.iloc[2, 2] = np.nan
        out = CrossSectionalNeutralizer(("f",)).fit_transform(X)
        assert out.iloc[:5][["g", "x", "y"]].isna().all(axis=None)
        assert out.iloc[5:].notna().all(axis=None)
        assert out.attrs["n_lost_to_missing_factor"] == {"f": 0, "g": 5, "x": 4, "y": 5}
        without = CrossSectionalNeutralizer(("f",)).fit_transform(X.iloc[5:])
        np.testing.assert_allclose(out.iloc[5:], without, rtol=0, atol=1e-13)

    def test_zero_fills_residuals_alone(self):
        X, _, _ = big_date(seed=9)
        X.iloc[:5, 0] = np.nan
        out = CrossSectionalNeutralizer(("f",), missing="zero").fit_transform(X)
        assert (out.iloc[:5][["g", "x", "y"]] == 0).all(axis=None)
        assert out["f"].isna().sum() == 5
        assert out.attrs["n_missing_filled"] == 15


class TestValidation:
    def test_dates_with_too_few_names_have_no_residual_are_counted_and_warned_of(self):
        X, _, _ = big_date(n=3, seed=10)
        X.iloc[0, 2] = np.nan
        with pytest.warns(CoverageWarning, match=r"no residuals for 2 values in 1 of 4 columns") as caught:
            out = CrossSectionalNeutralizer(("f",)).fit(X).transform(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert out.attrs["n_lost_to_few_names"] == {"f": 0, "g": 0, "x": 2, "y": 0}
        np.testing.assert_array_equal(out["x"].isna(), [True, True, True, False, False, False])

    def test_factors_that_are_no_columns_are_refused(self):
        X, _, _ = big_date()
        with pytest.raises(PanelError, match=r"'factors' .* Got 'h' for an X with the columns 'f', 'g', 'x' and 1"):
            CrossSectionalNeutralizer(("f", "h")).fit(X)
        with pytest.raises(PanelError, match="'columns' .* Got 0 .* positions of an ndarray"):
            CrossSectionalNeutralizer(columns=(0,)).transform(X)
        with pytest.raises(PanelError, match="Got 'f'"):
            CrossSectionalNeutralizer(("f",)).fit(X.to_numpy())

    def test_a_factor_cannot_be_replaced(self):
        X, _, _ = big_date()
        with pytest.raises(PanelError, match="Got 'f' in both"):
            CrossSectionalNeutralizer(("f",), columns=("f", "x")).fit(X)
