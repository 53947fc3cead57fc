import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.preprocessing import (
    CrossSectionalImputer,
    CrossSectionalNeutralizer,
    CrossSectionalRankScaler,
    CrossSectionalStandardScaler,
    CrossSectionalWinsorizer,
)
from skdrfm.utils.estimator_checks import iter_panel_checks

TRANSFORMERS = [
    CrossSectionalRankScaler(),
    *(CrossSectionalStandardScaler(missing=missing) for missing in ("keep", "zero", "raise")),
    *(CrossSectionalWinsorizer(0.1, 0.8, missing=missing) for missing in ("keep", "raise")),
    *(CrossSectionalImputer(strategy) for strategy in ("median", "mean", "zero")),
    *(CrossSectionalNeutralizer(missing=missing) for missing in ("keep", "zero", "raise")),
]
NEUTRALIZER = CrossSectionalNeutralizer(factors=("D0",))
TAKING_INDUSTRY = [
    CrossSectionalRankScaler(),
    CrossSectionalStandardScaler(),
    CrossSectionalWinsorizer(0.2, 0.7),
    CrossSectionalImputer("mean"),
    CrossSectionalNeutralizer(factors=("c0",)),
]

# A date with one asset, and one without values, are part of the panels here and tested where they are the point.
pytestmark = pytest.mark.filterwarnings("ignore::skdrfm.exceptions.CoverageWarning")


def name_of(estimator):
    return type(estimator).__name__


def expected_failures(estimator):
    if isinstance(estimator, CrossSectionalImputer):
        return {}  # the data of that check lack nothing that could be filled
    return {"check_methods_subset_invariance": "a cross-sectional statistic depends on the other assets of its date"}


@estimator_checks.parametrize_with_checks(TRANSFORMERS[1:], expected_failed_checks=expected_failures)
def test_scikit_learn_contract_holds(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [*TRANSFORMERS, NEUTRALIZER], ids=str)
@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in iter_panel_checks(CrossSectionalRankScaler())])
def test_panel_contract_holds(check, estimator):
    if estimator is NEUTRALIZER and "not_modified" in check.__name__:
        pytest.skip("an ndarray has no column names; positions are tested with the neutralizer")
    check(estimator)


class TestProperties:
    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_no_look_ahead_and_dates_by_themselves_with_labels(self, estimator, make_panel, by_asset):
        industry, weight = by_asset
        X = make_panel(1)
        estimator = clone(estimator).set_params(industry=industry)
        if "weight" in estimator.get_params():
            estimator.set_params(weight=weight)
        whole = estimator.fit_transform(X)
        dates = X.index.get_level_values("date")
        for date in dates.unique():
            rows = dates == date
            pd.testing.assert_frame_equal(estimator.transform(X[rows]), whole[rows], check_exact=True)
            past = dates <= date
            changed = X.where(np.repeat(past[:, None], X.shape[1], axis=1), 3.5 * X + 1)
            pd.testing.assert_frame_equal(estimator.fit_transform(changed)[past], whole[past], check_exact=True)

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY[:3], ids=name_of)
    def test_industries_are_cross_sections_of_their_own(self, estimator, make_panel, by_asset):
        industry, _ = by_asset
        X = make_panel(2)
        got = clone(estimator).set_params(industry=industry).fit_transform(X)
        of_row = industry[X.index.get_level_values("asset")].to_numpy()
        for name in industry.unique():
            expected = clone(estimator).fit_transform(X[of_row == name])
            pd.testing.assert_frame_equal(got[of_row == name], expected, check_exact=True)

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_memory_layout_and_order_of_rows_have_no_effect(self, estimator, make_panel):
        X = make_panel(3).sort_index()
        expected = clone(estimator).fit_transform(X)
        for order in "CF":
            values = np.asarray(X.to_numpy(), order=order)
            frame = pd.DataFrame(values, index=X.index, columns=X.columns, copy=False)
            pd.testing.assert_frame_equal(clone(estimator).fit_transform(frame), expected, check_exact=True)
            by_name = frame.sort_index(level="asset", kind="stable")  # no date in one piece, in its order all the same
            got = clone(estimator).fit_transform(by_name).reindex(X.index)
            pd.testing.assert_frame_equal(got, expected, check_exact=True)

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_float32_is_preserved_and_close_to_double_precision(self, estimator, make_panel):
        X = make_panel(4).astype("float32")
        narrow = clone(estimator).fit_transform(X)
        assert set(narrow.dtypes) == {np.dtype("float32")}
        wide = clone(estimator).fit_transform(X.astype("float64"))
        np.testing.assert_allclose(narrow, wide, rtol=1e-6, atol=1e-6 * np.nanmax(np.abs(wide)))

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_input_is_left_alone_and_attributes_are_kept(self, estimator, make_panel):
        X = make_panel(5)
        X.attrs["source"] = "simulated"
        before = X.copy()
        out = clone(estimator).fit_transform(X)
        pd.testing.assert_frame_equal(X, before, check_exact=True)
        assert X.attrs == {"source": "simulated"}
        assert out.attrs["source"] == "simulated"
        assert isinstance(out.attrs["n_missing_filled"], int)
        assert not np.shares_memory(out.to_numpy(), X.to_numpy())

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_clone_pickle_and_repr_keep_the_labels(self, estimator, make_panel, by_asset):
        industry, _ = by_asset
        X = make_panel(6)
        estimator = clone(estimator).set_params(industry=industry)
        expected = estimator.fit_transform(X)
        for copy in (clone(estimator), pickle.loads(pickle.dumps(estimator))):
            pd.testing.assert_frame_equal(copy.transform(X), expected, check_exact=True)
            pd.testing.assert_series_equal(copy.get_params()["industry"], industry)
        assert name_of(estimator) in repr(estimator)

    def test_grid_search_tries_transformers_inside_a_pipeline(self, make_panel, by_asset):
        industry, _ = by_asset
        X = make_panel(7, n_dates=12)
        y = X["c0"].fillna(0.0)
        steps = make_pipeline(CrossSectionalImputer(), CrossSectionalStandardScaler(missing="zero"), LinearRegression())
        grid = {
            "crosssectionalimputer__strategy": ["median", "zero"],
            "crosssectionalstandardscaler__industry": [None, industry],
        }
        search = GridSearchCV(steps, grid, cv=KFold(2), error_score="raise").fit(X.fillna({"c1": 0.0, "c2": 0.0}), y)
        assert len(search.cv_results_["params"]) == 4

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY, ids=name_of)
    def test_names_and_missing_values_are_reported(self, estimator, make_panel):
        X = make_panel(8)
        estimator = clone(estimator).fit(X)
        pd.testing.assert_series_equal(estimator.n_missing_, X.isna().sum())
        assert list(estimator.get_feature_names_out()) == list(X.columns)
        tags = get_tags(estimator)
        assert tags.input_tags.allow_nan
        assert not tags.requires_fit

    def test_column_transformer_treats_some_columns_only(self, make_panel):
        X = make_panel(9)
        both = make_column_transformer(
            (CrossSectionalRankScaler(), ["c0"]), remainder="passthrough", verbose_feature_names_out=False
        ).set_output(transform="pandas")
        expected = X.assign(c0=CrossSectionalRankScaler().fit_transform(X)["c0"])
        pd.testing.assert_frame_equal(both.fit_transform(X), expected)


class TestValidation:
    @pytest.mark.parametrize(
        ("estimator", "name"),
        [
            (CrossSectionalRankScaler(industry="banks"), "industry"),
            (CrossSectionalStandardScaler(weight=[1.0]), "weight"),
            (CrossSectionalStandardScaler(ddof=2), "ddof"),
            (CrossSectionalStandardScaler(missing="drop"), "missing"),
            (CrossSectionalWinsorizer(lower=-0.1), "lower"),
            (CrossSectionalWinsorizer(upper=99), "upper"),
            (CrossSectionalWinsorizer(missing="zero"), "missing"),
            (CrossSectionalImputer("mode"), "strategy"),
            (CrossSectionalNeutralizer(factors="CAP"), "factors"),
            (CrossSectionalNeutralizer(columns="CAP"), "columns"),
        ],
        ids=repr,
    )
    def test_unknown_parameters_are_refused_by_fit_and_by_transform_alone(self, estimator, name):
        for method in (estimator.fit, estimator.transform):
            with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
                method(np.ones((2, 1)))

    @pytest.mark.parametrize("estimator", TAKING_INDUSTRY[1:], ids=name_of)
    def test_infinity_is_refused_with_its_column(self, estimator, make_panel):
        X = make_panel(10).fillna(0.0)
        X.iloc[0, 1] = np.inf
        for method in (estimator.fit, estimator.transform):
            with pytest.raises(NonFiniteError, match=r"infinity \(inf\): 1 in 'c1'"):
                method(X)
        with pytest.raises(NonFiniteError, match="1 in 'column 1'"):
            CrossSectionalRankScaler().fit(X.to_numpy())

    @pytest.mark.parametrize("method", ["fit", "transform"])
    def test_nan_is_refused_where_asked_for(self, method):
        X = pd.DataFrame({"CAP": [1.0, np.nan]})
        for estimator in (
            CrossSectionalStandardScaler(missing="raise"),
            CrossSectionalWinsorizer(missing="raise"),
            CrossSectionalNeutralizer(missing="raise"),
        ):
            with pytest.raises(NonFiniteError, match="NaN: 1 in 'CAP'"):
                getattr(estimator, method)(X)

    def test_every_transformer_refuses_panels_without_dates(self, make_panel):
        X = make_panel(11).rename_axis(["month", "permno"])
        for estimator in TAKING_INDUSTRY:
            with pytest.raises(PanelError, match="level named 'date'"):
                clone(estimator).fit(X)

    def test_columns_of_one_name_are_refused(self, make_panel):
        X = make_panel(12).rename(columns={"c1": "c0"})
        for method in (CrossSectionalRankScaler().fit, CrossSectionalRankScaler().transform):
            with pytest.raises(PanelError, match="one column of each name. Got more of 'c0'"):
                method(X)

    def test_coverage_warning_is_the_one_of_the_package(self):
        with pytest.warns(CoverageWarning):
            CrossSectionalImputer().fit_transform(np.array([[np.nan], [np.nan]]))
