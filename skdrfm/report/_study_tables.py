"""The tables of a study's folder, as they are written."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from skdrfm.report._labels import kind_of
from skdrfm.report._tables import PUBLISHED_LABEL
from skdrfm.study import PUBLISHED, StudyResult

# Written only where a study has them; files of an older study would contradict the new page.
OPTIONAL = ("contributions", "relevance_by_lag", "seed_predictions", "agreement", "explainer_costs", "findings")


def study_tables(study: StudyResult) -> dict[str, pd.DataFrame]:
    """Tables of a study, by the stem of their file.

    Parameters
    ----------
    study : StudyResult
        The finished study.

    Returns
    -------
    dict of str to DataFrame
        Indices are part of the tables, but for ``"findings"``, which has none to keep.
    """
    results, backtests = study.results, study.backtests
    predictions = [study.realised, *(result.predictions for result in results.values())]
    long_short = [result.long_short for result in backtests.values()]
    tables = {
        "table": study.table.rename_axis("model"),
        "published": PUBLISHED.assign(note=PUBLISHED_LABEL),
        "predictions": pd.concat(predictions, axis=1, keys=["realised", *results]),
        "long_short_returns": pd.concat(long_short, axis=1, keys=list(backtests)).rename_axis("date"),
        "quantile_returns": _stacked(
            {name: {"return": result.quantile_returns} for name, result in backtests.items()}, "quantile"
        ),
        "windows": study.windows.rename_axis("window"),
        "fits": pd.concat(
            {name: result.windows[["fitted_in", "fit_seconds"]] for name, result in results.items()},
            names=["model", "window"],
        ),
        "coverage": study.coverage.rename_axis("date"),
    }
    if study.contributions:
        tables["contributions"] = _stacked(
            {
                name: {"share": study.contributions[name], "signed": study.signed_contributions[name]}
                for name in study.contributions
            },
            "group",
        )
    if study.relevance_by_lag:
        tables["relevance_by_lag"] = _stacked(
            {name: {"share": frame} for name, frame in study.relevance_by_lag.items()}, "lag"
        )
    members = {name: result.seed_predictions for name, result in results.items()}
    several = {name: frame for name, frame in members.items() if frame is not None}
    if several:
        side_by_side = pd.concat(list(several.values()), axis=1)
        # A column for each seed, under the name of its model.
        names = [name for name, frame in several.items() for _ in frame.columns]
        tables["seed_predictions"] = side_by_side.set_axis(names, axis=1)
    for name in ("agreement", "explainer_costs"):
        frame = getattr(study, name)
        if frame is not None:
            tables[name] = frame
    if study.findings is not None:
        tables["findings"] = study.findings
    return tables


def write_table(name: str, table: pd.DataFrame) -> str:
    """Write a table as the text of its file.

    Parameters
    ----------
    name : str
        A key of `study_tables`.
    table : DataFrame
        Its table.

    Returns
    -------
    str
        CSV, with numbers that read back to their last bit.
    """
    return table.to_csv(index=name != "findings", lineterminator="\n")


def description_of_labels(study: StudyResult) -> dict[str, Any]:
    """Describe what text alone does not tell: the types of dates and assets, and the returns' name and type.

    Parameters
    ----------
    study : StudyResult
        The finished study.

    Returns
    -------
    dict of str to object
        ``"date"`` and ``"asset"`` (from `kind_of`), and ``"realised"`` with ``"name"`` and ``"type"``.
    """
    index, name = study.realised.index, study.realised.name
    return {
        **{level: kind_of(index.get_level_values(level)) for level in ("date", "asset")},
        "realised": {
            "name": name if name is None or isinstance(name, str) else str(name),
            "type": str(study.realised.dtype),
        },
    }


def _stacked(frames: Mapping[str, Mapping[str, pd.DataFrame]], level: str) -> pd.DataFrame:
    """Stack frames of dates by some level into rows by model, date and that level, one column for each name."""
    by_model = {
        model: pd.DataFrame({name: _stack(frame) for name, frame in columns.items()})
        for model, columns in frames.items()
    }
    return pd.concat(by_model).rename_axis(["model", "date", level])


def _stack(frame: pd.DataFrame) -> Any:
    # By hand, because what DataFrame.stack does with NaN depends on the version of pandas.
    index = pd.MultiIndex.from_product([frame.index, frame.columns])
    return pd.Series(frame.to_numpy().ravel(), index=index)
