"""All dates and all attributions: what is measured, row by row, and the frames of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.explanation import Explanation
from skdrfm.inspection._faithfulness_baseline import Section
from skdrfm.inspection._faithfulness_checks import (
    explainer_of,
    noisy_inputs,
    randomisation,
    relative_size,
    size_correlations,
    stability,
)
from skdrfm.inspection._faithfulness_measure import Attribution, Setting, measure, permuted
from skdrfm.inspection._faithfulness_networks import has_parameters
from skdrfm.inspection._faithfulness_report import RANDOM
from skdrfm.inspection._faithfulness_table import (
    AREAS,
    CHECKS,
    figure_names,
    jackknife_error,
    pooled_figures,
    spread_of,
)
from skdrfm.inspection._forward import Forward

CURVES = ("highest_first", "lowest_first", "insertion")


@dataclass(frozen=True)
class Panel:
    """The rows that are measured.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_timesteps, n_features)
        Inputs.
    flat : ndarray of shape (n_samples, n_cells)
        The same in flat columns, in float64.
    predictions : ndarray of shape (n_samples,)
        Predictions.
    index : Index or None
        Labels of the rows.
    parts : list of Section
        Dates that are used.
    used : ndarray of shape (n_samples,), bool
        Rows that are used.
    """

    data: FloatArray
    flat: FloatArray
    predictions: FloatArray
    index: pd.Index | None
    parts: list[Section]
    used: BoolArray

    @property
    def clusters(self) -> IntArray:
        """Number of the date of each used row; of the row itself where there are no dates."""
        if self.index is None or "date" not in self.index.names:
            return np.arange(int(self.used.sum()), dtype=np.intp)
        numbers = np.zeros(len(self.used), dtype=np.intp)
        for number, part in enumerate(self.parts):
            numbers[part.rows] = number
        return numbers[self.used]


@dataclass(frozen=True)
class Found:
    """Figures of one attribution.

    Parameters
    ----------
    name : str
        Its name.
    rows : dict of str to ndarray of shape (n_samples,)
        Figures of the rows; NaN where there is none.
    curves : ndarray of shape (3, n_steps + 1)
        Sums over the used rows of predictions less those of the whole rows.
    totals : ndarray of shape (n_samples, n_units)
        Relevances of units; for the random attribution of its first draw.
    """

    name: str
    rows: dict[str, FloatArray] = field(repr=False)
    curves: FloatArray = field(repr=False)
    totals: FloatArray = field(repr=False)


def measure_all(setting: Setting, panel: Panel, named: Mapping[str, Explanation], n_repeats: int) -> list[Found]:
    """Measure all explanations and n_repeats random attributions, date by date."""
    n_samples, n_steps = len(panel.data), len(setting.counts)
    own = [
        Attribution(*(part.reshape(n_samples, -1).astype(np.float64) for part in (e.values, e.loadings)))
        for e in named.values()
    ]
    found = [
        Found(name, {}, np.zeros((len(CURVES), n_steps)), np.full((n_samples, setting.units.n_units), np.nan))
        for name in (*named, *[RANDOM] * n_repeats)
    ]
    for part in panel.parts:
        these = [Attribution(e.values[part.rows], e.loadings[part.rows]) for e in own]
        these += permuted(these[0], part, n_repeats)
        start = panel.predictions[part.rows]
        for one, attribution, measured in zip(
            found, these, measure(setting, part, panel.flat[part.rows], start, these), strict=True
        ):
            one.totals[part.rows] = setting.units.totals(attribution.values)
            for place, name in enumerate(CURVES):
                one.curves[place] += (getattr(measured.curves, name) - start[:, np.newaxis]).sum(axis=0)
            for name, values in measured.rows.items():
                one.rows.setdefault(name, np.full(n_samples, np.nan))[part.rows] = values
    for one in found:
        one.rows.update({name: np.full(n_samples, np.nan) for name in CHECKS})
    return found


@dataclass(frozen=True)
class Checks:
    """How randomisation and stability are measured."""

    forward: Forward
    rules: Mapping[str, Any]
    noise: float
    n_repeats: int
    seed: int


def check_all(
    checks: Checks, setting: Setting, panel: Panel, named: Mapping[str, Explanation], found: Sequence[Found]
) -> tuple[dict[str, str], pd.DataFrame]:
    """Fill in randomisation and stability; return what could not be had, and correlations by layer."""
    notes: dict[str, str] = {}
    columns: dict[str, FloatArray] = {}
    labels: list[tuple[int, str]] = []
    network, used = checks.forward.network, panel.used
    noisy = noisy_inputs(panel.data, panel.parts, checks.noise, checks.n_repeats)
    noisy = [inputs[used] for inputs in noisy]
    for one, (name, explanation) in zip(found, named.items(), strict=False):
        explainer = explainer_of(explanation, checks.forward, checks.rules.get(name))
        if explainer.explain is None:
            notes[name] = explainer.reason
            continue
        totals = one.totals[used]
        one.rows["stability"][used] = stability(explainer.explain, network, noisy, totals, setting.units)
        if network is None or not any(has_parameters(layer) for layer in network.layers):
            notes[name] = "no randomisation: the model is no network with layers to re-initialise"
            continue
        labels, stages = randomisation(
            explainer.explain, network, panel.data[used], totals, setting.units, checks.seed, checks.n_repeats
        )
        columns[name] = stages.mean(axis=1)
        one.rows["randomisation"][used] = stages[-1]
    # What the checks say of an attribution that is drawn anew each time.
    first = found[0].totals[used]
    size = np.linalg.norm(first, axis=1)
    for one in found[len(named) :]:
        one.rows["stability"][used] = relative_size(np.linalg.norm(one.totals[used] - first, axis=1), size)
        one.rows["randomisation"][used] = size_correlations(first, one.totals[used])
    index = pd.MultiIndex.from_tuples(labels, names=["n_layers", "layer"]) if labels else None
    frame = pd.DataFrame(columns, index=index, dtype=np.float64)
    return notes, frame.rename_axis(columns="method")


def tables(found: Sequence[Found], panel: Panel, sensitivities: Sequence[str]) -> dict[str, Any]:
    """Table, standard errors and spread of the random attribution, by the names of the report."""
    names = [one.name for one in found if one.name != RANDOM]
    predictions, clusters = panel.predictions[panel.used], panel.clusters
    pooled = [
        pooled_figures(
            {name: values[panel.used] for name, values in one.rows.items()}, predictions, clusters, sensitivities
        )
        for one in found
    ]
    values, without = ([item[place] for item in pooled] for place in (0, 1))
    n_methods = len(names)
    draws = np.asarray(values[n_methods:])
    index = pd.Index([*names, RANDOM], name="method")
    figures = pd.Index(figure_names(sensitivities), name="figure")
    table = np.asarray([*values[:n_methods], draws.mean(axis=0)])
    errors = [jackknife_error(part) for part in (*without[:n_methods], np.mean(without[n_methods:], axis=0))]
    spread = draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(len(figures), np.nan)
    return {
        "table": pd.DataFrame(table, index=index, columns=figures),
        "standard_errors": pd.DataFrame(np.asarray(errors), index=index, columns=figures),
        "random_spread": pd.Series(spread, index=figures),
    }


def curve_frame(found: Sequence[Found], panel: Panel, counts: IntArray) -> pd.DataFrame:
    """Mean curves by method and step, in standard deviations of the predictions."""
    unit = spread_of(panel.predictions[panel.used]) * int(panel.used.sum())
    frames = {}
    for name in dict.fromkeys(one.name for one in found):
        mean = np.mean([one.curves for one in found if one.name == name], axis=0) / unit
        share = counts / counts[-1]
        frames[name] = pd.DataFrame({"share": share, **dict(zip(CURVES, mean, strict=True))})
    return pd.concat(frames, names=["method", "step"])


def row_frame(found: Sequence[Found], panel: Panel, sensitivities: Sequence[str]) -> pd.DataFrame:
    """Figures of the used rows by method and figure, in units of the prediction."""
    columns: dict[tuple[str, str], FloatArray] = {}
    for name in dict.fromkeys(one.name for one in found):
        draws = [_row_figures(one.rows, sensitivities) for one in found if one.name == name]
        for figure in draws[0]:
            columns[name, figure] = np.mean([draw[figure] for draw in draws], axis=0)[panel.used]
    index = pd.RangeIndex(len(panel.used)) if panel.index is None else panel.index
    frame = pd.DataFrame(columns, index=index[panel.used])
    return frame.rename_axis(columns=["method", "figure"])


def _row_figures(rows: Mapping[str, FloatArray], sensitivities: Sequence[str]) -> dict[str, FloatArray]:
    names = (
        {name: name for name in (*AREAS, *sensitivities)} | {"infidelity": "error"} | {name: name for name in CHECKS}
    )
    return {figure: rows[name] for figure, name in names.items()}
