"""Faithfulness: figures against slow literal oracles, what they must not depend on, and what is refused."""

import itertools
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm import explain, make_factor_panel, stack_lags
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.explanation import Explanation, network_explanation
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._faithfulness import faithfulness
from skdrfm.inspection._faithfulness_baseline import PERTURBATIONS, REPLACEMENTS, Baseline, sections
from skdrfm.inspection._faithfulness_subsets import draw_perturbations
from skdrfm.lrp import Dense, Flatten, Network, Rule, predict

SHAPE = (2, 3)
NAMES = ["BETA", "CAP", "SKEW"]
GROUPS = {"Risk": ["BETA", "SKEW"], "Size": ["CAP"]}
FAITHFUL = ["aopc", "insertion", "abpc", "sensitivity_1", "sensitivity_10%", "sensitivity_50%"]
FIGURES = [*FAITHFUL, "infidelity", "infidelity_scaled", "scale", "randomisation", "stability"]
QUICK = {"n_steps": 4, "n_draws": 3, "n_subsets": 20, "n_repeats": 2, "random_state": 0}


def stacked(data, index):
    columns = [f"{name}__lag{lag}" for lag in (3, 0) for name in NAMES]
    return pd.DataFrame(data.reshape(len(data), -1), index=index, columns=columns)


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(5)
    layers = [
        Flatten(),
        Dense(rng.normal(size=(6, 4)), 0.3 * rng.normal(size=4), "tanh", name="hidden"),
        Dense(rng.normal(size=(4, 1)), np.array([0.2]), name="out"),
    ]
    return Network(layers, *SHAPE)


@pytest.fixture(scope="module")
def model(network):
    return SimpleNamespace(network_=network)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(1)
    index = pd.MultiIndex.from_product([pd.period_range("2020-01", periods=4, freq="M"), list("ABCDE")])
    return stacked(rng.normal(size=(20, *SHAPE)), index.set_names(["date", "asset"]))


@pytest.fixture(scope="module")
def explained(network, X):
    data = X.to_numpy().reshape(-1, *SHAPE)

    def by(rule):
        return network_explanation(network, data, rule=rule, index=X.index, descriptor_names=NAMES, lags=(3, 0))

    return {"lrp-all": by("lrp-all"), "gradient": by("gradient-x-input")}


@pytest.fixture(scope="module")
def linear():
    X, y = make_factor_panel(n_dates=10, n_assets=12, n_descriptors=3, random_state=0)
    X, y = stack_lags(X, y, lags=(0, 3))
    return LinearFactorRegressor().fit(X, y), X


def members(by):
    """Cells of each unit, as flat positions."""
    cells = np.arange(6).reshape(SHAPE)
    return {
        "cell": [[i] for i in range(6)],
        "lag": cells.tolist(),
        "descriptor": cells.T.tolist(),
        "group": [cells[:, [0, 2]].ravel().tolist(), cells[:, 1].tolist()],
    }[by]


def cells_of(units, chosen):
    return [cell for unit in chosen for cell in units[unit]]


def other_rows(X, row, kind):
    """Replacement rows, by the meaning of the baseline."""
    same_date = [i for i in range(len(X)) if X.index[i][0] == X.index[row][0]]
    values = X.to_numpy()
    if kind == "zero":
        return [np.zeros(6)]
    if kind == "date-mean":
        return [values[same_date].mean(axis=0)]
    return [values[i] for i in same_date if i != row]


def mean_prediction(network, X, row, removed, kind):
    """Mean over all replacement rows of the prediction with some cells replaced, one prediction at a time."""
    found = []
    for other in other_rows(X, row, kind):
        mixed = X.to_numpy()[row].copy()
        mixed[removed] = other[removed]
        found.append(predict(network, mixed.reshape(1, *SHAPE))[0])
    return np.mean(found)


class TestReferenceValues:
    @pytest.mark.parametrize("by", ["cell", "lag", "descriptor", "group"])
    @pytest.mark.parametrize("kind", ["zero", "date-mean", "date"])
    def test_areas_are_those_of_units_removed_one_after_the_other(self, network, model, X, explained, by, kind):
        report = faithfulness(
            explained["lrp-all"], model, X, baseline=kind, by=GROUPS if by == "group" else by, n_draws=99,
            n_steps=99, n_subsets=2, n_repeats=1, checks=False,
        )  # fmt: skip
        units = members(by)
        rows = {name: [] for name in ("aopc", "insertion", "abpc")}
        for row in range(len(X)):
            relevance = explained["lrp-all"].values[row].ravel()
            order = sorted(range(len(units)), key=lambda u: -relevance[units[u]].sum())
            steps = range(len(units) + 1)
            f = predict(network, X.to_numpy()[[row]].reshape(1, *SHAPE))[0]
            high = [mean_prediction(network, X, row, cells_of(units, order[:k]), kind) for k in steps]
            low = [mean_prediction(network, X, row, cells_of(units, order[::-1][:k]), kind) for k in steps]
            rows["aopc"].append(np.mean([f - value for value in high]))
            rows["insertion"].append(np.mean([value - high[-1] for value in low]))
            rows["abpc"].append(np.mean(np.array(low) - high))
        for name, values in rows.items():
            np.testing.assert_allclose(report.by_row["lrp-all", name], values, atol=1e-12)
            spread = explained["lrp-all"].predictions.std()
            assert report.table.loc["lrp-all", name] == pytest.approx(np.mean(values) / spread)

    @pytest.mark.parametrize("n", [1, 2, 3])
    @pytest.mark.parametrize("kind", ["zero", "date"])
    def test_sensitivity_correlates_relevance_with_change_over_all_subsets(self, network, model, X, explained, n, kind):
        report = faithfulness(
            explained["lrp-all"], model, X, baseline=kind, sensitivity=[n], n_draws=99, n_subsets=50, n_steps=1,
            n_repeats=1, checks=False,
        )  # fmt: skip
        expected = []
        for row in range(len(X)):
            relevance = explained["lrp-all"].values[row].ravel()
            whole = mean_prediction(network, X, row, [], kind)
            subsets = [list(subset) for subset in itertools.combinations(range(6), n)]
            said = [relevance[subset].sum() for subset in subsets]
            done = [whole - mean_prediction(network, X, row, subset, kind) for subset in subsets]
            expected.append(np.corrcoef(said, done)[0, 1])
        np.testing.assert_allclose(report.by_row["lrp-all", f"sensitivity_{n}"], expected, atol=1e-10)
        assert report.table.loc["lrp-all", f"sensitivity_{n}"] == pytest.approx(np.mean(expected))

    @pytest.mark.parametrize("by", ["cell", "lag"])
    @pytest.mark.parametrize("kind", ["date-mean", "date"])
    def test_infidelity_is_the_mean_square_of_what_loadings_get_wrong(self, network, model, X, explained, by, kind):
        loadings = explained["gradient"].loadings
        report = faithfulness(
            explained["gradient"], model, X, baseline=kind, by=by, n_draws=2, n_subsets=7, n_steps=1, n_repeats=1,
            random_state=3, checks=False,
        )  # fmt: skip
        values, units = X.to_numpy(), members(by)
        said, done = [], []
        for part in sections(X.index, len(X), 3):
            masks = draw_perturbations(len(units), 7, part.generator(PERTURBATIONS))
            draws = Baseline(kind, 2).draw(values[part.rows], part.generator(REPLACEMENTS))
            for place, row in enumerate(part.rows):
                for j, mask in enumerate(masks):
                    removed = cells_of(units, np.flatnonzero(mask))
                    step = np.zeros(6)
                    step[removed] = (values[row] - draws[place, j % draws.shape[1]])[removed]
                    pair = np.stack([values[row], values[row] - step]).reshape(2, *SHAPE)
                    said.append(step @ loadings[row].ravel())
                    done.append(np.subtract(*predict(network, pair)))
        said, done = np.array(said), np.array(done)
        size = (done**2).mean()
        scale = (said @ done) / (said @ said)
        row = report.table.loc["gradient-x-input"]
        assert row["infidelity"] == pytest.approx(((said - done) ** 2).mean() / size)
        assert row["scale"] == pytest.approx(scale)
        assert row["infidelity_scaled"] == pytest.approx(((scale * said - done) ** 2).mean() / size)
        by_row = ((said - done) ** 2).reshape(len(X), 7).mean(axis=1)
        np.testing.assert_allclose(report.by_row["gradient-x-input", "infidelity"], by_row, atol=1e-12)

    @pytest.mark.parametrize("by", ["cell", "lag", "descriptor"])
    def test_a_linear_model_is_explained_without_fault(self, linear, by):
        model, X = linear
        table = faithfulness(model.explain(X), model, X, baseline="zero", by=by, **QUICK).table.loc["linear"]
        assert table["infidelity"] < 1e-20
        assert table["scale"] == pytest.approx(1)
        np.testing.assert_allclose(table[["sensitivity_1", "sensitivity_50%"]], 1)

    def test_standard_errors_are_those_of_means_of_equal_dates(self, model, X, explained):
        report = faithfulness(explained, model, X, **QUICK)
        for name in explained:
            means = report.by_row[name, "sensitivity_1"].groupby(level="date").mean()
            assert report.standard_errors.loc[name, "sensitivity_1"] == pytest.approx(means.sem())

    def test_curves_start_at_the_prediction_and_insertion_ends_there(self, network, model, X, explained):
        report = faithfulness(explained, model, X, **QUICK)
        curves = report.curves.loc["lrp-all"]
        assert curves["share"].tolist() == [0, 1 / 3, 0.5, 2 / 3, 1]
        assert (curves[["highest_first", "lowest_first"]].iloc[0] == 0).all()
        assert curves["highest_first"].iloc[-1] == pytest.approx(curves["lowest_first"].iloc[-1])
        np.testing.assert_array_equal(curves["insertion"], curves["lowest_first"][::-1])
        table = report.table.loc["lrp-all"]
        assert table["aopc"] == pytest.approx(-curves["highest_first"].mean())
        assert table["abpc"] == pytest.approx((curves["lowest_first"] - curves["highest_first"]).mean())


class TestProperties:
    def test_a_random_attribution_orders_nothing(self, linear):
        model, X = linear
        report = faithfulness(model.explain(X), model, X, n_repeats=30, n_subsets=50, random_state=0)
        random, spread = report.table.loc["random"], report.random_spread
        noise = 4 * spread / np.sqrt(30)
        assert (random[FAITHFUL].abs() < noise[FAITHFUL]).all()
        assert random["infidelity"] > 1
        assert (report.table.loc["linear", FAITHFUL] > random[FAITHFUL] + 10 * spread[FAITHFUL]).all()
        assert report.table.loc["linear", "infidelity_scaled"] < 0.01

    def test_loadings_of_zero_have_an_infidelity_of_one(self, model, X, explained):
        one = explained["lrp-all"]
        nothing = replace(one, loadings=np.zeros_like(one.loadings), offsets=one.values)
        row = faithfulness({"nothing": nothing}, model, X, checks=False, **QUICK).table.loc["nothing"]
        assert row["infidelity"] == pytest.approx(1)
        assert row["infidelity_scaled"] == pytest.approx(1)
        assert np.isnan(row["scale"])

    def test_a_constant_attribution_orders_nothing_and_correlates_with_nothing(self, model, X, explained):
        one = explained["lrp-all"]
        constant = replace(one, loadings=np.zeros_like(one.loadings), offsets=np.full_like(one.loadings, 0.1))
        row = faithfulness({"constant": constant}, model, X, checks=False, **QUICK).table.loc["constant"]
        assert row["abpc"] == 0
        assert (row[["sensitivity_1", "sensitivity_10%", "sensitivity_50%"]] == 0).all()

    def test_the_same_random_state_gives_the_same_numbers(self, model, X, explained):
        one, two = (faithfulness(explained, model, X, **QUICK) for _ in range(2))
        for name in ("table", "standard_errors", "curves", "by_row", "randomisation"):
            pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))
        other = faithfulness(explained, model, X, **{**QUICK, "random_state": 1})
        assert not other.table.equals(one.table)

    @pytest.mark.parametrize("chunk_size", [1, 7, 64])
    def test_chunks_change_nothing(self, model, X, explained, chunk_size):
        one = faithfulness(explained, model, X, **QUICK)
        two = faithfulness(explained, model, X, chunk_size=chunk_size, **QUICK)
        pd.testing.assert_frame_equal(one.by_row, two.by_row, rtol=1e-9)

    def test_more_methods_do_not_change_the_figures_of_one(self, model, X, explained):
        one = faithfulness(explained["lrp-all"], model, X, **QUICK)
        both = faithfulness(explained, model, X, **QUICK)
        pd.testing.assert_frame_equal(one.table, both.table.loc[["lrp-all", "random"]])

    def test_the_order_of_rows_does_not_matter(self, model, X, explained):
        order = np.random.default_rng(0).permutation(len(X))
        one = faithfulness(explained, model, X, **QUICK)
        two = faithfulness(
            {name: explanation[order] for name, explanation in explained.items()}, model, X.iloc[order], **QUICK
        )
        assert two.by_row.index.equals(X.index[order])
        pd.testing.assert_frame_equal(one.table, two.table, rtol=1e-9)
        pd.testing.assert_frame_equal(one.by_row, two.by_row.reindex(X.index), rtol=1e-9)

    @pytest.mark.parametrize("kind", ["date", "date-mean", "training"])
    @pytest.mark.parametrize("change", ["values", "fewer"])
    def test_later_rows_change_no_figure_of_earlier_ones(self, network, model, X, kind, change):
        def by_row(panel):
            data = panel.to_numpy().reshape(-1, *SHAPE)
            one = network_explanation(network, data, index=panel.index, descriptor_names=NAMES, lags=(3, 0))
            baseline = np.random.default_rng(9).normal(size=(30, 6)) if kind == "training" else kind
            return faithfulness(one, model, panel, baseline=baseline, **QUICK).by_row

        early = X.index.get_level_values("date") < "2020-03"
        changed = X.copy()
        changed[~early] = changed[~early] * 5 + 1
        changed = changed if change == "values" else X[early]
        one, two = by_row(X), by_row(changed)
        assert len(two) == len(changed)
        pd.testing.assert_frame_equal(one[early], two.loc[one.index[early]], rtol=1e-9)

    def test_replacements_are_rows_of_the_same_date_and_never_the_row_itself(self, X, explained):
        seen = []

        class Spy:
            def predict(self, frame):
                seen.append(frame.to_numpy())
                return np.zeros(len(frame))

        one = replace(explained["lrp-all"], predictions=np.zeros(len(X)))
        faithfulness(one, Spy(), X, checks=False, **QUICK)
        values, codes = X.to_numpy(), X.index.get_level_values("date").asi8
        of_date = {value: code for row, code in zip(values, codes, strict=True) for value in row}
        for batch in seen:
            for row in batch:
                assert len({of_date[value] for value in row}) == 1

    def test_draws_are_other_rows_without_repetition_and_equally_often(self):
        values = np.arange(8.0)[:, np.newaxis]
        draws = Baseline("date", 5).draw(values, np.random.default_rng(0))[:, :, 0]
        assert all(len({own, *row}) == 6 for own, row in zip(values[:, 0], draws, strict=True))
        assert (np.bincount(draws.astype(int).ravel()) == 5).all()

    def test_training_rows_are_all_used_where_they_are_few(self, network, model, X, explained):
        training = np.random.default_rng(2).normal(size=(4, 6))
        report = faithfulness(explained, model, X, baseline=training, **{**QUICK, "n_draws": 4})
        own = explained["lrp-all"].predictions
        expected = (predict(network, training.reshape(-1, *SHAPE)).mean() - own.mean()) / own.std()
        assert report.curves.loc["lrp-all", "highest_first"].iloc[-1] == pytest.approx(expected)
        assert report.options["baseline"] == "rows"

    def test_a_pipeline_transforms_the_rows_of_training_as_well(self, linear):
        _, X = linear
        early = X.index.get_level_values("date") < X.index.get_level_values("date").unique()[4]
        y = X.sum(axis=1)
        pipeline = make_pipeline(StandardScaler(), Ridge()).fit(X[early], y[early])
        later = X[~early]
        report = faithfulness(explain(pipeline, later), pipeline, later, baseline=X[early].iloc[:3], **QUICK)
        replaced = report.curves.loc["linear", "highest_first"].iloc[-1] * pipeline.predict(later).std()
        assert replaced == pytest.approx(pipeline.predict(X[early].iloc[:3]).mean() - pipeline.predict(later).mean())

    def test_estimators_that_only_predict_are_measured_with_explanations_from_elsewhere(self, linear):
        model, X = linear
        forest = RandomForestRegressor(5, max_depth=3, random_state=0).fit(X, model.predict(X))
        one = replace(model.explain(X), predictions=forest.predict(X), method="surrogate")
        report = faithfulness(one, forest, X, **QUICK)
        assert report.table.loc["surrogate", "abpc"] > report.table.loc["random", "abpc"]
        assert "none of skdrfm.lrp.METHODS" in report.notes["surrogate"]

    def test_an_estimator_gets_rows_as_the_steps_before_it_give_them(self, linear):
        model, X = linear
        # Fitted on an array, the forest would warn of column names.
        pipeline = make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=0)).fit(X, model.predict(X))
        data = pipeline[0].transform(X).reshape(-1, 2, 3)
        one = replace(model.explain(X), data=data, predictions=pipeline.predict(X), method="surrogate")
        faithfulness(one, pipeline, X, checks=False, **QUICK)

    def test_an_estimator_that_reads_sequences_gets_sequences(self, linear):
        model, X = linear

        class Sequences:
            def predict(self, rows):
                assert rows.shape[1:] == (2, 3)
                return rows.sum(axis=(1, 2))

        array = X.to_numpy().reshape(-1, 2, 3)
        one = replace(model.explain(X), predictions=array.sum(axis=(1, 2)), index=None, method="surrogate")
        faithfulness(one, Sequences(), array, baseline="zero", checks=False, **QUICK)

    @pytest.mark.parametrize("kind", ["zero", "training"])
    def test_one_row_is_measured_without_noise(self, model, X, explained, kind):
        baseline = X.iloc[:15] if kind == "training" else kind
        report = faithfulness(explained["lrp-all"][15:16], model, X.iloc[15:16], baseline=baseline, **QUICK)
        assert np.isnan(report.table.loc["lrp-all", "stability"])
        assert report.table.loc["lrp-all", ["sensitivity_1", "infidelity", "randomisation"]].notna().all()

    def test_arrays_without_dates_are_measured_by_row(self, linear):
        _, X = linear
        array = X.to_numpy().reshape(-1, 2, 3)
        ridge = Ridge().fit(array.reshape(len(array), -1), X.sum(axis=1))
        one = explain(ridge, array.reshape(len(array), -1))
        report = faithfulness(one, ridge, array.reshape(len(array), -1), baseline="zero", **QUICK)
        row = report.by_row["linear", "sensitivity_1"]
        assert row.index.equals(pd.RangeIndex(len(X)))
        assert report.standard_errors.loc["linear", "infidelity"] < 1e-12
        assert report.standard_errors.loc["random", "sensitivity_1"] > 0

    def test_a_single_date_has_no_standard_errors(self, model, X, explained):
        report = faithfulness(explained["lrp-all"][:5], model, X.iloc[:5], **QUICK)
        assert report.table.loc["lrp-all"].notna().all()
        assert report.standard_errors.isna().to_numpy().all()

    def test_dates_are_enough_and_names_are_not_needed(self, network, X, explained):
        class Box:
            def predict(self, rows):
                assert isinstance(rows, np.ndarray | pd.DataFrame)
                return predict(network, np.asarray(rows).reshape(-1, *SHAPE))

        dates = X.index.droplevel("asset")
        one = faithfulness(replace(explained["lrp-all"], index=dates), Box(), X.set_axis(dates), **QUICK)
        assert one.by_row.index.equals(dates)
        array = faithfulness(replace(explained["lrp-all"], index=None), Box(), X.to_numpy(), baseline="zero", **QUICK)
        named = faithfulness(explained["lrp-all"], Box(), X, baseline="zero", **QUICK)
        np.testing.assert_allclose(array.by_row["lrp-all", "abpc"], named.by_row["lrp-all", "abpc"])

    def test_single_precision_gives_nearly_the_same(self, network, model, X, explained):
        one = faithfulness(explained, model, X, **QUICK)
        two = faithfulness(explained, model, X, dtype="float32", **QUICK)
        np.testing.assert_allclose(one.table, two.table, atol=1e-4)

    def test_rows_alone_on_their_date_are_left_out_and_counted(self, network, model, X, explained):
        short = X.iloc[:16]  # one asset on the last date
        with pytest.warns(CoverageWarning, match="1 of 16 rows are the only ones of their date"):
            report = faithfulness(explained["lrp-all"][:16], model, short, **QUICK)
        assert report.n_left_out == 1
        assert len(report.by_row) == 15
        whole = faithfulness(explained["lrp-all"][:15], model, X.iloc[:15], **QUICK)
        pd.testing.assert_frame_equal(report.table, whole.table)

    def test_constant_predictions_have_no_areas(self, X):
        class Flat:
            def predict(self, frame):
                return np.full(len(frame), 0.1)

        nothing = np.zeros(len(X))
        one = Explanation(
            loadings=np.ones((len(X), *SHAPE)), data=X.to_numpy().reshape(-1, *SHAPE), predictions=nothing + 0.1,
            bias=nothing, stabilizer=nothing, state=nothing, index=X.index, descriptor_names=NAMES, lags=(3, 0),
            method="ones",
        )  # fmt: skip
        row = faithfulness(one, Flat(), X, checks=False, **QUICK).table.loc["ones"]
        assert row.isna().sum() >= len(FAITHFUL)

    def test_inputs_stay_as_they_are_and_results_cannot_be_overwritten(self, model, X, explained):
        before = X.copy()
        report = faithfulness(explained, model, X, **QUICK)
        pd.testing.assert_frame_equal(X, before)
        with pytest.raises(ValueError, match="read-only"):
            report.table.iloc[0, 0] = 1.0
        with pytest.raises(TypeError):
            report.options["by"] = "lag"
        frame = report.to_frame()
        frame.iloc[0, 0] = 99.0
        assert report.table.iloc[0, 0] != 99.0

    def test_the_report_is_pickled_with_its_numbers(self, model, X, explained):
        report = faithfulness(explained, model, X, **QUICK)
        back = pickle.loads(pickle.dumps(report))
        pd.testing.assert_frame_equal(back.table, report.table)
        assert back.notes == report.notes
        assert repr(back) == "FaithfulnessReport(lrp-all, gradient; 20 rows, baseline='date', by='cell')"

    def test_the_frame_has_a_row_for_each_method_and_figure(self, model, X, explained):
        report = faithfulness(explained, model, X, **QUICK)
        frame = report.to_frame()
        assert list(report.table.columns) == FIGURES
        assert list(report.table.index) == ["lrp-all", "gradient", "random"]
        assert len(frame) == 3 * len(FIGURES)
        assert frame.loc[("gradient", "abpc"), "random"] == report.table.loc["random", "abpc"]
        assert frame.loc[("gradient", "abpc"), "value"] == report.table.loc["gradient", "abpc"]


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda e, X: (e[:5], X), r"must have the shape \(20, 2, 3\) of X"),
            (lambda e, X: (e[::-1], X), "must have the rows of X in the same order"),
            (lambda e, X: (replace(e, data=e.data + 1), X), "be of the inputs of X as the model reads them"),
            (lambda e, X: (replace(e, predictions=e.predictions + 1), X), "must be of the predictions of the model"),
            (lambda e, X: ({"random": e}, X), "Give this explanation another name"),
            (lambda e, X: ({}, X), "mapping of names to at least one"),
            (lambda e, X: ({"a": 1}, X), r"Got dict of \['int'\]"),
            (
                lambda e, X: ({"a": e, "b": replace(e, lags=(6, 0))}, X),
                "must have the descriptors and lags of the first",
            ),
            (lambda e, X: (e[:0], X.iloc[:0]), "X must have at least one row"),
        ],
    )
    def test_explanations_of_other_rows_or_models_are_refused(self, model, X, explained, change, message):
        given, rows = change(explained["lrp-all"], X)
        with pytest.raises(PanelError, match=message):
            faithfulness(given, model, rows)

    def test_relevances_must_be_finite(self, model, X, explained):
        broken = explained["lrp-all"].loadings.copy()
        broken[0, 0, 0] = np.nan
        with pytest.raises(NonFiniteError, match="The relevances of 'lrp-all'"):
            faithfulness(replace(explained["lrp-all"], loadings=broken), model, X)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"baseline": "mean"}, "'baseline' must be one of 'date', 'date-mean', 'zero'"),
            ({"baseline": None}, "'baseline' must be one of .* or rows of training. Got None"),
            ({"baseline": np.empty((0, 6))}, "must be at least one"),
            ({"baseline": np.zeros((3, 5))}, "6 flat columns"),
            ({"by": "asset"}, "'by' must be one of 'cell', 'lag', 'descriptor'"),
            ({"by": ["BETA"]}, r"or a mapping of groups to descriptors. Got \['BETA'\]"),
            ({"by": None}, "or a mapping of groups to descriptors. Got None"),
            ({"by": {"Risk": ["BETA"]}}, "must be in a group"),
            ({"sensitivity": [7]}, "from 1 to 6"),
            ({"sensitivity": [True]}, "Got True"),
            ({"sensitivity": [1.0]}, "Got 1.0"),
            ({"rules": {"other": "lrp-all"}}, "'rules' must name explanations"),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, model, X, explained, options, message):
        with pytest.raises(PanelError, match=message):
            faithfulness(explained, model, X, **options)

    @pytest.mark.parametrize("options", [{"n_steps": 0}, {"n_subsets": 1}, {"stability_noise": 0}, {"dtype": "half"}])
    def test_parameters_out_of_range_are_refused(self, model, X, explained, options):
        with pytest.raises(InvalidParameterError):
            faithfulness(explained, model, X, **options)

    def test_an_unknown_rule_is_refused(self, model, X, explained):
        with pytest.raises(ValueError, match="'rule' must be one of"):
            faithfulness(explained["lrp-all"], model, X, rules={"lrp-all": "lrp-none"})
        faithfulness(explained["lrp-all"], model, X, rules={"lrp-all": Rule()}, **QUICK)

    def test_rows_of_training_must_be_before_the_explained_ones(self, model, X, explained):
        later = {name: explanation[10:] for name, explanation in explained.items()}
        faithfulness(later, model, X.iloc[10:], baseline=X.iloc[:10], **QUICK)
        with pytest.raises(PanelError, match="'baseline' must come .* date of X, 2020-03. Got 1 dates .*'2020-03'"):
            faithfulness(later, model, X.iloc[10:], baseline=X.iloc[:15])
        broken = X.iloc[:10].copy()
        broken.iloc[0, 0] = np.nan
        with pytest.raises(NonFiniteError, match="baseline must hold finite numbers. Got NaN: 1 in 'BETA__lag3'"):
            faithfulness(later, model, X.iloc[10:], baseline=broken)
        with pytest.raises(PanelError, match="must have the columns of X"):
            faithfulness(later, model, X.iloc[10:], baseline=X.iloc[:10, ::-1])
        text = X.iloc[:10].set_index(pd.MultiIndex.from_product([["a", "b"], list("ABCDE")], names=X.index.names))
        with pytest.raises(PanelError, match="must be of one type"):
            faithfulness(later, model, X.iloc[10:], baseline=text)

    def test_every_row_must_have_a_date(self, model, X, explained):
        later = {name: explanation[10:] for name, explanation in explained.items()}
        labels = [(pd.NaT if date == X.index[0][0] else date, asset) for date, asset in X.index]
        undated = X.set_axis(pd.MultiIndex.from_tuples(labels, names=X.index.names))
        with pytest.raises(PanelError, match="must have a date. Got 5 rows without one"):
            faithfulness(later, model, X.iloc[10:], baseline=undated.iloc[:10])
        with pytest.raises(PanelError, match="Every row must have a date. Got 5 of 20 rows without one"):
            faithfulness(replace(explained["lrp-all"], index=undated.index), model, undated)

    def test_no_rows_of_a_linear_model_are_refused(self, linear):
        model, X = linear
        with pytest.raises(PanelError, match="X must have at least one row to explain"):
            faithfulness(model.explain(X)[:0], model, X.iloc[:0])

    def test_the_baseline_of_a_date_needs_dates_and_more_than_one_row(self, model, X, explained):
        one = replace(explained["lrp-all"], index=None)
        with pytest.raises(PanelError, match="needs the date of every row"):
            faithfulness(one, model, X.to_numpy())
        alone = np.arange(0, 20, 5)
        with pytest.raises(PanelError, match="4 rows that are all alone"):
            faithfulness(explained["lrp-all"][alone], model, X.iloc[alone])

    def test_a_model_that_cannot_predict_is_refused(self, X, explained):
        with pytest.raises(TypeError, match="Got object"):
            faithfulness(explained, object(), X)
