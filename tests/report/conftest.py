from dataclasses import replace

import pandas as pd
import pytest

from skdrfm.datasets import make_factor_panel
from skdrfm.report import write_study
from skdrfm.study import run_study


@pytest.fixture(scope="session")
def study():
    """Six test months of a linear model."""
    X, y = make_factor_panel(n_dates=33, n_assets=12, missing=0.02, random_state=0)
    return run_study(X, y, models=["Linear"], lags=(0, 3), train_size=24, n_quantiles=3, cost=0.001, progress=False)


@pytest.fixture(scope="session")
def folder(study, tmp_path_factory):
    """Folder of the study, written once; tests only read it."""
    path = tmp_path_factory.mktemp("study")
    write_study(study, path, source="twelve simulated stocks", simulated=True)
    return path


@pytest.fixture(scope="session")
def with_evidence(study):
    """The study with evidence, made by hand."""
    square = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["a", "b"], columns=["a", "b"])
    columns = ["code", "severity", "title", "evidence", "remedy"]
    return replace(
        study,
        agreement=square.rename_axis(index="method", columns="method"),
        explainer_costs=square.set_axis(["additivity_gap", "evaluations"], axis=1).rename_axis("method"),
        findings=pd.DataFrame(
            [["survivorship", "warning", "No asset leaves.", "None of 12.", "Add them."]], None, columns
        ),
    )


@pytest.fixture(scope="session")
def renamed():
    """Function that gives the results of the one model of a study to models of other names."""

    def rename(study, *names):
        old = study.table.index[0]
        mappings = ("results", "backtests", "contributions", "signed_contributions", "relevance_by_lag")
        copies = {key: dict.fromkeys(names, getattr(study, key)[old]) for key in mappings}
        return replace(study, table=study.table.loc[[old] * len(names)].set_axis(list(names)), **copies)

    return rename
