"""What is needed to make a report again."""

import platform
from typing import Any

import numpy as np

from skdrfm.panel._plot import short_date
from skdrfm.report._sections_subject import Subject
from skdrfm.utils._fingerprint import package_versions


def manifest_of(subject: Subject, title: str) -> dict[str, Any]:
    """Collect versions, options and data; those of the study where there is one.

    Parameters
    ----------
    subject : Subject
        The results.
    title : str
        Title of the report.

    Returns
    -------
    dict
        Plain values only.
    """
    data = {"data": {"source": subject.source, "simulated": subject.simulated}}
    trials = {
        "n_trials": subject.n_trials,
        "trial_sharpe_ratios": list(subject.trial_sharpe_ratios),
    }
    if subject.study is not None:
        return {**subject.study.manifest, **data, "report": {"title": title, **trials}}
    options = {
        name: {
            "first_date": short_date(result.long_short.index[0]),
            "last_date": short_date(result.long_short.index[-1]),
            "n_quantiles": result.quantile_returns.shape[1] or None,
            "cost": _rate(result.cost),
            "borrow_fee": _rate(result.borrow_fee),
            "delay": result.delay,
            "rebalance_every": result.rebalance_every,
            "periods_per_year": result.periods_per_year,
        }
        for name, result in subject.backtests.items()
    }
    return {
        "report": {"title": title, **trials},
        "backtests": options,
        "versions": {"python": platform.python_version(), **package_versions()},
        **data,
    }


def _rate(rate: float) -> float | str:
    return "by asset" if np.isnan(rate) else rate
