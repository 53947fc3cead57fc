"""Sanity checks that explain anew: networks without training, inputs with noise, and networks of other seeds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._faithfulness_baseline import NETWORKS, NOISE, Section
from skdrfm.inspection._faithfulness_curves import Units, units_of
from skdrfm.inspection._faithfulness_networks import cascade
from skdrfm.inspection._faithfulness_subsets import row_correlations
from skdrfm.inspection._forward import Forward

Explain: TypeAlias = Callable[[lrp.Network | None, FloatArray], FloatArray]
"""From a network and inputs (n_samples, n_timesteps, n_features) to relevances of the same shape."""

# Explanations in float32 differ from those in float64 by less than this fraction of their size.
_SAME = 1e-3


class Explainer(NamedTuple):
    """How an explanation is made again, or why it cannot be."""

    explain: Explain | None
    reason: str = ""


def explainer_of(explanation: Explanation, forward: Forward, rule: Any = None) -> Explainer:
    """Find the function that made an explanation, and check that it makes it again.

    Parameters
    ----------
    explanation : Explanation
        The explanation.
    forward : Forward
        The model.
    rule : str, Rule, Composite, method object or callable, default=None
        How it was made; None goes by the name of its method, with default options.

    Returns
    -------
    Explainer
        The function, or the reason why there is none.
    """
    if rule is None and explanation.method == "linear":
        slopes = explanation.loadings[:1]
        if (explanation.loadings == slopes).all() and explanation.offsets is None:
            return Explainer(lambda network, data: data * slopes)
        return Explainer(None, "its loadings are not those of one linear model")
    if rule is None and explanation.method not in lrp.METHODS:
        return Explainer(None, f"the method {explanation.method!r} is none of skdrfm.lrp.METHODS; name it in 'rules'")
    if rule is None and forward.network is None:
        return Explainer(None, "the model is no network that can be explained anew; give a function in 'rules'")
    again = _explain_by(explanation.method if rule is None else rule)
    values = np.asarray(again(forward.network, explanation.data))
    expected = explanation.values
    if values.shape != expected.shape:
        return Explainer(None, f"its function in 'rules' gives shape {values.shape} for {expected.shape}")
    size = float(np.sqrt((expected**2).mean()))
    if not np.allclose(values, expected, rtol=_SAME, atol=_SAME * size):
        how = f"the method {explanation.method!r} with default options" if rule is None else "its entry in 'rules'"
        return Explainer(None, f"{how} does not give this explanation again")
    return Explainer(again)


def _explain_by(rule: Any) -> Explain:
    if callable(rule):
        given: Explain = rule
        return given

    def again(network: lrp.Network | None, data: FloatArray) -> FloatArray:
        assert network is not None
        relevance = lrp.attribute(network, data, rule=rule)
        values: FloatArray = data * relevance.loadings
        return values if relevance.offsets is None else values + relevance.offsets

    return again


def size_correlations(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman correlation of absolute relevances, row by row.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, n_units)
        Signed relevances.

    Returns
    -------
    ndarray of shape (n_rows,)
        From -1 to 1. Of sizes that are all equal, 1 with others that are all equal, which is no change, and else 0.
    """
    ranks = [rankdata(np.abs(part), axis=1) for part in (first, second)]
    flat = [(rank == rank[:, :1]).all(axis=1) for rank in ranks]
    either, both = flat[0] | flat[1], flat[0] & flat[1]
    return np.where(either, both.astype(np.float64), row_correlations(ranks[0], ranks[1]))


def randomisation(
    explain: Explain,
    network: lrp.Network,
    data: FloatArray,
    totals: FloatArray,
    units: Units,
    seed: int,
    n_repeats: int,
) -> tuple[list[tuple[int, str]], FloatArray]:
    """Compare relevances with those of networks without training (Adebayo et al. 2018).

    Returns
    -------
    tuple
        Number of untrained layers and name of the lowest one, for each stage; and Spearman correlations, means over
        n_repeats draws of the parameters, of shape (n_stages, n_rows).
    """
    labels: list[tuple[int, str]] = []
    found: list[list[FloatArray]] = []
    for repeat in range(n_repeats):
        stages = cascade(network, np.random.default_rng([seed, repeat, NETWORKS]))
        labels = [(stage.n_layers, stage.lowest) for stage in stages]
        values = [explain(stage.network, data).reshape(len(data), -1) for stage in stages]
        found.append([size_correlations(totals, units.totals(part)) for part in values])
    return labels, np.asarray(found).mean(axis=0).reshape(len(labels), len(data))


def noisy_inputs(data: FloatArray, parts: Sequence[Section], scale: float, n_repeats: int) -> list[FloatArray]:
    """Add uniform noise of at most scale standard deviations of each column on the date of the row.

    Returns
    -------
    list of n_repeats ndarray of the shape of data
        Rows of a date with a single row are NaN, since there is no spread to compare with.
    """
    noisy: list[FloatArray] = [np.array(data, dtype=np.float64) for _ in range(n_repeats)]
    for part in parts:
        spread = data[part.rows].std(axis=0) if len(part.rows) > 1 else np.nan
        rng = part.generator(NOISE)
        for copy in noisy:
            copy[part.rows] += scale * spread * rng.uniform(-1, 1, size=(len(part.rows), *data.shape[1:]))
    return noisy


def stability(
    explain: Explain, network: lrp.Network | None, noisy: Sequence[FloatArray], totals: FloatArray, units: Units
) -> FloatArray:
    """Largest relative change of the relevances under small noise, ``max ||R(x + d) - R(x)|| / ||R(x)||``.

    Returns
    -------
    ndarray of shape (n_rows,)
        NaN where there is no noise, or no relevance to compare with.
    """
    known = np.isfinite(noisy[0]).all(axis=(1, 2))
    changes = np.where(known, 0.0, np.nan)
    for inputs in noisy:
        values = explain(network, inputs[known]).reshape(-1, len(units.of_cell))
        change = np.linalg.norm(units.totals(values) - totals[known], axis=1)
        changes[known] = np.maximum(changes[known], change)
    return relative_size(changes, np.linalg.norm(totals, axis=1))


def relative_size(changes: FloatArray, sizes: FloatArray) -> FloatArray:
    """Size of changes over that of what changes, row by row; NaN where there is nothing to change."""
    relative: FloatArray = np.divide(changes, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    return relative


def seed_stability(
    explanations: "Mapping[Any, Explanation] | Sequence[Explanation]", *, by: Any = "cell"
) -> pd.DataFrame:
    """Rank correlation of mean absolute relevances between networks of other seeds.

    The same model trained with another ``random_state`` should find the same inputs important. For each explanation
    absolute relevances of units are averaged over rows; what is compared are their ranks.

    Parameters
    ----------
    explanations : mapping of seed to Explanation, or sequence of Explanation
        Explanations of the same rows, one for each seed, at least two.
    by : {"cell", "lag", "descriptor"} or mapping of str to sequence of str, default="cell"
        Units, as in `faithfulness`.

    Returns
    -------
    DataFrame of shape (n_seeds, n_seeds)
        Spearman correlations; 1: the same order of importance. Rows and columns are the keys of the mapping, or
        numbers from 0.

    Raises
    ------
    PanelError
        If there are fewer than two explanations, or they are not of the same rows and columns.

    References
    ----------
    Adebayo et al. (2018), https://arxiv.org/abs/1810.03292, for rank correlations of absolute attributions.

    Examples
    --------
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import seed_stability
    >>> one = linear_explanation([[[1.0, 1.0, 1.0]]], [0.1, 0.2, 0.3])
    >>> two = linear_explanation([[[1.0, 1.0, 1.0]]], [0.1, 0.3, 0.2])
    >>> seed_stability({0: one, 1: two})
    seed    0    1
    seed
    0     1.0  0.5
    1     0.5  1.0
    """
    named = dict(explanations) if isinstance(explanations, Mapping) else dict(enumerate(explanations))
    if len(named) < 2:
        raise PanelError(
            f"seed_stability needs explanations of at least two seeds. Got {len(named)}. Fit the model with another "
            "random_state and explain the same rows."
        )
    first, *others = named.values()
    for seed, other in list(named.items())[1:]:
        same_index = other.index is first.index or (
            other.index is not None and first.index is not None and other.index.equals(first.index)
        )
        for what, same in (
            ("rows", len(other) == len(first) and same_index),
            ("descriptors", other.descriptor_names == first.descriptor_names),
            ("lags", other.lags == first.lags),
        ):
            if not same:
                raise PanelError(
                    f"All explanations must have the same {what} in the same order. Those of {seed!r} differ from "
                    f"those of {next(iter(named))!r}. Explain the same X with every model."
                )
    units = units_of(by, first)
    means = [
        np.abs(units.totals(explanation.values.reshape(len(explanation), -1))).mean(axis=0)
        for explanation in (first, *others)
    ]
    matrix = [[float(size_correlations(a[np.newaxis], b[np.newaxis])[0]) for b in means] for a in means]
    seeds = pd.Index(list(named), name="seed")
    return pd.DataFrame(matrix, index=seeds, columns=seeds)
