import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.preprocessing import CrossSectionalRankScaler

NAMES = ("BETA", "ROE", "CAP")
COLUMNS = [f"{name}__lag{lag}" for lag in (3, 0) for name in NAMES]
SCALERS = {
    "standard": StandardScaler(),
    "mean only": StandardScaler(with_std=False),
    "min-max": MinMaxScaler((-1, 1)),
    "clipped": MinMaxScaler(clip=True),
    "robust": RobustScaler(),
    "max-abs": MaxAbsScaler(),
    "two in a row": make_pipeline(RobustScaler(), MinMaxScaler(), "passthrough", StandardScaler()),
    "identity": FunctionTransformer(),
}


def raw_rows(n=40, n_columns=6, seed=0):
    """Raw inputs of very different sizes, one of them large against its spread."""
    rng = np.random.default_rng(seed)
    scale, shift = np.geomspace(1e-4, 1e5, n_columns), np.linspace(-3, 1e4, n_columns)
    return rng.normal(size=(n, n_columns)) * scale + shift


def explained(scaled, names=NAMES, lags=(3, 0), seed=1, **changes):
    """Explanation of scaled rows, with loadings that differ from row to row."""
    rng = np.random.default_rng(seed)
    data = np.asarray(scaled).reshape(len(scaled), len(lags), len(names))
    loadings = rng.normal(size=data.shape)
    bias, stabilizer, state = rng.normal(size=(3, len(data)))
    values = data * loadings + changes.get("offsets", 0)
    return Explanation(
        loadings=loadings,
        data=data,
        bias=bias,
        stabilizer=stabilizer,
        state=state,
        predictions=values.sum((1, 2)) + bias + stabilizer + state,
        descriptor_names=names,
        lags=lags,
        **changes,
    )


class TestReferenceValues:
    def test_loadings_are_divided_by_the_size_and_the_shift_leaves_the_bias(self):
        scaler = StandardScaler().fit(raw_rows())
        before = explained(scaler.transform(raw_rows()))
        after = before.in_raw_units(scaler)
        mean, size = scaler.mean_.reshape(2, 3), scaler.scale_.reshape(2, 3)
        np.testing.assert_allclose(after.loadings, before.loadings / size, rtol=1e-12)
        np.testing.assert_allclose(after.data.reshape(-1, 6), raw_rows(), rtol=1e-9)
        np.testing.assert_allclose(after.bias, before.bias - (before.loadings * mean / size).sum((1, 2)), rtol=1e-9)

    def test_a_linear_model_gets_the_coefficients_of_the_raw_columns(self):
        raw = raw_rows()
        slopes = 1 / np.geomspace(1e-4, 1e5, 6)
        target = raw @ slopes + 0.5
        scaler = StandardScaler().fit(raw)
        fitted = LinearRegression().fit(scaler.transform(raw), target)
        data = scaler.transform(raw).reshape(-1, 2, 3)
        nothing = np.zeros(len(raw))
        explanation = Explanation(
            loadings=np.broadcast_to(fitted.coef_.reshape(2, 3), data.shape),
            data=data,
            predictions=fitted.predict(scaler.transform(raw)),
            bias=nothing + fitted.intercept_,
            stabilizer=nothing,
            state=nothing,
        ).in_raw_units(scaler)
        np.testing.assert_allclose(explanation.loadings[0].ravel(), slopes, rtol=1e-9)
        np.testing.assert_allclose(explanation.bias, 0.5, rtol=1e-4)

    def test_a_constant_column_has_size_one(self):
        raw = raw_rows()
        raw[:, 1] = 7.0
        scaler = StandardScaler().fit(raw)
        before = explained(scaler.transform(raw))
        after = before.in_raw_units(scaler)
        np.testing.assert_array_equal(after.data[:, 0, 1], 7.0)
        np.testing.assert_array_equal(after.loadings[:, 0, 1], before.loadings[:, 0, 1])

    def test_a_spread_that_is_small_against_the_level_keeps_its_digits(self):
        raw = 1e6 + np.random.default_rng(0).normal(size=(40, 6))
        scaler = StandardScaler().fit(raw)
        before = explained(scaler.transform(raw))
        after = before.in_raw_units(scaler)
        np.testing.assert_allclose(after.loadings * scaler.scale_.reshape(2, 3), before.loadings, rtol=1e-14)


class TestProperties:
    @pytest.mark.parametrize("kind", SCALERS)
    @pytest.mark.parametrize("named", [True, False])
    def test_the_parts_still_add_up_to_the_same_predictions(self, kind, named):
        raw = pd.DataFrame(raw_rows(), columns=COLUMNS) if named else raw_rows()
        scaler = SCALERS[kind].set_output(transform="pandas" if named else "default").fit(raw)
        before = explained(scaler.transform(raw))
        after = before.in_raw_units(scaler)
        assert after.predictions is before.predictions
        scale = np.abs(after.values).sum((1, 2)) + np.abs(after.bias)
        assert (np.abs(after.conservation_gap) <= 1e-13 * scale).all()
        np.testing.assert_allclose(after.data.reshape(-1, 6), raw_rows(), rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(after.stabilizer, before.stabilizer)
        assert not any(getattr(after, name).flags.writeable for name in ("loadings", "data", "bias"))

    @pytest.mark.parametrize("named", [True, False])
    def test_a_scaler_fitted_before_the_lags_serves_all_of_them(self, named):
        raw = raw_rows(n_columns=3)
        scaler = StandardScaler().fit(pd.DataFrame(raw, columns=NAMES) if named else raw)
        scaled = (raw - scaler.mean_) / scaler.scale_
        before = explained(np.concatenate([scaled[:-1], scaled[1:]], axis=1))
        after = before.in_raw_units(scaler)
        np.testing.assert_allclose(after.data, np.stack([raw[:-1], raw[1:]], axis=1), rtol=1e-9)
        np.testing.assert_allclose(after.loadings, before.loadings / scaler.scale_, rtol=1e-12)
        assert np.abs(after.conservation_gap).max() < 1e-9

    @pytest.mark.parametrize("names", [NAMES, [f"{name}__lag0" for name in NAMES]])
    def test_one_lag_may_be_named_either_way(self, names):
        scaler = StandardScaler().fit(pd.DataFrame(raw_rows(n_columns=3), columns=names))
        after = explained(np.ones((2, 3)), lags=(0,)).in_raw_units(scaler)
        np.testing.assert_allclose(after.data[0, 0], scaler.mean_ + scaler.scale_)

    def test_a_scaler_may_look_its_columns_up_by_name(self):
        scaler = FunctionTransformer(
            lambda X: X.assign(ROE__lag0=X["ROE__lag0"] / 4), lambda X: X.assign(ROE__lag0=X["ROE__lag0"] * 4)
        ).fit(pd.DataFrame(raw_rows(), columns=COLUMNS))
        before = explained(raw_rows())
        after = before.in_raw_units(scaler)
        np.testing.assert_array_equal(after.data[:, 1, 1], before.data[:, 1, 1] * 4)
        np.testing.assert_array_equal(after.data[:, 0], before.data[:, 0])

    def test_offsets_stay_as_they_are(self):
        scaler = StandardScaler().fit(raw_rows())
        offsets = np.random.default_rng(2).normal(size=(40, 2, 3))
        before = explained(scaler.transform(raw_rows()), offsets=offsets)
        after = before.in_raw_units(scaler)
        assert after.offsets is before.offsets
        scale = np.abs(after.values).sum((1, 2)) + np.abs(after.bias)
        assert (np.abs(after.conservation_gap) <= 1e-13 * scale).all()

    def test_what_describes_the_explanation_stays(self, make_index):
        index = make_index(2, 2)
        before = explained(np.ones((4, 6)), index=index, method="lrp-half", coverage=[("out", "Dense", "linear")])
        after = before.in_raw_units(StandardScaler().fit(raw_rows()))
        assert after.index is index
        assert (after.method, after.coverage, after.lags) == ("lrp-half", before.coverage, (3, 0))

    def test_single_precision_becomes_double(self):
        scaler = StandardScaler().fit(raw_rows())
        data = scaler.transform(raw_rows()).astype(np.float32).reshape(-1, 2, 3)
        nothing = np.zeros(len(data), dtype=np.float32)
        before = Explanation(
            loadings=data, data=data, predictions=nothing, bias=nothing, stabilizer=nothing, state=nothing
        )
        after = before.in_raw_units(scaler)
        assert {after.loadings.dtype, after.data.dtype, after.bias.dtype} == {np.dtype(np.float64)}


class TestValidation:
    @pytest.mark.parametrize(
        ("scaler", "fault"),
        [
            (PCA(6), "PCA: its inverse_transform is not affine column by column"),
            (PCA(2), "PCA: its inverse_transform failed"),
            (QuantileTransformer(n_quantiles=10), "QuantileTransformer: its inverse_transform is not affine"),
            (PowerTransformer(), "PowerTransformer: its inverse_transform is not affine"),
            (make_pipeline(StandardScaler(), PCA(6)), "Pipeline: its inverse_transform is not affine"),
            (make_pipeline(SimpleImputer(), StandardScaler()), "Pipeline: its inverse_transform failed"),
            (make_pipeline(StandardScaler(), LinearRegression()), "Pipeline: its inverse_transform failed"),
            (CrossSectionalRankScaler(), "CrossSectionalRankScaler: its inverse_transform failed"),
            (FunctionTransformer(np.sqrt), "FunctionTransformer: its inverse_transform does not undo"),
            (FunctionTransformer(np.log), "FunctionTransformer: its inverse_transform does not undo"),
            (FunctionTransformer(np.exp, np.log), "FunctionTransformer: its inverse_transform is not affine"),
            (
                FunctionTransformer(np.sign, np.zeros_like, check_inverse=False),
                "FunctionTransformer: its inverse_transform is not",
            ),
        ],
    )
    # Only positive inputs: some of these transformers take nothing else.
    def test_scalers_that_do_not_scale_each_column_by_itself_are_refused(self, scaler, fault):
        raw = np.random.default_rng(0).uniform(1, 2, size=(40, 6))
        scaler.fit(raw, raw[:, 0])
        with pytest.raises(TypeError, match=rf"must be a fitted transformer.*Got {fault}.*Use StandardScaler"):
            explained(raw).in_raw_units(scaler)

    def test_a_mixture_of_columns_is_seen_far_from_zero(self):
        raw = 1e10 + np.random.default_rng(0).normal(size=(40, 6))
        with pytest.raises(TypeError, match="not affine column by column"):
            explained(raw - 1e10).in_raw_units(PCA(6).fit(raw))

    def test_a_kink_at_zero_is_seen(self):
        scaler = FunctionTransformer(lambda X: np.minimum(X, X / 2), lambda X: np.maximum(X, 2 * X)).fit(raw_rows())
        with pytest.raises(TypeError, match="not affine column by column"):
            explained(raw_rows()).in_raw_units(scaler)

    def test_a_dropped_column_is_refused(self):
        raw = raw_rows(n_columns=7)
        raw[:, 6] = 0
        scaler = VarianceThreshold(1e-12).fit(raw)
        with pytest.raises(PanelError, match=r"must have 6 columns .lagged descriptors. or 3 .*Got 7"):
            explained(scaler.transform(raw)).in_raw_units(scaler)

    def test_an_inverse_of_another_shape_is_refused(self):
        scaler = FunctionTransformer(inverse_func=lambda X: X[:, :2]).fit(raw_rows())
        with pytest.raises(TypeError, match=r"gives shape \(13, 2\) for \(13, 6\)"):
            explained(raw_rows()).in_raw_units(scaler)

    @pytest.mark.parametrize("scaler", [StandardScaler(), make_pipeline(StandardScaler(), MinMaxScaler())])
    def test_an_unfitted_scaler_is_refused(self, scaler):
        with pytest.raises(NotFittedError):
            explained(raw_rows()).in_raw_units(scaler)

    def test_something_else_is_refused(self):
        with pytest.raises(TypeError, match="Got dict: its inverse_transform failed.*pipeline\\[:-1\\]"):
            explained(raw_rows()).in_raw_units({"BETA": 2.0})

    @pytest.mark.parametrize("n_columns", [1, 2, 5, 12])
    def test_a_scaler_of_other_columns_is_refused(self, n_columns):
        scaler = StandardScaler().fit(raw_rows(n_columns=n_columns))
        with pytest.raises(PanelError, match=rf"must have 6 columns .* or 3 .descriptors.*Got {n_columns}\."):
            explained(raw_rows()).in_raw_units(scaler)

    @pytest.mark.parametrize(
        ("names", "lags", "message"),
        [
            ([*COLUMNS[3:], *COLUMNS[:3]], (3, 0), "Got 'BETA__lag0' instead of 'BETA__lag3' in column 0"),
            ([*COLUMNS[:4], "CAP__lag0", "ROE__lag0"], (3, 0), "Got 'CAP__lag0' instead of 'ROE__lag0' in column 4"),
            (["BETA", "CAP", "ROE"], (3, 0), "Got 'CAP' instead of 'ROE' in column 1"),
            (["BETA", "CAP", "ROE"], (0,), "Got 'CAP' instead of 'ROE' in column 1"),
            (["CAP__lag0", "ROE__lag0", "BETA__lag0"], (0,), "Got 'CAP__lag0' instead of 'BETA__lag0' in column 0"),
        ],
    )
    def test_names_and_their_order_must_agree(self, names, lags, message):
        scaler = StandardScaler().fit(pd.DataFrame(raw_rows(n_columns=len(names)), columns=names))
        with pytest.raises(PanelError, match=rf"in the same order. {message}.*set_output"):
            explained(np.ones((2, 3 * len(lags))), lags=lags).in_raw_units(scaler)
