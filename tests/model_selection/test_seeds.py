"""n_seeds: ensembles over random states, their mean, spread and explanations; and contributions by group."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, make_factor_panel, stack_lags, walk_forward_predict
from skdrfm.exceptions import CheckpointError, PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection._members import mean_explanation, member, random_parameters

GROUPS = {"Risk": ["60VOL", "BETA"], "Other": ["SKEW"]}


@pytest.fixture(scope="module")
def panel():
    """Two lags of three descriptors, 18 months, of which 6 are tested."""
    X, y = make_factor_panel(n_dates=19, n_assets=8, n_descriptors=3, random_state=1)
    return stack_lags(X, y, lags=(0, 1))


def walk(model, panel, **options):
    return walk_forward_predict(model, *panel, **{"cv": WalkForwardSplit(12), "progress": False, **options})


class NoisyLinear(LinearFactorRegressor):
    """A linear model whose loadings have noise from its random state, like a network's from its random start."""

    _parameter_constraints = {**LinearFactorRegressor._parameter_constraints, "random_state": ["random_state"]}  # noqa: RUF012

    def __init__(self, n_timesteps=None, *, fit_intercept=True, random_state=None):
        super().__init__(n_timesteps, fit_intercept=fit_intercept)
        self.random_state = random_state

    def fit(self, X, y):
        super().fit(X, y)
        noise = check_random_state(self.random_state).normal(size=len(self.coef_) + 1)
        self.coef_ = self.coef_ + 0.1 * noise[1:]
        self.intercept_ += 0.1 * noise[0]
        return self


class TestReferenceValues:
    def test_members_have_the_states_of_the_formula(self):
        model = RandomForestRegressor(random_state=5)
        assert member(model, 0).random_state == 5
        for number in (1, 2, 30):
            word = np.random.SeedSequence([5, number]).generate_state(1)[0]
            assert member(model, number).random_state == int(word) // 2
        assert len({member(model, number).random_state for number in range(200)}) == 200
        assert model.random_state == 5

    def test_the_mean_and_the_spread_are_those_of_walks_of_each_member(self, panel):
        model = RandomForestRegressor(3, random_state=4)
        result = walk(model, panel, n_seeds=3)
        alone = np.column_stack([walk(member(model, number), panel).predictions for number in range(3)])
        np.testing.assert_array_equal(result.seed_predictions, alone)
        np.testing.assert_array_equal(result.predictions, alone.mean(axis=1))
        np.testing.assert_allclose(result.spread, np.sqrt(((alone.T - alone.mean(axis=1)) ** 2).sum(axis=0) / 2))
        assert (result.spread > 0).any()
        for part in (result.spread, result.seed_predictions):
            assert part.index.equals(result.predictions.index)
        pd.testing.assert_frame_equal(
            result.to_frame(), pd.DataFrame({"prediction": result.predictions, "spread": result.spread})
        )

    def test_one_seed_is_the_model_as_it_is(self, panel):
        result = walk(RandomForestRegressor(3, random_state=4), panel, n_seeds=1)
        X, y = panel
        dates = X.index.get_level_values("date")
        first = sorted(dates.unique())[:13]
        train, test = dates.isin(first[:12]), dates == first[12]
        forest = RandomForestRegressor(3, random_state=4).fit(X[train], y[train])
        np.testing.assert_array_equal(result.predictions[first[12]], forest.predict(X[test]))
        assert result.spread is None
        assert result.seed_predictions is None
        assert list(result.to_frame()) == ["prediction"]


class TestMembers:
    def test_nested_random_states_are_set(self):
        forest = RandomForestRegressor(random_state=1)
        search = GridSearchCV(make_pipeline(StandardScaler(), forest), {"randomforestregressor__max_depth": [1]})
        assert random_parameters(search) == ["estimator__randomforestregressor__random_state"]
        inner = member(search, 2).estimator[-1]
        assert inner.random_state == member(forest, 2).random_state != 1
        assert forest.random_state == 1

    def test_none_draws_anew_for_each_member(self, panel):
        assert member(RandomForestRegressor(), 1).random_state is None
        by_seed = walk(RandomForestRegressor(3), panel, n_seeds=2).seed_predictions
        assert (by_seed[0] != by_seed[1]).any()

    def test_a_random_state_object_gives_seeds_and_does_not_move_on(self):
        state = np.random.RandomState(3)
        before = state.get_state()[1].copy()
        seeds = [member(RandomForestRegressor(random_state=state), number).random_state for number in (1, 2, 1)]
        assert seeds[0] == seeds[2] != seeds[1]
        np.testing.assert_array_equal(state.get_state()[1], before)

    def test_a_model_without_random_state_is_refused_by_name(self, panel):
        models = {"forest": RandomForestRegressor(3, random_state=0), "ols": LinearRegression()}
        with pytest.raises(
            ValueError, match="Got none in LinearRegression for 'ols'. Walk these models with n_seeds=1"
        ):
            walk(models, panel, n_seeds=2)


class TestProperties:
    def test_the_mean_explanation_adds_up_to_the_mean_prediction(self, panel):
        result = walk(NoisyLinear(random_state=0), panel, n_seeds=4, explain=True)
        explanation = result.explanation
        np.testing.assert_allclose(explanation.predictions, result.predictions, rtol=1e-12)
        assert np.abs(explanation.conservation_gap).max() < 1e-14
        single = [
            walk(member(NoisyLinear(random_state=0), number), panel, explain=True).explanation for number in range(4)
        ]
        np.testing.assert_allclose(explanation.values, np.mean([part.values for part in single], axis=0), atol=1e-15)
        np.testing.assert_allclose(explanation.bias, np.mean([part.bias for part in single], axis=0), atol=1e-15)

    def test_that_of_networks_too(self, panel):
        model = DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0)
        pair = {
            "LSTM": model,
            "LSTM+LRP": DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0, linearized=True),
        }
        results = walk(pair, panel, n_seeds=2, explain=True, cv=WalkForwardSplit(12, 3))
        for result in results.values():
            assert np.abs(result.explanation.conservation_gap).max() < 1e-12
            assert (result.spread > 0).all()
            assert result.explanation.coverage
        explanation = results["LSTM"].explanation
        np.testing.assert_allclose(explanation.predictions, results["LSTM"].predictions, rtol=1e-10)
        np.testing.assert_allclose(explanation.linear_prediction, results["LSTM+LRP"].predictions, rtol=1e-10)

    def test_workers_and_blocks_change_nothing(self, panel):
        model = RandomForestRegressor(2, random_state=0)
        base = walk(model, panel, n_seeds=3)
        for options in ({"n_jobs": 2}, {"windows_per_program": 7}, {"windows_per_program": 2, "n_jobs": 2}):
            other = walk(model, panel, n_seeds=3, **options)
            pd.testing.assert_frame_equal(base.seed_predictions, other.seed_predictions, check_exact=True)

    def test_results_cannot_be_overwritten(self, panel):
        result = walk(NoisyLinear(random_state=0), panel, n_seeds=2, explain=True, groups=GROUPS)
        for part in (result.predictions, result.spread, result.seed_predictions, result.contributions):
            assert not part.to_numpy().flags.writeable

    def test_a_finished_walk_is_read_back_bit_for_bit(self, panel, tmp_path):
        options = {"n_seeds": 2, "explain": True, "groups": GROUPS, "checkpoint": tmp_path}
        first, second = (walk(NoisyLinear(random_state=0), panel, **options) for _ in range(2))
        pd.testing.assert_frame_equal(first.windows, second.windows)
        pd.testing.assert_frame_equal(first.seed_predictions, second.seed_predictions, check_exact=True)
        pd.testing.assert_frame_equal(first.contributions, second.contributions, check_exact=True)
        pd.testing.assert_series_equal(first.spread, second.spread, check_exact=True)

    def test_members_that_explain_other_inputs_are_not_averaged(self, panel):
        X, y = panel
        fitted = LinearFactorRegressor().fit(X, y)
        with pytest.raises(ValueError, match="Got others in member 1 than in member 0"):
            mean_explanation([fitted.explain(X.head(3)), fitted.explain(X.tail(3))])

    def test_a_folder_of_another_number_of_seeds_is_refused(self, panel, tmp_path):
        model = RandomForestRegressor(2, random_state=0)
        walk(model, panel, checkpoint=tmp_path, n_seeds=2)
        with pytest.raises(CheckpointError, match=r"n_seeds=2.*now n_seeds=3"):
            walk(model, panel, checkpoint=tmp_path, n_seeds=3)


class TestContributions:
    @pytest.mark.parametrize("n_seeds", [1, 3])
    def test_they_are_the_sums_of_the_whole_explanation_and_add_up(self, panel, n_seeds):
        options = {"n_seeds": n_seeds, "explain": True}
        whole, small = (walk(NoisyLinear(random_state=0), panel, groups=groups, **options) for groups in (None, GROUPS))
        assert whole.contributions is None
        assert small.explanation is None
        assert list(small.contributions) == ["Risk", "Other", "intercept"]
        expected = whole.explanation.by_group(GROUPS)
        pd.testing.assert_frame_equal(small.contributions[list(GROUPS)], expected, check_exact=True)
        np.testing.assert_array_equal(small.contributions["intercept"], whole.explanation.intercept)
        np.testing.assert_allclose(small.contributions.sum(axis=1), small.predictions, rtol=1e-10)

    def test_columns_without_lags_have_groups_too(self, panel):
        X, y = panel
        columns = {name: f"d{number}" for number, name in enumerate(X.columns)}
        groups = {"first": ["d0"], "others": list(columns.values())[1:]}
        result = walk(LinearFactorRegressor(), (X.rename(columns=columns), y), explain=True, groups=groups)
        np.testing.assert_allclose(result.contributions.sum(axis=1), result.predictions, rtol=1e-10)
        with pytest.raises(PanelError, match=r"Got \['d0'\] in none"):
            walk(LinearFactorRegressor(), (X.rename(columns=columns), y), explain=True, groups={"x": groups["others"]})

    def test_they_take_less_disk(self, panel, tmp_path):
        sizes = {}
        for name, groups in (("whole", None), ("small", GROUPS)):
            walk(LinearFactorRegressor(), panel, explain=True, groups=groups, checkpoint=tmp_path / name)
            sizes[name] = {part for path in (tmp_path / name).rglob("*.npz") for part in np.load(path).files}
        assert "0/explanation/loadings" in sizes["whole"]
        assert sizes["small"] == {"test_rows", "fit_seconds", "0/predictions", "0/contributions"}

    def test_models_that_are_not_explained_have_none(self, panel):
        models = {"a": LinearFactorRegressor(), "b": LinearRegression()}
        results = walk(models, panel, explain=["a"], groups=GROUPS)
        assert results["a"].contributions is not None
        assert results["b"].contributions is None

    def test_groups_of_another_folder_are_refused(self, panel, tmp_path):
        walk(LinearFactorRegressor(), panel, checkpoint=tmp_path, explain=True)
        with pytest.raises(CheckpointError, match="contributions=.*Risk"):
            walk(LinearFactorRegressor(), panel, checkpoint=tmp_path, explain=True, groups=GROUPS)

    def test_groups_need_something_to_explain(self, panel):
        with pytest.raises(ValueError, match="'groups' must come with models to explain"):
            walk(LinearFactorRegressor(), panel, groups=GROUPS)

    def test_a_group_has_another_name_than_the_intercept(self, panel):
        with pytest.raises(ValueError, match="No group must have the name 'intercept'"):
            walk(LinearFactorRegressor(), panel, explain=True, groups={"intercept": ["BETA"]})

    @pytest.mark.parametrize(
        ("groups", "message"),
        [({"Risk": ["BETA"]}, r"\['60VOL', 'SKEW'\] in none"), ({**GROUPS, "x": ["ROE"]}, r"\['ROE'\] beside")],
    )
    def test_groups_that_do_not_fit_are_found_before_any_fit(self, panel, groups, message):
        class NeverFitted(LinearFactorRegressor):
            def fit(self, X, y):
                raise AssertionError

        with pytest.raises(PanelError, match=message):
            walk(NeverFitted(), panel, explain=True, groups=groups)
