"""Explanations of the same predictions by several methods, with what they cost and how far they agree."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from types import MappingProxyType
from typing import Any

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.factor_model._network import draw_seed
from skdrfm.inspection._compare_result import ExplainerComparison
from skdrfm.inspection._compare_shap import EXPLAINERS, Counted, shap_explanation
from skdrfm.inspection._compare_subject import Subject, subject_of
from skdrfm.inspection._explain import explain
from skdrfm.inspection._shapley import Groups, GroupShapley, shapley_of_groups
from skdrfm.utils._param_validation import Interval, StrOptions, validate_params

_BY_LAG = MappingProxyType({"shap-groups": False, "shap-group-lags": True})
_MAX_GROUP_EVALS = 4096

EXPLAINER_METHODS: tuple[str, ...] = (*lrp.METHODS, *EXPLAINERS, *_BY_LAG)
"""Names of all methods that `compare_explainers` knows."""


@validate_params(
    {
        "groups": [Mapping, None],
        "max_evals": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [StrOptions({"float32", "float64"})],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def compare_explainers(
    model: Any,
    X: Any,
    background: Any = None,
    *,
    methods: str | Sequence[str] = (
        "lrp-all",
        "gradient-x-input",
        "integrated-gradients",
        "occlusion",
        "shap-permutation",
    ),
    groups: Mapping[str, Sequence[str]] | None = None,
    max_evals: int | None = None,
    output: int | None = None,
    dtype: str = "float64",
    random_state: Any = None,
) -> ExplainerComparison:
    """Explain the same predictions by several methods, and measure agreement, additivity and cost.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As `skdrfm.explain` takes it.
    X : DataFrame or ndarray of n_samples rows
        Rows to explain. SHAP takes milliseconds to seconds for each.
    background : DataFrame or ndarray of n_background rows, default=None
        Rows that stand for what is not known, for the methods named ``shap-...``, which need it. They come from the
        training window, in the layout of X: a row of X, or a date that is not before the first date of X, is refused.
        There is no default, since every choice but the caller's could look ahead. The cost grows with the number of
        rows; 50 to some hundred are usual.
    methods : sequence of str, default=("lrp-all", "gradient-x-input", "integrated-gradients", "occlusion", \
"shap-permutation")
        Any of `skdrfm.lrp.METHODS`; "shap-permutation", "shap-kernel", "shap-sampling" of shap on the NumPy forward of
        the network; "shap-gradient" of shap on the Keras model, whose values add up in expectation only; "shap-groups"
        and "shap-group-lags", the Shapley values of `group_shapley` with groups, and groups at single lags, as
        players. Underscores may stand for hyphens.
    groups : mapping of str to sequence of str, default=None
        Group to names of its descriptors, for the last two methods and for ``agreement(by="group")``.
    max_evals : int, default=None
        What a method of shap may spend on each row: coalitions ("shap-permutation", "shap-kernel", "shap-groups",
        "shap-group-lags"), draws ("shap-sampling") or gradients ("shap-gradient"). None: the defaults of shap (500,
        2 * n_cells + 2048, 2000, 200), or the least that a method can do with where that is more; 4096 for groups.
    output : int, default=None
        Which output unit of a Keras model to explain.
    dtype : {"float64", "float32"}, default="float64"
        Precision in which networks are computed; float32, that of Keras, takes half the time. Linear models
        predict as they do, and "shap-gradient" as the Keras model.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws; each method starts from it anew. The global generator of NumPy, from which shap draws, is
        left as it was.

    Returns
    -------
    ExplainerComparison
        Explanations of the rows of X, in units of the prediction.

    Raises
    ------
    ValueError
        If a method is unknown or named twice, or max_evals is too small for it.
    PanelError
        If a background or groups are needed and missing, the background breaks a rule above, or X has no rows.
    TypeError, UnsupportedLayerError
        If the model cannot be explained.

    Notes
    -----
    Methods measure from different origins. Relevance propagation, gradients, integrated gradients and occlusion
    compare with an input of 0, SHAP with the rows of the background. On a linear model they agree where the background
    has mean 0, as descriptors ranked in each cross-section have.

    A SHAP value is no slope. Its explanation has the loading ``phi / (x - mean of the background)``, the coefficient
    where the model is linear, and an offset with the rest; at the mean itself the loading is 0.

    Times are of one run, after imports and after what TensorFlow and numba compile once. A Pipeline's earlier steps
    count for the methods of `skdrfm.lrp`, which are called through `skdrfm.explain`.

    References
    ----------
    Lundberg and Lee (2017), https://arxiv.org/abs/1705.07874; Sundararajan et al. (2017),
    https://arxiv.org/abs/1703.01365; Arras et al. (2017), https://arxiv.org/abs/1706.07206.

    Examples
    --------
    >>> from skdrfm import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import compare_explainers
    >>> X, y = make_factor_panel(n_dates=12, n_assets=10, n_descriptors=3, random_state=0)
    >>> dates = X.index.get_level_values("date")
    >>> train, test = X[dates < dates[100]], X[dates >= dates[100]]
    >>> model = LinearFactorRegressor().fit(train, y[train.index])
    >>> comparison = compare_explainers(model, test, methods=["lrp-all", "occlusion"])
    >>> comparison.agreement(by="descriptor")
    method     lrp-all  occlusion
    method
    lrp-all        1.0        1.0
    occlusion      1.0        1.0
    >>> bool(comparison.summary()["additivity_gap"].max() < 1e-12)
    True
    """
    names = _checked_methods(methods)
    sampled = [name for name in names if name not in lrp.METHODS]
    if sampled and background is None:
        raise PanelError(
            f"{', '.join(map(repr, sampled))} must have a background. Got none. Pass rows of the training window: "
            "background=X_train.sample(100, random_state=0)."
        )
    if groups is None and not _BY_LAG.keys().isdisjoint(names):
        raise PanelError(
            "'shap-groups' and 'shap-group-lags' must have groups of descriptors as players. Got none. Pass "
            "groups={'Risk': ['BETA', ...], ...}."
        )
    subject = subject_of(model, X, output, dtype)
    if groups is not None:
        subject.rows[:1].by_group(groups)  # one row is enough for the explanation to check that the groups fit
    rows = None if background is None else subject.background(background)
    return _run(subject, rows, names, groups, max_evals, draw_seed(random_state))


def _run(
    subject: Subject,
    background: FloatArray | None,
    methods: Sequence[str],
    groups: Groups | None,
    max_evals: int | None,
    seed: int,
) -> ExplainerComparison:
    explanations: dict[str, Explanation] = {}
    group_values: dict[str, GroupShapley] = {}
    seconds: dict[str, float] = {}
    evaluations: dict[str, float] = {}
    for method in methods:
        start = time.perf_counter()
        if background is not None and method in EXPLAINERS:
            explanations[method], found = shap_explanation(method, subject, background, max_evals, seed)
            seconds[method], evaluations[method] = found.seconds, found.evaluations
        elif background is not None and groups is not None and method in _BY_LAG:
            predict = Counted(subject.forward.predict)
            group_values[method] = shapley_of_groups(
                replace(subject, forward=replace(subject.forward, predict=predict)),
                background,
                groups,
                by_lag=_BY_LAG[method],
                max_evals=_MAX_GROUP_EVALS if max_evals is None else max_evals,
                seed=seed,
            )
            seconds[method] = time.perf_counter() - start
            evaluations[method] = predict.n_rows / len(subject.rows)
        else:
            explanations[method] = explain(
                subject.model, subject.X, rule=method, output=subject.output, dtype=subject.dtype
            )
            seconds[method] = time.perf_counter() - start
    n_background = 0 if background is None else len(background)
    return ExplainerComparison(explanations, group_values, seconds, evaluations, n_background, groups)


def _checked_methods(methods: str | Sequence[str]) -> tuple[str, ...]:
    given: tuple[Any, ...] = (methods,) if isinstance(methods, str) else tuple(methods)
    names = tuple(name.replace("_", "-") if isinstance(name, str) else name for name in given)
    unknown = [name for name in given if str(name).replace("_", "-") not in EXPLAINER_METHODS]
    if unknown or not names:
        raise ValueError(
            f"'methods' must be some of {', '.join(map(repr, EXPLAINER_METHODS))}. Got "
            f"{', '.join(map(repr, unknown)) or 'none'}."
        )
    if len(set(names)) < len(names):
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise ValueError(f"'methods' must name each method once. Got {repeated!r} more than once.")
    return names
