"""A study from its folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.exceptions import PanelFileError
from skdrfm.metrics._frozen import frozen_frame, frozen_series
from skdrfm.model_selection import WalkForwardResult
from skdrfm.portfolio import BacktestResult, backtest
from skdrfm.report._labels import TEXT, labels_from
from skdrfm.report._sections_quiet import without_coverage_warnings
from skdrfm.report._study_folder import MANIFEST, StudyFolder
from skdrfm.study import StudyResult

# Returns are decimals; sums on other machines differ by less, figures of another study by more.
_ROUNDING = 1e-9


def read_study(folder: str | Path) -> StudyResult:
    """Read a study back from the folder that `write_study` wrote.

    Numbers come back to their last bit, dates and assets with their types. Portfolios are not in the folder: they are
    made again from predictions and realised returns by `backtest`, and must agree with the long/short returns that
    were written.

    Parameters
    ----------
    folder : path
        The folder.

    Returns
    -------
    StudyResult
        Explanations of single rows are not in the folder: ``results[name].explanation`` is None. ``manifest["data"]``
        has the source of the panel, and whether it is simulated, as they were given to `write_study`.

    Raises
    ------
    PanelFileError
        If it is no such folder, or a file is missing, damaged or changed, or of another study.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from skdrfm import make_factor_panel, run_study
    >>> from skdrfm.report import read_study, write_study
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, random_state=0)
    >>> study = run_study(X, y, models=["Linear"], lags=(0, 3), train_size=24, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_study(study, folder, source="simulated panel", simulated=True)
    ...     again = read_study(folder)
    >>> again.table.equals(study.table), again.manifest["data"]
    (True, {'source': 'simulated panel', 'simulated': True})
    """
    files = StudyFolder.open(Path(folder))
    _check_labels(files)
    realised, predictions = _predictions(files)
    windows = _windows(files)
    shares = _by_date(files, "contributions", "group", str)
    by_lag = _by_date(files, "relevance_by_lag", "lag", int)
    return StudyResult(
        table=_square(files, "table", "model"),
        results=_results(files, predictions, windows),
        backtests=_backtests(files, predictions, realised),
        contributions={name: frames["share"] for name, frames in shares.items()},
        signed_contributions={name: frames["signed"] for name, frames in shares.items()},
        windows=windows,
        realised=realised,
        manifest=files.manifest,
        relevance_by_lag={name: frames["share"] for name, frames in by_lag.items()},
        coverage=_coverage(files),
        agreement=_agreement(files) if files.has("agreement") else None,
        explainer_costs=_square(files, "explainer_costs", "method") if files.has("explainer_costs") else None,
        findings=_findings(files) if files.has("findings") else None,
    )


def _check_labels(files: StudyFolder) -> None:
    for level in ("date", "asset"):
        if not isinstance(files.labels.get(level), str):
            raise PanelFileError(
                f"The {level}s of the study in {str(files.path)!r} must be text, numbers, dates or periods, all of one "
                "type, to be told from text. They are not. Keep such a study by pickle, or convert them before it."
            )


def _predictions(files: StudyFolder) -> "tuple[pd.Series[Any], dict[str, pd.Series[Any]]]":
    """Realised returns, and the predictions of each model."""
    header, columns = files.cells("predictions", texts=(0, 1))
    with files.reading("predictions"):
        index = _panel_index(files, header, columns)
        if header[2] != "realised":
            raise ValueError(f"column {header[2]!r} in place of 'realised'")
        about = files.labels["realised"]
        realised = pd.Series(columns[2].to_numpy(), index=index, name=about["name"]).astype(about["type"])
        found = {
            name: frozen_series(columns[j].to_numpy(), index, name="prediction")
            for j, name in enumerate(header[3:], start=3)
        }
    return realised, found


def _panel_index(files: StudyFolder, header: list[str], columns: pd.DataFrame) -> pd.MultiIndex:
    """Rows by date and asset, in the order of levels of the panel."""
    levels = [labels_from(columns[j], files.labels[header[j]]) for j in (0, 1)]
    return pd.MultiIndex.from_arrays(levels, names=header[:2])


def _windows(files: StudyFolder) -> pd.DataFrame:
    header, columns = files.cells("windows", texts=(0, 1, 2, 5, 6))
    with files.reading("windows"):
        # By rows, as they were first made, so that pandas chooses the same types.
        by_column = {
            name: _scalars(labels_from(columns[j], files.labels["date"]))
            if name.endswith(("_start", "_end"))
            else columns[j].astype("int64").tolist()
            for j, name in enumerate(header[1:], start=1)
        }
        rows = [dict(zip(by_column, values, strict=True)) for values in zip(*by_column.values(), strict=True)]
        return pd.DataFrame(rows).rename_axis("window")


def _results(
    files: StudyFolder, predictions: "Mapping[str, pd.Series[Any]]", windows: pd.DataFrame
) -> dict[str, WalkForwardResult]:
    _, fits = files.cells("fits", texts=(0,))
    members = _members(files) if files.has("seed_predictions") else {}
    results = {}
    with files.reading("fits"):
        for name, series in predictions.items():
            own = fits[fits[0] == name]
            by_window = windows.assign(fitted_in=own[2].to_numpy().astype("int64"), fit_seconds=own[3].to_numpy())
            found: dict[str, Any] = {}
            if name in members:
                found["spread"] = frozen_series(members[name].std(axis=1, ddof=1), series.index, name="spread")
                seeds = pd.RangeIndex(members[name].shape[1], name="seed")
                found["seed_predictions"] = frozen_frame(members[name], series.index, seeds)
            results[name] = WalkForwardResult(predictions=series, windows=by_window, **found)
    return results


def _members(files: StudyFolder) -> dict[str, AnyArray]:
    """Predictions of the members of each ensemble, of shape (n_predictions, n_seeds)."""
    header, columns = files.cells("seed_predictions", texts=(0, 1))
    return {
        # Row by row in memory, as they were made: the order of sums, and so their last bit, depends on it.
        name: np.ascontiguousarray(columns[[j for j in range(2, len(header)) if header[j] == name]].to_numpy())
        for name in dict.fromkeys(header[2:])
    }


def _backtests(
    files: StudyFolder, predictions: "Mapping[str, pd.Series[Any]]", realised: "pd.Series[Any]"
) -> dict[str, BacktestResult]:
    """Portfolios, made again."""
    with files.reading(MANIFEST):
        options = files.manifest["options"]
        n_quantiles, cost = int(options["n_quantiles"]), float(options["cost"])
    header, columns = files.cells("long_short_returns", texts=(0,))
    found = {}
    # What could not be used was said when the study ran, and is counted in the results.
    with files.reading("long_short_returns"), without_coverage_warnings():
        for name, series in predictions.items():
            found[name] = backtest(series, realised, n_quantiles=n_quantiles, cost=cost)
            written = columns[header.index(name, 1)].to_numpy()
            made = found[name].long_short.to_numpy()
            if not (made.shape == written.shape and np.allclose(made, written, rtol=0, atol=_ROUNDING, equal_nan=True)):
                raise ValueError(
                    f"long/short returns of {name!r} that do not follow from predictions.csv and the options of "
                    f"{MANIFEST}"
                )
    return found


def _by_date(files: StudyFolder, name: str, level: str, kind: type) -> dict[str, dict[str, pd.DataFrame]]:
    """Frames of dates by some level: by model, and by the name of their column; none if no model is explained."""
    if not files.has(name):
        return {}
    header, columns = files.cells(name, texts=(0, 1, 2))
    found: dict[str, dict[str, pd.DataFrame]] = {}
    with files.reading(name):
        for model, own in columns.groupby(0, sort=False):
            dates = labels_from(own[1].unique(), files.labels["date"]).rename("date")
            labels = pd.Index([kind(label) for label in own[2].unique()], name=level)
            found[str(model)] = {
                column: pd.DataFrame(own[j].to_numpy().reshape(len(dates), len(labels)), index=dates, columns=labels)
                for j, column in enumerate(header[3:], start=3)
            }
    return found


def _square(files: StudyFolder, name: str, level: str) -> pd.DataFrame:
    """Read numbers by one level of labels."""
    header, columns = files.cells(name, texts=(0,))
    numbers = columns.iloc[:, 1:].set_axis(pd.Index(header[1:]), axis=1)
    return numbers.set_index(labels_from(columns[0], TEXT).rename(level))


def _agreement(files: StudyFolder) -> pd.DataFrame:
    return _square(files, "agreement", "method").rename_axis(columns="method")


def _coverage(files: StudyFolder) -> pd.DataFrame:
    header, columns = files.cells("coverage", texts=(0,))
    with files.reading("coverage"):
        dates = labels_from(columns[0], files.labels["date"]).rename("date")
        return pd.DataFrame(
            columns.iloc[:, 1:].to_numpy(), index=dates, columns=pd.Index(header[1:], name="descriptor")
        )


def _findings(files: StudyFolder) -> pd.DataFrame:
    header, columns = files.cells("findings", texts=range(5))
    return pd.DataFrame(columns.to_numpy().tolist(), columns=header)


def _scalars(dates: pd.Index) -> list[Any]:
    """Dates one by one, numbers in the width that they have."""
    return list(dates.to_numpy() if pd.api.types.is_numeric_dtype(dates.dtype) else dates)
