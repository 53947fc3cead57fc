"""Results as a document that can be opened, sent and printed."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.inspection import ExplainerComparison, LeakageReport
from skdrfm.portfolio import BacktestResult
from skdrfm.report._content import Content
from skdrfm.report._sections import build_content
from skdrfm.report._sections_subject import Subject
from skdrfm.study import StudyResult
from skdrfm.utils._files import write_file
from skdrfm.utils.validation import describe_first


class BacktestReport:
    """All that results say, as one page, a Word file or Markdown.

    Every number comes from the results. Formats share them: what one shows is in the others. What the results do not
    hold, such as the windows of a single backtest, is left out and named at the end.

    Parameters
    ----------
    results : StudyResult, BacktestResult or mapping of str to BacktestResult
        What to report. Backtests must have the same number of periods in a year.
    title : str, default=None
        Title; None says what kind of results these are.
    source : str, default=None
        What the data are, in words. None: as the manifest of the study says.
    simulated : bool, default=False
        Whether the data are simulated, which the report then says. Figures too good for real stocks are then no
        reason for a caution. A study whose manifest says so is simulated in any case.
    n_trials : float, default=None
        Number of independent strategies that were tried before these were chosen, at least 2, for the deflated Sharpe
        ratio. None: those of which the Sharpe ratio is known.
    trial_sharpe_ratios : sequence of float, default=()
        Sharpe ratios per year, over the same dates, of strategies that were tried and are not among the results.
    comparison : ExplainerComparison, default=None
        Explanations of the same rows by several methods, as made by `compare_explainers`. None: that of the study,
        if it has one.
    audit : LeakageReport, default=None
        What `audit_leakage` found. None: the findings of the study, if it has them.

    Raises
    ------
    PanelError
        If results are of another type, there are none, or backtests differ in their periods per year or in the type of
        their dates.
    ValueError
        If `n_trials` or a Sharpe ratio is no number, or too small a one.

    See Also
    --------
    skdrfm.report.write_study : A folder with the page of a study and the tables behind it.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.portfolio import backtest
    >>> from skdrfm.report import BacktestReport
    >>> index = pd.MultiIndex.from_product([[202001, 202002, 202003], ["A", "B"]], names=["date", "asset"])
    >>> predictions = pd.Series([0.1, 0.2, 0.3, 0.1, 0.0, 0.1], index=index)
    >>> returns = pd.Series([0.01, 0.03, 0.02, 0.01, 0.02, 0.01], index=index)
    >>> report = BacktestReport(backtest(predictions, returns, n_quantiles=2), title="Two assets")
    >>> report
    BacktestReport('Two assets', 1 model, 7 sections)
    >>> [section.title for section in report.content.sections[:4]]
    ['Results', 'Significance', 'Wealth and drawdown', 'Portfolios by forecast']
    """

    def __init__(
        self,
        results: "StudyResult | BacktestResult | Mapping[str, BacktestResult]",
        *,
        title: str | None = None,
        source: str | None = None,
        simulated: bool = False,
        n_trials: float | None = None,
        trial_sharpe_ratios: Sequence[float] = (),
        comparison: ExplainerComparison | None = None,
        audit: LeakageReport | None = None,
    ) -> None:
        backtests, study = _read(results)
        _check_comparable(backtests)
        ratios = _check_trials(n_trials, trial_sharpe_ratios)
        _check_type(comparison, ExplainerComparison, "comparison", "compare_explainers(...)")
        _check_type(audit, LeakageReport, "audit", "audit_leakage(...)")
        data = study.manifest.get("data", {}) if study is not None else {}
        self._subject = Subject(
            backtests=MappingProxyType(backtests),
            study=study,
            source=data.get("source") if source is None else source,
            simulated=bool(simulated or data.get("simulated", False)),
            n_trials=n_trials,
            trial_sharpe_ratios=ratios,
            comparison=comparison,
            audit=audit,
        )
        self.title = title or _default_title(backtests, study)

    @cached_property
    def content(self) -> Content:
        """What the report says, the same for all formats: sections of text, tables and charts."""
        return build_content(self._subject, self.title)

    def to_html(self, path: str | Path) -> Path:
        """Write one page that needs nothing else: no network, no other file.

        Parameters
        ----------
        path : path
            File to write; its folder is made. An older file is replaced in one step.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from skdrfm.report._html import render_html

        return _write(path, render_html(self.content).encode())

    def to_docx(self, path: str | Path) -> Path:
        """Write a Word file with the same tables and figures.

        Parameters
        ----------
        path : path
            File to write; its folder is made. An older file is replaced in one step.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        MissingDependencyError
            If python-docx is not installed.
        OSError
            If the file cannot be written.
        """
        from skdrfm.report._docx import render_docx

        return _write(path, render_docx(self.content))

    def to_markdown(self) -> str:
        """Write the report as text.

        Returns
        -------
        str
            Markdown with the same tables; of each chart its caption and its extremes.
        """
        from skdrfm.report._markdown import render_markdown

        return render_markdown(self.content)

    def __repr__(self) -> str:
        count = len(self._subject.names)
        models = f"{count} model{'' if count == 1 else 's'}"
        return f"BacktestReport({self.title!r}, {models}, {len(self.content.sections)} sections)"


def _read(results: Any) -> tuple[dict[str, BacktestResult], StudyResult | None]:
    """Bring results into the form of a mapping, and say whether they are of a study."""
    if isinstance(results, StudyResult):
        return {str(name): result for name, result in results.backtests.items()}, results
    if isinstance(results, BacktestResult):
        return {"Strategy": results}, None
    if not isinstance(results, Mapping):
        raise PanelError(
            "results must be a StudyResult, a BacktestResult or a mapping of names to BacktestResult. Got "
            f"{type(results).__name__}. Pass backtest(predictions, returns), or {{name: backtest(...)}}."
        )
    wrong = {name: type(result).__name__ for name, result in results.items() if not isinstance(result, BacktestResult)}
    if wrong or not results:
        got = ", ".join(f"{kind} for {name!r}" for name, kind in wrong.items()) or "none"
        raise PanelError(
            f"results must hold at least one BacktestResult. Got {got}. Pass {{name: backtest(predictions, returns)}}."
        )
    backtests = {str(name): result for name, result in results.items()}
    if len(backtests) < len(results):
        raise PanelError(
            f"Names of results must differ as text. Got {describe_first(list(results))}. Rename those that read alike."
        )
    return backtests, None


def _check_comparable(backtests: Mapping[str, BacktestResult]) -> None:
    years = {name: result.periods_per_year for name, result in backtests.items()}
    if len(set(years.values())) > 1:
        got = ", ".join(f"{count:g} of {name!r}" for name, count in years.items())
        raise PanelError(
            f"Backtests of one report must have the same periods_per_year. Got {got}. Write a report for each, or "
            "backtest them with the same periods."
        )
    kinds = {name: _kind_of_dates(result.long_short.index) for name, result in backtests.items()}
    if len(set(kinds.values())) > 1:
        got = ", ".join(f"{kind} of {name!r}" for name, kind in kinds.items())
        raise PanelError(
            f"Backtests of one report must have dates of the same type. Got {got}. Convert them, for example with "
            "pd.to_datetime."
        )


def _kind_of_dates(dates: pd.Index) -> str:
    """Name the dates that can stand in one table: periods of one length, and times with or without a zone."""
    if isinstance(dates, pd.PeriodIndex):
        return str(dates.dtype)
    zoned = isinstance(dates, pd.DatetimeIndex) and dates.tz is not None
    return f"{dates.inferred_type} with a time zone" if zoned else dates.inferred_type


def _check_trials(n_trials: Any, trial_sharpe_ratios: Any) -> tuple[float, ...]:
    """Check what is said about other trials, and read their Sharpe ratios once."""
    if n_trials is not None and not (_is_finite(n_trials) and n_trials >= 2):
        raise ValueError(
            f"'n_trials' must be a number of at least 2, or None. Got {n_trials!r}. One strategy that was not chosen "
            "from others has no deflated Sharpe ratio: leave it out."
        )
    ratios = tuple(trial_sharpe_ratios) if isinstance(trial_sharpe_ratios, Iterable) else (None,)
    if not all(_is_finite(figure) for figure in ratios):
        raise ValueError(
            f"'trial_sharpe_ratios' must be finite numbers. Got {trial_sharpe_ratios!r}. Leave out trials without a "
            "Sharpe ratio, and count them in n_trials; pass a list also of one."
        )
    return tuple(float(figure) for figure in ratios)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _check_type(value: Any, expected: type, name: str, way_out: str) -> None:
    if value is not None and not isinstance(value, expected):
        raise PanelError(
            f"{name!r} must be of type {expected.__name__}, or None. Got {type(value).__name__}. Pass {way_out}."
        )


def _default_title(backtests: Mapping[str, BacktestResult], study: StudyResult | None) -> str:
    if study is not None:
        return str(study.manifest.get("title", "Comparison of factor models, walked forward"))
    return "Back-test" if len(backtests) == 1 else "Comparison of back-tests"


def _write(path: str | Path, content: bytes) -> Path:
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"'path' must be a file. Got the folder {path}. Add a name, such as {path / 'report'}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content)
    return path
