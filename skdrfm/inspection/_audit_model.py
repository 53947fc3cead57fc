"""Checks of the model: what it says of a date is untouched by what comes later, and it fails on noise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._audit_dates import comparable, table_dates
from skdrfm.inspection._audit_panel import AuditPanel, Splits
from skdrfm.inspection._audit_report import Finding, NotApplicableError
from skdrfm.inspection._point_in_time import changed_rows, check_point_in_time
from skdrfm.metrics import rank_information_coefficient

# Fitted models judge the dates that follow their test window too: more dates, and no further fits.
_MAX_DATES = 24
# Rounding of a product over fewer rows, in single precision.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Window:
    """Rows of one window: those with a target train, ``judged`` are the test rows and rows of later dates."""

    train: IntArray
    test: IntArray
    judged: IntArray


@dataclass(frozen=True, eq=False)
class ModelAudit:
    """A model, its windows, and its fits on the true targets, each made once.

    Parameters
    ----------
    estimator : estimator
        Seeded, not fitted.
    panel : AuditPanel
        The data.
    windows : tuple of Window
        Some windows of the splitter, spread evenly.
    seed : int
        Seed of all changes.
    """

    estimator: Any
    panel: AuditPanel
    windows: tuple[Window, ...]
    seed: int
    _fitted: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, estimator: Any, panel: AuditPanel, splits: Splits, n_windows: int, seed: int) -> "ModelAudit":
        """Choose the windows and give a seed to all parts that have none."""
        seeded = clone(estimator)
        names = [name for name in seeded.get_params() if name.rpartition("__")[2] == "random_state"]
        seeded.set_params(**{name: seed for name in names if seeded.get_params()[name] is None})
        places = ((np.arange(n_windows) + 0.5) / n_windows * len(splits)).astype(np.intp)
        chosen = sorted((splits[i] for i in np.unique(places)), key=lambda split: int(panel.codes[split[1]].min()))
        windows = []
        for number, (train, test) in enumerate(chosen):
            stop = int(panel.codes[test].max()) + _MAX_DATES
            if number + 1 < len(chosen):
                stop = min(stop, int(panel.codes[chosen[number + 1][1]].min()) - 1)
            end = int(max(panel.codes[train].max(), panel.codes[test].max()))
            after = np.flatnonzero((panel.codes > end) & (panel.codes <= stop))
            judged = np.union1d(test, after)
            windows.append(
                Window(train[panel.has_target[train]], test, judged[panel.has_target[judged]].astype(np.intp))
            )
        return cls(seeded, panel, tuple(windows), seed)

    @cached_property
    def _noise(self) -> "pd.Series[Any]":
        return self.panel.shuffled(np.random.default_rng(self.seed))

    def fitted(self, number: int) -> Any:
        """Model fitted to the true targets of a window."""
        if number not in self._fitted:
            self._fitted[number] = self.fit(self.windows[number].train, self.panel.y)
        return self._fitted[number]

    def fit(self, rows: IntArray, y: "pd.Series[Any]") -> Any:
        """Fit a clone."""
        return clone(self.estimator).fit(self.panel.X.iloc[rows], y.iloc[rows])

    def look_ahead(self) -> Iterator[Finding]:
        """Change and remove later rows of what each step is given; what it says of earlier rows must stay."""
        evidence: dict[str, str] = {}
        n_faulty: dict[str, int] = {}
        for number, window in enumerate(self.windows):
            rows = np.union1d(window.train, window.test)
            cuts = self._cuts(rows)
            if not cuts:
                continue
            for label, compute, table in _stages(self.fitted(number), self.panel.X.iloc[rows]):
                found = check_point_in_time(compute, table, dates=cuts, rtol=_ROUNDING, random_state=self.seed + number)
                for finding in found:
                    evidence.setdefault(label, finding.evidence)
                    n_faulty[label] = n_faulty.get(label, 0) + 1
        for label, text in evidence.items():
            yield Finding(
                "look_ahead",
                "error",
                f"{label[0].upper()}{label[1:]} looks ahead: later rows have an effect on earlier dates.",
                f"{n_faulty[label]} of {len(self.windows)} windows, fitted once and asked again. {text}",
                "Let transform and predict use the row, its date and earlier dates only; learn what is learned over "
                "time in fit.",
            )

    def _cuts(self, rows: IntArray) -> list[Any]:
        """Two dates of a window: the last but one, and one in the middle."""
        codes = np.unique(self.panel.codes[rows])
        if len(codes) < 2:
            return []
        return [self.panel.dates[codes[place]] for place in sorted({len(codes) - 2, (len(codes) - 2) // 2})]

    def outside_training(self) -> Iterator[Finding]:
        """Poison all that is known after training, in X and in tables that are parameters, and fit again."""
        window, before = self.windows[0], self.fitted(0)
        end = int(self.panel.codes[window.train].max())
        rng = np.random.default_rng(self.seed)
        poisoned = changed_rows(self.panel.X, self.panel.codes > end, rng).iloc[window.train]
        # Labels that only later rows have would still tell of the future.
        poisoned = poisoned.set_axis(poisoned.index.remove_unused_levels(), axis=0)
        other = clone(self.estimator)
        tables = {name: self._poisoned_table(value, end, rng) for name, value in other.get_params(deep=True).items()}
        tables = {name: table for name, table in tables.items() if table is not None}
        other.set_params(**tables)
        other.fit(poisoned, self.panel.y.iloc[window.train])
        asked = self.panel.X.iloc[np.union1d(window.train, window.test)]
        first, second = (np.asarray(model.predict(asked), dtype=np.float64) for model in (before, other))
        if _agree(first, second):
            return
        repeated = np.asarray(self.fit(window.train, self.panel.y).predict(asked), dtype=np.float64)
        if not _agree(first, repeated):
            raise NotApplicableError("two fits to the same rows differ: fix the random_state of the model")
        listed = f" The parameter {', '.join(map(repr, tables))} holds such rows." if tables else ""
        yield Finding(
            "outside_training",
            "error",
            "The fit uses rows outside of its training window.",
            f"With the same training rows, and other values after {self.panel.date(end)}, predictions differ by up to "
            f"{np.nanmax(np.abs(first - second)):.3g}.{listed}",
            "Learn from what is passed to fit and from nothing else; cut tables in parameters to the window.",
        )

    def _poisoned_table(self, value: Any, end: int, rng: np.random.Generator) -> Any:
        if not isinstance(value, pd.DataFrame | pd.Series):
            return None
        try:
            moments, cut = comparable([table_dates(value, None), self.panel.dates[[end]]])
        except PanelError:
            return None
        later = np.asarray(~(moments <= cut[0]))
        return changed_rows(value, later, rng) if later.any() else None

    def shuffled_labels(self) -> Iterator[Finding]:
        """Fit to deviations of y from its date means, permuted within each date; what then is forecast was leaked.

        Against the permuted targets, the rank correlation of each date has mean 0 and variance 1 / (n - 1) exactly,
        whatever the model says, and dates are independent; 4 standard deviations of the mean are exceeded with a
        probability of 6e-5. Against the true targets 0.1 more is allowed, as noise may by luck point the way of real
        factors. A model that exceeds it is fitted again to mirrored noise: an honest one then errs the other way.
        """
        noise = self._noise
        if not np.nan_to_num(noise.to_numpy(dtype=np.float64)).any():
            raise NotApplicableError("no date has two assets whose targets differ")
        models = [self.fit(window.train, noise) for window in self.windows]
        predictions = [self._predict(model, window) for model, window in zip(models, self.windows, strict=True)]
        own, deviation, n_dates = self._mean_rank_correlation(predictions, noise.to_numpy(dtype=np.float64))
        if n_dates and abs(own) > 4 * deviation:
            yield self._noise_finding("the permuted", own, deviation, n_dates, 4 * deviation)
            return
        true, deviation, n_dates = self._mean_rank_correlation(predictions, self.panel.target)
        bound = 0.1 + 4 * deviation
        if n_dates and true > bound:
            again = [self._predict(self.fit(window.train, -noise), window) for window in self.windows]
            true = (true + self._mean_rank_correlation(again, self.panel.target)[0]) / 2
            if true > bound:
                yield self._noise_finding("the true", true, deviation, n_dates, bound)
                return
        if not n_dates:
            raise NotApplicableError("predictions or targets of all dates are constant")

    def _noise_finding(self, which: str, mean: float, deviation: float, n_dates: int, bound: float) -> Finding:
        return Finding(
            "shuffled_labels",
            "error",
            "A model that was fitted to noise has skill: it sees the targets that it is tested with.",
            "The deviations of y from its date means were permuted within each date before the fit; the mean rank "
            f"correlation with {which} targets of "
            f"{n_dates} dates is {mean:.3f}, where chance allows {bound:.3f} (standard deviation {deviation:.3f}).",
            "Find out where the model gets test targets from: a table or variable beside X, rows that train and "
            "test, or a step that was fitted before the split.",
        )

    def implausible_skill(self) -> Iterator[Finding]:
        """Measure the skill of the windows against what honest models of monthly returns have."""
        predictions = [self._predict(self.fitted(k), window) for k, window in enumerate(self.windows)]
        mean, deviation, n_dates = self._mean_rank_correlation(predictions, self.panel.target)
        reasons = []
        if n_dates and mean - 4 * deviation > 0.2:
            reasons.append(f"a mean rank correlation of {mean:.3f} (standard deviation {deviation:.3f})")
        r2, r2_low, n_r2 = self._r2(predictions)
        if n_r2 >= 12 and r2_low > 0.02:
            reasons.append(f"an out-of-sample R2 of {r2:.1%} (at least {r2_low:.1%} with 4 standard errors)")
        if reasons:
            yield Finding(
                "implausible_skill",
                "warning",
                "The forecasts are better than returns allow: suspect a leak.",
                f"{' and '.join(reasons)} on {max(n_dates, n_r2)} dates. Gu, Kelly and Xiu (2020) reach an R2 of 0.4 % "
                "a month; rank correlations of 0.03 to 0.1 are good.",
                "Drop one column after the other and see where the skill comes from; look at the dates of its data.",
            )

    def _predict(self, model: Any, window: Window) -> FloatArray:
        if not len(window.judged):
            return np.empty(0)
        values: FloatArray = np.ravel(np.asarray(model.predict(self.panel.X.iloc[window.judged]), dtype=np.float64))
        return values

    def _mean_rank_correlation(self, predictions: list[FloatArray], truth: FloatArray) -> tuple[float, float, int]:
        """Mean over dates, its standard deviation where there is no skill, and the number of dates."""
        figures: list[float] = []
        variances: list[float] = []
        for values, window in zip(predictions, self.windows, strict=True):
            if not len(values):
                continue
            codes = self.panel.codes[window.judged]
            by_date = rank_information_coefficient(truth[window.judged], values, dates=codes).dropna()
            figures += list(by_date)
            variances += list(1 / (np.bincount(codes)[by_date.index] - 1))
        if not figures:
            return 0.0, np.inf, 0
        return float(np.mean(figures)), float(np.sqrt(np.sum(variances)) / len(figures)), len(figures)

    def _r2(self, predictions: list[FloatArray]) -> tuple[float, float, int]:
        """Out-of-sample R2 without demeaning, 4 standard errors (over dates) less of it, and the number of dates."""
        rows = np.concatenate([window.judged for window in self.windows])
        if not len(rows):
            return 0.0, -np.inf, 0
        truth, forecast = self.panel.target[rows], np.concatenate(predictions)
        gains = pd.Series(truth**2 - (truth - forecast) ** 2).groupby(pd.Series(self.panel.codes[rows])).sum()
        total = float(truth @ truth)
        if not total > 0 or len(gains) < 2:
            return 0.0, -np.inf, 0
        error = float(gains.std() * np.sqrt(len(gains)))
        return float(gains.sum()) / total, (float(gains.sum()) - 4 * error) / total, len(gains)


def find_prefit_steps(estimator: Any) -> Iterator[Finding]:
    """Find parts that were fitted before the windows were cut."""
    parts = {"the model": estimator, **estimator.get_params(deep=True)}
    frozen = [name for name, part in parts.items() if type(part).__name__ == "FrozenEstimator"]
    if frozen:
        yield Finding(
            "prefit_step",
            "warning",
            "A part was fitted before the windows were cut, and nobody knows on which dates.",
            f"{', '.join(map(repr, frozen))} is a FrozenEstimator, which no fit changes.",
            "Put the part itself into the Pipeline, so that each window fits it to its own training rows.",
        )


def _stages(model: Any, table: Any) -> Iterator[tuple[str, Callable[[Any], Any], pd.DataFrame]]:
    """Yield each step of a fitted model with what it computes and what it is given."""
    index = table.index
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, Pipeline):
            for name, step in model.steps[:-1]:
                if step is None or step == "passthrough":
                    continue
                yield f"step {name!r} ({type(step).__name__})", *_on_frame(step.transform, table, index)
                table = step.transform(table)
            model = model.steps[-1][1]
        else:
            yield f"the predictions of {type(model).__name__}", *_on_frame(model.predict, table, index)
            return


def _on_frame(compute: Callable[[Any], Any], table: Any, index: pd.Index) -> tuple[Callable[[Any], Any], pd.DataFrame]:
    """Wrap a function of arrays, so that its rows carry dates."""
    if isinstance(table, pd.DataFrame):
        return compute, table
    if not isinstance(table, np.ndarray) or table.ndim != 2:
        raise NotApplicableError(f"a step returns a {type(table).__name__}, which is no table")
    return lambda frame: compute(frame.to_numpy()), pd.DataFrame(table, index=index)


def _agree(first: AnyArray, second: AnyArray) -> bool:
    """Compare up to what the order of sums over threads may change."""
    scale = float(np.nanmax(np.abs(first), initial=0.0))
    return bool(np.allclose(first, second, rtol=0.0, atol=1e-9 * scale, equal_nan=True))
