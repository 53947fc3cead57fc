"""Whether explanations say what the model does: the model is asked again with inputs taken away."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import lrp
from skdrfm._typing import BoolArray, FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.explanation import Explanation
from skdrfm.factor_model._network import draw_seed
from skdrfm.inspection._faithfulness_assemble import (
    Checks,
    Panel,
    check_all,
    curve_frame,
    measure_all,
    row_frame,
    tables,
)
from skdrfm.inspection._faithfulness_baseline import baseline_of, sections
from skdrfm.inspection._faithfulness_curves import step_counts, units_of
from skdrfm.inspection._faithfulness_measure import Setting
from skdrfm.inspection._faithfulness_report import RANDOM, FaithfulnessReport
from skdrfm.inspection._faithfulness_subsets import subset_sizes
from skdrfm.inspection._forward import forward_of
from skdrfm.utils._param_validation import Interval, StrOptions, validate_params
from skdrfm.utils.validation import check_finite

# Predictions in float32 differ from those in float64 by less than this fraction of their size.
_AGREES = 1e-4


@validate_params(
    {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "sensitivity": [list, tuple],
        "n_subsets": [Interval(Integral, 2, None, closed="left")],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "checks": ["boolean"],
        "stability_noise": [Interval(Real, 0, None, closed="neither")],
        "rules": [Mapping, None],
        "dtype": [StrOptions({"float64", "float32"})],
        "chunk_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def faithfulness(
    explanations: Explanation | Mapping[str, Explanation],
    model: Any,
    X: Any,
    *,
    baseline: Any = "date",
    by: Any = "cell",
    n_steps: int = 20,
    n_draws: int = 10,
    sensitivity: Sequence[float] = (1, 0.1, 0.5),
    n_subsets: int = 100,
    n_repeats: int = 5,
    checks: bool = True,
    stability_noise: float = 0.1,
    rules: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    chunk_size: int = 100_000,
    random_state: Any = None,
) -> FaithfulnessReport:
    """Measure how well explanations say what the model does, against a random attribution.

    Units of inputs (cells, lags, descriptors or groups) of a row are replaced by values of other stocks on the same
    date, and the predictions that follow are compared with the relevances R and loadings of each explanation.

    - ``aopc``, ``insertion``, ``abpc``: deletion and insertion curves (Samek et al. 2017), here by signed relevance,
      since returns have signs. f_MoRF(k) is the prediction without the units of highest R at step k, f_LeRF(k) without
      those of lowest R. ``aopc = mean_k f(x) - f_MoRF(k)``,
      ``insertion = mean_k f_LeRF(k) - f_MoRF(K)``, ``abpc = mean_k f_LeRF(k) - f_MoRF(k)``, k = 0, ..., K, each
      divided by the standard deviation of the predictions. A random order has an abpc of 0.
    - ``sensitivity_n``: correlation, over random subsets of n units, of the sum of R with the change of the
      prediction, the mean over rows (Ancona et al. 2018). 1 for a linear model with ``baseline="zero"``; 0 at random.
    - ``infidelity``: mean square of what loadings say of a random perturbation less what happens (Yeh et al. 2019),
      divided by the mean square of what happens: 0 is perfect, 1 is what loadings of 0 get. ``infidelity_scaled`` is
      the same after loadings are multiplied by the best number for all rows, which is ``scale``.
    - ``randomisation``: Spearman correlation of absolute R with that of the same method on a network without training
      (Adebayo et al. 2018), the mean over rows. 1 is wrong: an explanation that stays as it is does not depend on what
      the network has learnt. Some correlation stays where R is input times loading, since both have the same inputs.
    - ``stability``: largest relative change of R under small noise of the inputs, the mean over rows.

    The last two are checks of sanity, not of faithfulness: an attribution that is constant is perfectly stable. They
    explain anew, by the method that the explanation names, with default options; for others name the method in
    `rules`, or they are NaN.

    Parameters
    ----------
    explanations : Explanation or mapping of str to Explanation
        Explanations of the rows of X, by names for the table.
    model : estimator, keras.Model or path
        The model, as `explain` takes it, or any estimator with ``predict``. Networks predict in NumPy, before an output
        activation and with ``linearized=True`` as well: these are the predictions that explanations are of.
    X : DataFrame or ndarray
        The rows that were explained, as the model predicts them.
    baseline : {"date", "date-mean", "zero"}, DataFrame or ndarray, default="date"
        Where replacement values come from. "date": whole other rows of the same date, drawn without replacement,
        over which the predictions are averaged; "date-mean": the mean of each column on the date; "zero": 0, which
        descriptors that were ranked or standardised on each date have as their mean, so that "zero" and "date-mean"
        are then the same up to stocks that left the panel between a lag and the date. Or rows of the training window,
        from which whole rows are drawn; where both have dates they must be before those of X. No value of another date
        of X is ever used.
    by : {"cell", "lag", "descriptor"} or mapping of str to sequence of str, default="cell"
        Units that are removed together; groups and descriptors with all lags.
    n_steps : int, default=20
        Steps K of the curves, at most; never more than units.
    n_draws : int, default=10
        Replacement rows for each row, at most; less where a date has fewer other rows.
    sensitivity : sequence of int or float, default=(1, 0.1, 0.5)
        Sizes n of subsets, as numbers (int) or shares (float below 1) of units; a share is at least one unit.
    n_subsets : int, default=100
        Subsets of each size, at most (all, if there are fewer), and perturbations; drawn for each date.
    n_repeats : int, default=5
        Draws of the random attribution, of untrained networks and of noise.
    checks : bool, default=True
        Whether to measure randomisation and stability, which explain anew.
    stability_noise : float, default=0.1
        Bound of the uniform noise, in standard deviations of each column on the date.
    rules : mapping of str to object, default=None
        For explanations that were not made with the default options of their method: name to the rule, composite or
        method object of `skdrfm.lrp`, or to a function from a network (None for other models) and inputs
        (n_samples, n_timesteps, n_features) to relevances of that shape.
    dtype : {"float64", "float32"}, default="float64"
        Precision of a network's predictions; float32 takes half the time.
    chunk_size : int, default=100_000
        Rows predicted at a time; with 80 columns, 64 MB for each of a few arrays. It does not change results.
    random_state : int, RandomState instance or None, default=None
        Makes all draws repeatable.

    Returns
    -------
    FaithfulnessReport
        Table of methods and of the row ``random``, whose cells are those of the first explanation, exchanged at random
        in each row; standard errors over dates, curves, and figures of the rows.

    Raises
    ------
    PanelError
        If an explanation is not of the rows of X or of this model, or an option does not fit the panel.
    TypeError
        If the model cannot predict.

    Warns
    -----
    CoverageWarning
        If rows are left out, since they are the only ones of their date.

    Notes
    -----
    A row is predicted about ``n_draws * (2 * n_steps * (n_methods + n_repeats) + 3 * n_subsets)`` times.

    References
    ----------
    Samek et al. (2017), https://arxiv.org/abs/1509.06321, for curves and AOPC; Ancona et al. (2018),
    https://arxiv.org/abs/1711.06104, for sensitivity-n; Yeh et al. (2019), https://arxiv.org/abs/1901.09392,
    definition 2.1, for infidelity; Adebayo et al. (2018), https://arxiv.org/abs/1810.03292, for randomisation.

    Examples
    --------
    >>> import skdrfm
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import faithfulness
    >>> X, y = skdrfm.make_factor_panel(n_dates=5, n_assets=20, n_descriptors=4, random_state=0)
    >>> model = LinearFactorRegressor().fit(X, y)
    >>> report = faithfulness(model.explain(X), model, X, baseline="zero", random_state=0)
    >>> report
    FaithfulnessReport(linear; 100 rows, baseline='zero', by='cell')
    >>> report.table.loc["linear", ["sensitivity_1", "sensitivity_50%"]].round(9).tolist()
    [1.0, 1.0]
    >>> bool(report.table.loc["linear", "abpc"] > report.table.loc["random", "abpc"])
    True
    """
    named = _by_name(explanations)
    forward, inputs = forward_of(model, X, dtype=dtype)
    first = next(iter(named.values()))
    network = forward.network
    _, n_timesteps, n_features = first.loadings.shape
    if network is not None:
        n_timesteps, n_features = network.n_timesteps, network.n_features
    data, _, _ = inputs.sequences(n_timesteps, n_features)
    flat = data.reshape(len(data), -1).astype(np.float64, copy=False)
    predictions = forward.predict(flat)
    for name, explanation in named.items():
        _check_agrees(name, explanation, first, data, inputs.index, predictions)
    _check_rules(rules, named)
    units = units_of(by, first)
    _check_sizes(sensitivity, units.n_units)
    sizes = subset_sizes(sensitivity, units.n_units)
    chosen = baseline_of(baseline, model, X, inputs, (n_timesteps, n_features), int(n_draws))
    seed = draw_seed(random_state)
    parts = sections(inputs.index, len(data), seed)
    used = chosen.usable(parts, len(data))
    n_left_out = _count_left_out(used)
    parts = [part for part in parts if used[part.rows[0]]]

    counts = step_counts(units.n_units, int(n_steps))
    setting = Setting(forward.predict, units, counts, sizes, int(n_subsets), chosen, int(chunk_size))
    panel = Panel(data, flat, predictions, inputs.index, parts, used)
    found = measure_all(setting, panel, named, int(n_repeats))
    notes, randomised = dict.fromkeys(named, "not asked for: checks=False"), pd.DataFrame()
    if checks:
        how = Checks(forward, rules or {}, float(stability_noise), int(n_repeats), seed)
        notes, randomised = check_all(how, setting, panel, named, found)
    return FaithfulnessReport(
        **tables(found, panel, list(sizes)),
        curves=curve_frame(found, panel, counts),
        by_row=row_frame(found, panel, list(sizes)),
        randomisation=randomised,
        notes=notes,
        options={
            "baseline": chosen.kind,
            "by": by if isinstance(by, str) else {group: tuple(members) for group, members in by.items()},
            "n_steps": len(counts) - 1,
            "n_draws": chosen.n_draws,
            "subset_sizes": dict(sizes),
            "n_subsets": int(n_subsets),
            "n_repeats": int(n_repeats),
            "stability_noise": float(stability_noise),
            "dtype": dtype,
            "seed": seed,
        },
        n_left_out=n_left_out,
    )


def _by_name(explanations: Any) -> dict[str, Explanation]:
    given = {explanations.method: explanations} if isinstance(explanations, Explanation) else explanations
    if not isinstance(given, Mapping) or not given or not all(isinstance(e, Explanation) for e in given.values()):
        kinds = f" of {sorted({type(e).__name__ for e in given.values()})}" if isinstance(given, Mapping) else ""
        raise PanelError(
            "'explanations' must be an Explanation, or a mapping of names to at least one. Got "
            f"{type(explanations).__name__}{kinds}. Make them with skdrfm.explain."
        )
    if RANDOM in given:
        raise PanelError(f"{RANDOM!r} is the row of the random attribution. Give this explanation another name.")
    return dict(given)


def _check_agrees(
    name: str,
    explanation: Explanation,
    first: Explanation,
    data: FloatArray,
    index: pd.Index | None,
    predictions: FloatArray,
) -> None:
    """Refuse an explanation of other rows, or of another model."""

    def refuse(must: str, got: str, way_out: str) -> None:
        raise PanelError(f"The explanation {name!r} must {must}. Got {got}. {way_out}")

    again = "Explain the X that you pass with this model."
    if explanation.loadings.shape != data.shape:
        refuse(f"have the shape {data.shape} of X", str(explanation.loadings.shape), again)
    if index is not None and explanation.index is not None and not explanation.index.equals(index):
        refuse("have the rows of X in the same order", "another index", again)
    if explanation.descriptor_names != first.descriptor_names or explanation.lags != first.lags:
        refuse("have the descriptors and lags of the first one", "others", "Explain the same columns by all methods.")
    if not np.allclose(explanation.data, data, rtol=1e-5, atol=1e-6 * float(np.abs(data).max(initial=0))):
        refuse(
            "be of the inputs of X as the model reads them",
            "other numbers",
            f"{again} Explanations in raw units come after the measurement.",
        )
    check_finite(explanation.values.reshape(len(data), -1), what=f"The relevances of {name!r}")
    size = float(np.sqrt((predictions**2).mean()))
    largest = float(np.abs(explanation.predictions - predictions).max())
    if largest > _AGREES * size:
        refuse(
            "be of the predictions of the model",
            f"differences of up to {largest:.3g}, predictions have the size {size:.3g}",
            again,
        )


def _check_rules(rules: Mapping[str, Any] | None, named: Mapping[str, Explanation]) -> None:
    unknown = [name for name in rules or {} if name not in named]
    if unknown:
        raise PanelError(
            f"'rules' must name explanations. Got {unknown!r} beside them (explanations: {list(named)!r}). Use the "
            "names of the mapping that you pass."
        )
    for rule in (rules or {}).values():
        if not callable(rule):
            lrp.check_method(rule)


def _check_sizes(sensitivity: Sequence[Any], n_units: int) -> None:
    for size in sensitivity:
        whole = _is_whole(size) and 1 <= size <= n_units
        share = isinstance(size, float) and 0 < size < 1
        if not (whole or share):
            raise PanelError(
                f"'sensitivity' must hold numbers of units, from 1 to {n_units}, or shares of them, between 0.0 and "
                f"1.0. Got {size!r}. Pass (1, 0.1, 0.5) for one unit, a tenth and half of them."
            )


def _is_whole(size: Any) -> bool:
    """Tell a number of units from a share."""
    return isinstance(size, Integral) and not isinstance(size, bool)


def _count_left_out(used: BoolArray) -> int:
    n_left_out = int((~used).sum())
    if n_left_out == len(used):
        raise PanelError(
            f"baseline='date' needs other rows of the same date. Got {len(used)} rows that are all alone on theirs. "
            "Pass whole cross-sections, or rows of the training window as baseline."
        )
    if n_left_out:
        warnings.warn(
            f"{n_left_out} of {len(used)} rows are the only ones of their date and are left out of the faithfulness. "
            "Pass rows of the training window as baseline to keep them.",
            CoverageWarning,
            stacklevel=4,
        )
    return n_left_out
