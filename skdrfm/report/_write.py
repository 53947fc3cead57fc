"""The folder of a study: page, tables and manifest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from skdrfm.report._html import render_html
from skdrfm.report._report import BacktestReport
from skdrfm.report._study_folder import FOLDER, FORMAT, MANIFEST, digest_of
from skdrfm.report._study_tables import OPTIONAL, description_of_labels, study_tables, write_table
from skdrfm.study import StudyResult
from skdrfm.utils._files import write_file

_PAGE = "index.html"
# Older versions wrote these figures, which are in the page now; an older run's would contradict it.
_FORMER = ("figures/long_short.svg", "figures/windows.svg", "figures/contributions.svg")


def write_study(study: StudyResult, folder: str | Path, *, source: str | None = None, simulated: bool = False) -> Path:
    """Write a study as a folder: a page that can be opened, sent and printed by itself, and the tables behind it.

    Everything is made before anything is written, each file replaces an older one in one step, and the page comes
    last: a failure leaves no half page. `read_study` reads the folder back.

    Parameters
    ----------
    study : StudyResult
        The finished study.
    folder : path
        Made if it does not exist. Files of an earlier study in it are replaced; others are left alone.
    source : str, default=None
        What the panel is, in words, for the page and the manifest. None: as the manifest of the study says.
    simulated : bool, default=False
        Whether the panel is simulated. Figures too good for real stocks are then no reason for a caution. A study
        whose manifest says so is simulated in any case.

    Returns
    -------
    Path
        The page ``index.html``. Beside it are ``table.csv``, ``published.csv``, ``predictions.csv``,
        ``long_short_returns.csv``, ``quantile_returns.csv``, ``windows.csv``, ``fits.csv``, ``coverage.csv`` and
        ``manifest.json``; if a model is explained, ``contributions.csv`` and ``relevance_by_lag.csv``; if a model has
        several seeds, ``seed_predictions.csv``; and of a study with evidence ``findings.csv``, ``agreement.csv`` and
        ``explainer_costs.csv``.

    Raises
    ------
    OSError
        If the folder cannot be written.

    See Also
    --------
    skdrfm.report.BacktestReport : The page alone, also of other results, and as a Word file.

    Examples
    --------
    >>> import tempfile
    >>> from skdrfm import make_factor_panel, run_study
    >>> from skdrfm.report import write_study
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, random_state=0)
    >>> study = run_study(X, y, models=["Linear"], lags=(0, 3), train_size=24, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_study(study, folder, source="simulated panel", simulated=True)
    ...     page.name, page.stat().st_size > 10_000
    ('index.html', True)
    """
    content = BacktestReport(study, source=source, simulated=simulated).content
    study = replace(study, manifest={**study.manifest, "data": content.manifest["data"]})
    files = {f"{name}.csv": write_table(name, table).encode() for name, table in study_tables(study).items()}
    files[MANIFEST] = _manifest(study, files)
    page = render_html(content).encode()

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        write_file(folder / name, raw)
    for name in (*(f"{stem}.csv" for stem in OPTIONAL), *_FORMER):
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    write_file(folder / _PAGE, page)
    return folder / _PAGE


def _manifest(study: StudyResult, files: dict[str, bytes]) -> bytes:
    """Manifest with what is needed to read the folder back."""
    about = {
        "format": FORMAT,
        "labels": description_of_labels(study),
        "files": {name: digest_of(content) for name, content in files.items()},
    }
    text = json.dumps({**study.manifest, FOLDER: about}, indent=2, ensure_ascii=False, default=_plain)
    return f"{text}\n".encode()


def _plain(value: Any) -> Any:
    """Write numbers of NumPy as numbers, and all else that JSON does not know as text."""
    return value.item() if isinstance(value, np.generic) else str(value)
