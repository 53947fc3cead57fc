"""Every planted leak is found under its own code, and clean panels give no finding."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skdrfm import WalkForwardSplit, make_factor_panel, stack_lags
from skdrfm.exceptions import NonFiniteError, PanelError, SplitError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import LEAKAGE_CHECKS, audit_leakage
from skdrfm.inspection._audit import _lookers
from skdrfm.panel import dates_of, forward_returns
from skdrfm.preprocessing import CrossSectionalRankScaler

CV = WalkForwardSplit(24, 6)


def make_panel(seed=0, n_dates=60, n_assets=60, entry_exit=0.4, **kwargs):
    return make_factor_panel(
        n_dates=n_dates, n_assets=n_assets, n_descriptors=6, entry_exit=entry_exit, random_state=seed, **kwargs
    )


def audit(X, y, estimator=None, cv=CV, **kwargs):
    return audit_leakage(LinearFactorRegressor() if estimator is None else estimator, X, y, cv=cv, **kwargs)


@pytest.fixture(scope="module")
def panel():
    return make_panel()


class WholeTableScaler(TransformerMixin, BaseEstimator):
    """Divide by statistics of whatever rows transform is given."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return (X - X.mean()) / X.std()


class BackwardFiller(TransformerMixin, BaseEstimator):
    """Fill missing values from the asset's future."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.groupby(level="asset").bfill().fillna(0.0)


class TableScaler(TransformerMixin, BaseEstimator):
    """Learn from a table that the caller holds, whatever rows fit is given."""

    def __init__(self, table=None):
        self.table = table

    def fit(self, X, y=None):
        self.scale_ = self.table.std().to_numpy() if self.table is not None else 1.0
        return self

    def transform(self, X):
        # Not linear in the scale, so that a linear model does not undo it.
        return np.tanh(X / self.scale_)


TEST_LABELS = {}


class Peeker(RegressorMixin, BaseEstimator):
    """Predict the targets that a variable of the module holds."""

    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return TEST_LABELS["y"].reindex(X.index).fillna(self.mean_).to_numpy()


class FuturePredictor(LinearRegression):
    """Demean predictions over all the rows that are to be predicted."""

    def predict(self, X):
        values = super().predict(X)
        return values - values.mean()


class TestCleanPanels:
    @pytest.mark.parametrize("seed", range(20))
    def test_a_clean_panel_has_no_finding(self, seed):
        X, y = make_panel(seed)
        model = make_pipeline(StandardScaler().set_output(transform="pandas"), LinearFactorRegressor())
        report = audit(CrossSectionalRankScaler().fit_transform(X), y, model, random_state=seed)
        assert report.ok, report
        assert set(report.checked) == set(LEAKAGE_CHECKS)

    @pytest.mark.parametrize("seed", range(3))
    def test_raw_and_lagged_columns_and_one_date_windows_have_no_finding(self, seed):
        X, y = make_panel(seed, missing=0.05)
        X, y = stack_lags(CrossSectionalRankScaler(missing="zero").fit_transform(X), y, lags=(0, 3, 12))
        assert audit(X, y, cv=WalkForwardSplit(24, 1), random_state=seed).ok

    def test_a_clean_search_has_no_finding(self, panel):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1.0, 10.0]}, cv=WalkForwardSplit(12, 6)
        )
        assert audit(*panel, search).ok

    def test_a_forest_without_a_seed_has_no_finding(self, panel):
        report = audit(*panel, RandomForestRegressor(n_estimators=5, max_depth=3), n_windows=1)
        assert report.ok, report

    def test_targets_missing_at_the_end_are_counted_and_no_finding(self, panel):
        X, y = panel
        y = y.mask(dates_of(y) == dates_of(y).max())
        report = audit(X, y)
        assert report.ok
        assert report.n_missing_targets == int(y.isna().sum()) > 0

    @pytest.mark.parametrize("kind", ["yyyymm", "period", "text"])
    def test_dates_may_be_of_any_kind_and_stand_after_the_asset(self, panel, kind):
        X, y = (part.swaplevel() for part in panel)
        dates = X.index.levels[1]
        kinds = {
            "yyyymm": dates.strftime("%Y%m").astype(int),
            "period": dates.to_period("M"),
            "text": dates.astype(str),
        }
        X, y = (part.set_axis(part.index.set_levels(kinds[kind], level="date")) for part in (X, y))
        report = audit(X, y)
        assert report.ok, report
        assert report.checked["survivorship"] == "passed"
        steps = make_pipeline(StandardScaler().set_output(transform="pandas"), WholeTableScaler(), Ridge())
        assert audit(X, y, steps).codes == ("look_ahead",)

    def test_a_longer_horizon_with_its_gap_has_no_finding(self):
        X, y = horizon_panel()
        assert audit(X, y, cv=WalkForwardSplit(24, 6, gap=2), horizon=3).ok

    def test_inputs_stay_as_they_are(self, panel):
        X, y = panel
        before = X.copy(), y.copy()
        audit(X, y, make_pipeline(StandardScaler(), LinearRegression()))
        pd.testing.assert_frame_equal(X, before[0])
        pd.testing.assert_series_equal(y, before[1])

    def test_the_same_seed_gives_the_same_report(self, panel):
        X, y = panel
        TEST_LABELS["y"] = y
        first, second = (audit(X, y, Peeker(), random_state=3).to_frame() for _ in range(2))
        pd.testing.assert_frame_equal(first, second)


def horizon_panel():
    X, y = make_panel(1, entry_exit=0.0)
    known = y.groupby(level="asset").shift(1).fillna(0.0)
    y = forward_returns(known, horizon=3).dropna()
    # Leavers, so that the universe is not one of survivors.
    gone = (dates_of(y) > dates_of(y).unique()[40]) & y.index.get_level_values("asset").isin(["A01", "A02", "A03"])
    y = y[~gone]
    return X.loc[y.index], y


class TestPlantedInTheData:
    @pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), MinMaxScaler(), MinMaxScaler((-1, 1))])
    def test_scalers_fitted_to_all_dates(self, panel, scaler):
        X, y = panel
        X = pd.DataFrame(scaler.fit_transform(X), index=X.index, columns=X.columns)
        report = audit(X, y)
        assert report.codes == ("full_sample_scaling",)
        assert "6 of 6 columns" in report.findings[0].evidence

    def test_a_single_scaled_column_in_single_precision_is_named(self, panel):
        X, y = panel
        X = X.astype(np.float32)
        X["CAP"] = ((X["BETA"] - X["BETA"].mean()) / X["BETA"].std()).astype(np.float32)
        report = audit(X, y, checks=["full_sample_scaling"])
        assert "1 of 7 columns ('CAP') have mean 0" in report.findings[0].evidence

    def test_cross_sectional_scores_are_no_full_sample_scaling(self, panel):
        X, y = panel
        by_date = X.groupby(level="date")
        X = (X - by_date.transform("mean")) / by_date.transform("std", ddof=0)
        assert audit(X, y, checks=["full_sample_scaling"]).ok

    def test_a_target_scaled_over_all_dates(self, panel):
        X, y = panel
        assert audit(X, (y - y.mean()) / y.std()).codes == ("scaled_target",)

    @pytest.mark.parametrize(("noise", "title"), [(0.0, "is the target itself"), (0.6, "holds much of the target")])
    def test_the_target_among_the_columns(self, panel, noise, title):
        X, y = panel
        rng = np.random.default_rng(0)
        copied = X.assign(NEW=-y / y.std() + noise * rng.standard_normal(len(y)))
        report = audit(copied, y)
        assert report.codes == ("target_in_features",)
        assert title in report.findings[0].title
        assert "'NEW' -" in report.findings[0].evidence

    def test_returns_joined_by_row_number_to_other_assets(self, panel):
        X, y = panel
        known = y.groupby(level="asset").shift(1)
        X = X.assign(RET=known)[known.notna()]
        y = y[known.notna()]
        assert audit(X, y, checks=["misaligned_target"]).ok
        moved = pd.Series(np.roll(y.to_numpy(), 1), index=y.index)
        report = audit(X, moved)
        assert report.codes == ("misaligned_target",)
        assert "'RET'" in report.findings[0].evidence

    def test_returns_that_are_known_at_their_date(self, panel):
        X, y = panel
        X = X.assign(RET=y.groupby(level="asset").shift(1).fillna(0.0))
        known = y.groupby(level="asset").shift(2).fillna(0.0)
        report = audit(X, known, checks=["misaligned_target"])
        assert report.codes == ("misaligned_target",)
        assert "(most often -1 dates)" in report.findings[0].evidence

    def test_duplicate_rows(self, panel):
        X, y = panel
        report = audit(pd.concat([X, X.iloc[:3]]), pd.concat([y, y.iloc[:3]]))
        assert report.codes == ("duplicate_keys",)
        assert "3 of " in report.findings[0].evidence
        assert "duplicate keys" in report.checked["look_ahead"]

    def test_returns_in_percent(self, panel):
        X, y = panel
        assert audit(X, 100 * y).codes == ("percent_target",)

    def test_scores_by_date_are_no_returns_in_percent(self, panel):
        X, y = panel
        by_date = y.groupby(level="date")
        scores = (y - by_date.transform("mean")) / by_date.transform("std")
        report = audit(X, scores, checks=["percent_target", "scaled_target"])
        assert report.ok
        assert "a score" in report.checked["percent_target"]

    @pytest.mark.parametrize("where", ["column from a date on", "column on one date", "y from a date on"])
    def test_a_unit_that_changes_at_a_date(self, panel, where):
        X, y = panel
        date = dates_of(X).unique().sort_values()[40]
        late = dates_of(X) == date if "one" in where else dates_of(X) >= date
        if "column" in where:
            X = X.assign(ROE=X["BETA"].where(~late, 100 * X["BETA"]))
        else:
            y = y.where(~late, 100 * y)
        report = audit(X, y)
        assert report.codes == ("scale_jump",)
        name = "ROE" if "column" in where else "y"
        assert f"'{name}' at '{date:%Y-%m-%d}'" in report.findings[0].evidence

    def test_columns_shared_by_all_assets_may_jump(self, panel):
        X, y = panel
        late = dates_of(X) >= dates_of(X).unique().sort_values()[40]
        assert audit(X.assign(RATE=np.where(late, 4.0, 0.04)), y, checks=["scale_jump"]).ok

    def test_missing_returns_filled_with_zero(self, panel):
        X, y = panel
        filled = y.where(np.random.default_rng(0).random(len(y)) > 0.1, 0.0)
        report = audit(X, filled)
        assert report.codes == ("zero_filled_target",)
        assert report.warnings == report.findings

    def test_one_target_for_all_assets_of_a_date(self, panel):
        X, y = panel
        report = audit(X, y.groupby(level="date").transform("mean"))
        assert report.codes == ("constant_target",)

    @pytest.mark.parametrize("entrants", [False, True])
    def test_survivors_only(self, entrants):
        X, y = make_panel(entry_exit=0.4 if entrants else 0.0, n_assets=60)
        last = dates_of(X) == dates_of(X).max()
        survivors = X.index.get_level_values("asset").isin(X[last].index.get_level_values("asset"))
        report = audit(X[survivors], y[survivors])
        assert report.codes == ("survivorship",)
        assert f"and {0 if not entrants else 12} enter" in report.findings[0].evidence

    def test_too_small_a_panel_says_nothing_of_survivors(self):
        report = audit(*make_panel(entry_exit=0.0, n_assets=20), checks=["survivorship"])
        assert report.ok
        assert "exits would be expected" in report.checked["survivorship"]

    def test_missing_delisting_returns(self, panel):
        X, y = panel
        dates = dates_of(X)
        last = pd.Series(dates, index=X.index).groupby(level="asset").transform("max")
        leaves = (dates == last) & (dates < dates.max())
        report = audit(X, y.mask(np.asarray(leaves)))
        assert report.codes == ("delisting_returns",)


class TestPlantedInTheSplits:
    def test_shuffled_folds(self, panel):
        report = audit(*panel, cv=KFold(5, shuffle=True, random_state=0))
        assert report.codes == ("training_after_test",)
        assert "5 of 5 windows" in report.findings[0].evidence

    def test_rows_that_cut_a_date(self, panel):
        report = audit(*panel, cv=TimeSeriesSplit(4))
        assert report.codes == ("date_cut",)

    def test_test_rows_among_training_rows(self, panel):
        splits = [(np.union1d(train, test[:5]), test) for train, test in CV.split(*panel)]
        report = audit(*panel, cv=splits)
        assert report.codes == ("test_in_training",)
        assert "5 of" in report.findings[0].evidence

    @pytest.mark.parametrize("gap", [0, 1])
    def test_a_longer_horizon_without_its_gap(self, gap):
        X, y = horizon_panel()
        report = audit(X, y, cv=WalkForwardSplit(24, 6, gap=gap), horizon=3, checks=["label_overlap"])
        assert report.codes == ("label_overlap",)

    def test_a_longer_horizon_that_was_not_declared(self):
        X, y = horizon_panel()
        assert audit(X, y).codes == ("overlapping_target",)

    def test_folds_inside_a_search(self, panel):
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=KFold(3, shuffle=True, random_state=0))
        report = audit(*panel, search)
        assert report.codes == ("training_after_test",)
        assert (report.findings[0].severity, "inside GridSearchCV" in report.findings[0].evidence) == ("warning", True)

    def test_a_search_that_names_no_folds_has_ordinary_ones(self, panel):
        report = audit(*panel, GridSearchCV(Ridge(), {"alpha": [1.0]}), checks=["training_after_test"])
        assert report.codes == ("training_after_test",)

    def test_early_stopping_on_random_rows(self, panel):
        model = make_pipeline(StandardScaler(), SGDRegressor(early_stopping=True))
        report = audit(*panel, model)
        assert report.codes == ("random_validation",)


class TestPlantedInTheModel:
    def test_a_step_that_uses_the_whole_table(self, panel):
        report = audit(
            *panel, make_pipeline(StandardScaler().set_output(transform="pandas"), WholeTableScaler(), Ridge())
        )
        assert report.codes == ("look_ahead",)
        assert report.findings[0].title.startswith("Step 'wholetablescaler' (WholeTableScaler) looks ahead")
        assert len(report.findings) == 1

    def test_a_step_behind_arrays_and_inside_a_search(self, panel):
        class ArrayScaler(WholeTableScaler):
            def transform(self, X):
                return X / X.max(axis=0)

        model = make_pipeline(StandardScaler(), "passthrough", ArrayScaler(), Ridge())
        report = audit(*panel, GridSearchCV(model, {"ridge__alpha": [1.0]}, cv=WalkForwardSplit(12, 6)))
        assert report.codes == ("look_ahead",)
        assert "'arrayscaler'" in report.findings[0].title

    def test_a_step_that_fills_from_the_future(self):
        X, y = make_panel(missing=0.1)
        report = audit(X, y, make_pipeline(BackwardFiller(), Ridge()))
        assert report.codes == ("look_ahead",)
        assert "'backwardfiller'" in report.findings[0].title

    def test_predictions_that_use_all_rows_asked_for(self, panel):
        report = audit(*panel, FuturePredictor())
        assert report.codes == ("look_ahead",)
        assert report.findings[0].title.startswith("The predictions of FuturePredictor")

    def test_a_parameter_that_holds_the_whole_table(self, panel):
        X, y = panel
        report = audit(X, y, make_pipeline(TableScaler(X), Ridge()))
        assert report.codes == ("outside_training",)
        assert "'tablescaler__table'" in report.findings[0].evidence
        # Cut to dates before the first window's end, the same parameter is clean.
        past = X[dates_of(X) <= dates_of(X).unique().sort_values()[20]]
        assert audit(X, y, make_pipeline(TableScaler(past), Ridge()), checks=["outside_training"]).ok

    def test_a_model_that_peeks_at_the_test_labels(self, panel):
        X, y = panel
        TEST_LABELS["y"] = y
        report = audit(X, y, Peeker())
        assert report.codes == ("shuffled_labels",)
        assert "with the true targets" in report.findings[0].evidence

    def test_a_model_that_keeps_rows_which_are_tested(self, panel):
        # Fitted to noise, a deep tree remembers it where rows train and test.
        splits = [(np.union1d(train, test), test) for train, test in CV.split(*panel)]
        forest = RandomForestRegressor(n_estimators=3, random_state=0)
        report = audit(*panel, forest, cv=splits, checks=["shuffled_labels"], n_windows=2)
        assert report.codes == ("shuffled_labels",)
        assert "with the permuted targets" in report.findings[0].evidence

    def test_skill_that_returns_do_not_allow(self):
        X, y = make_panel(noise=0.03, nonlinearity=0.0, regimes=1)
        report = audit(X, y)
        assert report.codes == ("implausible_skill",)
        assert "a mean rank correlation of 0.3" in report.findings[0].evidence

    def test_a_column_that_tells_the_return_of_the_market(self, panel):
        X, y = panel
        report = audit(X.assign(MARKET=y.groupby(level="date").transform("mean")), y)
        assert report.codes == ("implausible_skill",)
        assert "out-of-sample R2" in report.findings[0].evidence

    def test_a_part_fitted_before_the_split(self, panel):
        X, y = panel
        report = audit(X, y, make_pipeline(FrozenEstimator(StandardScaler().fit(X)), Ridge()))
        assert report.codes == ("prefit_step",)
        assert "'frozenestimator'" in report.findings[0].evidence


class TestValidation:
    def test_the_checks_of_the_documentation_are_those_that_run(self, panel):
        assert list(_lookers(None, None, [], 1, _NoModel())) == list(LEAKAGE_CHECKS)

    def test_a_check_can_be_left_out(self):
        X, y = make_panel(noise=0.03, nonlinearity=0.0, regimes=1)
        report = audit(X, y, checks=set(LEAKAGE_CHECKS) - {"implausible_skill"})
        assert report.ok
        assert "implausible_skill" not in report.checked

    def test_a_model_that_cannot_be_fitted_is_told_and_not_ok(self, panel):
        X, y = panel
        report = audit(X.mask(X > 3), y, LinearRegression())
        assert not report.findings
        assert not report.ok
        assert report.checked["look_ahead"].startswith("could not run: ValueError: Input X contains NaN")

    def test_constant_predictions_have_no_skill_to_judge(self, panel):
        report = audit(*panel, DummyRegressor())
        assert report.ok
        assert "constant" in report.checked["shuffled_labels"]

    def test_one_asset_has_no_labels_to_shuffle(self, panel):
        X, y = panel
        one = X.index.get_level_values("asset") == X.index.get_level_values("asset")[0]
        report = audit(X[one], y[one], LinearRegression(), checks={"shuffled_labels"})
        assert report.ok
        assert report.checked == {"shuffled_labels": "not applicable: no date has two assets whose targets differ"}

    def test_a_selector_in_the_pipeline_is_clean(self, panel):
        assert audit(*panel, make_pipeline(SelectKBest(k=3), LinearRegression())).ok

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda X, y: (X.to_numpy(), y), PanelError, "X must be a DataFrame"),
            (lambda X, y: (X, y.to_numpy()), PanelError, "y must be a Series"),
            (lambda X, y: (X, y.iloc[::-1]), PanelError, "in another order"),
            (lambda X, y: (X.reset_index(drop=True), y), PanelError, "MultiIndex with the levels"),
            (lambda X, y: (X.assign(NAME="a"), y), PanelError, "'NAME'"),
            (lambda X, y: (X.mask(X > 3, np.inf), y), NonFiniteError, "infinity"),
            (lambda X, y: (X, y * np.nan), PanelError, "all missing"),
        ],
    )
    def test_what_is_no_panel_is_refused(self, panel, change, error, message):
        X, y = change(*panel)
        with pytest.raises(error, match=message):
            audit(X, y)

    def test_windows_that_do_not_fit_are_refused(self, panel):
        with pytest.raises(SplitError, match="must fit"):
            audit(*panel, cv=WalkForwardSplit(600))

    def test_arguments_out_of_range_are_refused(self, panel):
        with pytest.raises(TypeError, match="must have fit, predict and get_params"):
            audit(*panel, LinearRegression)
        with pytest.raises(ValueError, match="'horizon' must be an integer >= 1. Got 0"):
            audit(*panel, horizon=0)
        with pytest.raises(ValueError, match="Got 'nonsense'"):
            audit(*panel, checks=["nonsense"])
        with pytest.raises(ValueError, match="put it into a list"):
            audit(*panel, checks="date_cut")


class _NoModel:
    look_ahead = outside_training = shuffled_labels = implausible_skill = None
