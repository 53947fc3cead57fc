"""One call that looks for leaks in a panel, its windows and a model."""

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skdrfm.inspection._audit_data import (
    find_duplicate_keys,
    find_full_sample_scaling,
    find_misaligned_target,
    find_scaled_target,
    find_target_in_features,
)
from skdrfm.inspection._audit_model import ModelAudit, find_prefit_steps
from skdrfm.inspection._audit_panel import AuditPanel, Splits
from skdrfm.inspection._audit_report import (
    FAILED,
    FOUND,
    NOT_APPLICABLE,
    PASSED,
    Finding,
    LeakageReport,
    NotApplicableError,
)
from skdrfm.inspection._audit_splits import (
    find_inner_split_faults,
    find_overlapping_target,
    find_random_validation,
    find_split_faults,
    list_splits,
)
from skdrfm.inspection._audit_units import (
    find_constant_target,
    find_delisting_returns,
    find_percent_target,
    find_scale_jump,
    find_survivorship,
    find_zero_filled_target,
)

# In the order in which they run and are reported. What costs a fit comes last, and skill last of all.
LEAKAGE_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "duplicate_keys": "two rows with the same date and asset",
        "full_sample_scaling": "columns of X scaled with statistics of all dates",
        "scaled_target": "y scaled with statistics of all dates",
        "target_in_features": "a column that is y, or nearly",
        "misaligned_target": "y that holds known returns of other assets or dates",
        "percent_target": "y in percent",
        "scale_jump": "a unit that changes by 100 at a date",
        "zero_filled_target": "missing returns that became 0",
        "constant_target": "dates on which all assets have one target",
        "survivorship": "a universe that nothing leaves",
        "delisting_returns": "returns that are missing just where assets leave",
        "test_in_training": "rows that train and test",
        "training_after_test": "training rows later than test rows",
        "date_cut": "a date with training and test rows",
        "label_overlap": "training targets not yet known at the first test date",
        "overlapping_target": "a y over more periods than was declared",
        "random_validation": "early stopping on rows drawn at random",
        "prefit_step": "a part fitted before the split",
        "look_ahead": "a step whose outputs depend on later rows",
        "outside_training": "a fit that depends on rows outside its window",
        "shuffled_labels": "skill of a model that was fitted to noise",
        "implausible_skill": "forecasts better than returns allow",
    }
)
_SPLIT_FAULTS = ("test_in_training", "training_after_test", "date_cut", "label_overlap")
_FITTED = ("look_ahead", "outside_training", "shuffled_labels", "implausible_skill")


def audit_leakage(
    estimator: Any,
    X: pd.DataFrame,
    y: "pd.Series[Any]",
    *,
    cv: Any,
    horizon: int = 1,
    n_windows: int = 3,
    checks: Collection[str] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> LeakageReport:
    """Look for leaks of the future, and for mistakes that look like skill.

    A leak is reported and never raised. The audit sees what it is given: a panel that was filled backwards or joined
    to today's index members before the call carries few signs of it. Check the preparation itself with
    `check_point_in_time`.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Not changed; clones are fitted, those without a random_state with one. About ``2 * n_windows + 1`` fits.
    X : DataFrame of shape (n_samples, n_columns), indexed by (date, asset)
        What the model is given, with preparation that happens before the split done.
    y : Series of shape (n_samples,)
        Forward returns in decimals (0.01 = 1 %) with the index of X. Rows whose y is missing are left out of the
        fits and counted in the report.
    cv : splitter, iterable of (train, test) or int
        As for ``cross_validate``. All windows are checked for their dates.
    horizon : int, default=1
        Periods in a forward return, counted in dates of the panel.
    n_windows : int, default=3
        Windows in which the model is fitted, spread evenly over all of them.
    checks : collection of str, default=None
        Names among `LEAKAGE_CHECKS`. None: all of them. To leave one out, pass ``set(LEAKAGE_CHECKS) - {name}``.
    random_state : int, RandomState instance or None, default=0
        Seed of changes and permutations.

    Returns
    -------
    LeakageReport
        Findings with code, severity, title, evidence and remedy, and the outcome of each check.

    Raises
    ------
    PanelError
        If X or y is no panel of numbers, or they are not aligned.
    NonFiniteError
        If X or y holds infinity.
    SplitError
        If no window fits.
    TypeError
        If the estimator is none of scikit-learn's kind.
    ValueError
        If a check is unknown, or a number is out of its range.

    Notes
    -----
    Bounds are set so that honest data pass. Shuffled labels: 4 standard deviations of the mean rank correlation,
    whose null distribution is known, so a false alarm has a probability of 6e-5. Skill: a mean rank correlation more
    than 4 standard deviations above 0.2, or an out-of-sample R2 more than 4 standard errors above 2 % on at least 12
    dates, where Gu, Kelly and Xiu (2020) reach 0.4 % a month. Survivorship: no exit where at least 7 are expected at
    5 % a year, which happens with a probability of 0.001. Scaling: exact statistics (within 1e-6), as scalers leave.
    Each window is reported under its gravest fault only, and ``implausible_skill`` is not judged where an error
    already explains it. Warnings of the estimator are silenced, since it is fitted to noise on purpose.

    See Also
    --------
    check_point_in_time : The same proof for any function of tables.

    References
    ----------
    Gu, Kelly and Xiu (2020). Empirical Asset Pricing via Machine Learning. Review of Financial Studies 33(5).

    Kapoor and Narayanan (2023). Leakage and the reproducibility crisis in machine-learning-based science. Patterns 4.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import KFold
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.inspection import audit_leakage
    >>> X, y = make_factor_panel(n_dates=60, n_assets=40, entry_exit=0.3, random_state=0)
    >>> audit_leakage(LinearRegression(), X, y, cv=WalkForwardSplit(24, 6)).ok
    True
    >>> audit_leakage(LinearRegression(), X, y, cv=KFold(5, shuffle=True, random_state=0)).codes
    ('training_after_test',)
    """
    _check_arguments(estimator, horizon, n_windows)
    asked = _asked(checks)
    panel = AuditPanel.of(X, y)
    splits = list_splits(cv, X, y)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    model = ModelAudit.of(estimator, panel, splits, n_windows, seed)
    duplicated = not X.index.is_unique
    findings: list[Finding] = []
    checked: dict[str, str] = {}
    for code, look in _lookers(estimator, panel, splits, horizon, model).items():
        if code not in asked:
            continue
        if code in _FITTED and duplicated:
            checked[code] = NOT_APPLICABLE + "no model can be judged on rows with duplicate keys"
        elif code == "implausible_skill" and any(finding.severity == "error" for finding in findings):
            checked[code] = NOT_APPLICABLE + "an error that was found would explain it"
        else:
            found, checked[code] = _run(look)
            findings += [finding for finding in found if finding.code == code]
    findings.sort(key=lambda finding: finding.severity != "error")
    return LeakageReport(tuple(findings), checked, int((~panel.has_target).sum()))


def _lookers(
    estimator: Any, panel: AuditPanel, splits: Splits, horizon: int, model: ModelAudit
) -> dict[str, Callable[[], Iterable[Finding]]]:
    """Map each check to what it does, in the order of `LEAKAGE_CHECKS`."""
    by_data: dict[str, Callable[[AuditPanel], Iterable[Finding]]] = {
        "duplicate_keys": find_duplicate_keys,
        "full_sample_scaling": find_full_sample_scaling,
        "scaled_target": find_scaled_target,
        "target_in_features": find_target_in_features,
        "misaligned_target": find_misaligned_target,
        "percent_target": find_percent_target,
        "scale_jump": find_scale_jump,
        "zero_filled_target": find_zero_filled_target,
        "constant_target": find_constant_target,
        "survivorship": find_survivorship,
        "delisting_returns": find_delisting_returns,
    }

    def split_fault(code: str) -> Callable[[], Iterable[Finding]]:
        return lambda: [
            finding
            for found in (
                find_split_faults(panel, splits, horizon),
                find_inner_split_faults(estimator, panel, model.windows[0].train, horizon),
            )
            for finding in found
            if finding.code == code
        ]

    return {
        **{code: lambda find=find: find(panel) for code, find in by_data.items()},  # type: ignore[misc]
        **{code: split_fault(code) for code in _SPLIT_FAULTS},
        "overlapping_target": lambda: find_overlapping_target(panel, splits),
        "random_validation": lambda: find_random_validation(estimator, panel, splits),
        "prefit_step": lambda: find_prefit_steps(estimator),
        "look_ahead": model.look_ahead,
        "outside_training": model.outside_training,
        "shuffled_labels": model.shuffled_labels,
        "implausible_skill": model.implausible_skill,
    }


def _run(look: Callable[[], Iterable[Finding]]) -> tuple[list[Finding], str]:
    """Return findings and status of one check; whatever the model raises is a status and not the end of the audit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(look())
    except NotApplicableError as reason:
        return [], f"{NOT_APPLICABLE}{reason}"
    except Exception as error:  # the estimator is not ours
        return [], f"{FAILED}{type(error).__name__}: {error}"
    return found, FOUND if found else PASSED


def _asked(checks: Collection[str] | None) -> frozenset[str]:
    if checks is None:
        return frozenset(LEAKAGE_CHECKS)
    unknown = sorted(set(checks) - set(LEAKAGE_CHECKS)) if not isinstance(checks, str) else [checks]
    if unknown:
        raise ValueError(
            f"'checks' must be a collection of names among {', '.join(LEAKAGE_CHECKS)}. Got "
            f"{', '.join(map(repr, unknown))}{' as a string: put it into a list' if isinstance(checks, str) else ''}."
        )
    return frozenset(checks)


def _check_arguments(estimator: Any, horizon: Any, n_windows: Any) -> None:
    if isinstance(estimator, type) or not all(hasattr(estimator, name) for name in ("fit", "predict", "get_params")):
        raise TypeError(
            "The estimator must have fit, predict and get_params, as scikit-learn's do. Got "
            f"{estimator if isinstance(estimator, type) else type(estimator).__name__}. Pass an estimator, a Pipeline "
            "that ends in one or a search."
        )
    for name, value in (("horizon", horizon), ("n_windows", n_windows)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name!r} must be an integer >= 1. Got {value!r}. Count it in dates or windows.")
