"""The folder of a study: page, figures, tables and manifest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skdrfm.panel import assets_of, dates_of
from skdrfm.report._figures import Figure, draw_figures, inline_svg
from skdrfm.report._tables import (
    COLUMNS,
    PUBLISHED_LABEL,
    best_models,
    earned_months,
    file_tables,
    format_table,
    row_counts,
    suspicious_figures,
)
from skdrfm.study import PUBLISHED, StudyResult
from skdrfm.utils._files import replacing

_PAGE = "index.html"
# Written only if a model is explained; an older run's file would contradict the new page.
_OPTIONAL = ("contributions.csv", "figures/contributions.svg")


def write_study(study: StudyResult, folder: str | Path, *, source: str | None = None, simulated: bool = False) -> Path:
    """Write a study as a folder with one page that can be opened, sent and printed by itself.

    Everything is made before anything is written, each file replaces an older one in one step, and the page comes
    last: a failure leaves no half page.

    Parameters
    ----------
    study : StudyResult
        The finished study.
    folder : path
        Made if it does not exist. Files of an earlier study in it are replaced; others are left alone.
    source : str, default=None
        What the panel is, in words, for the page and the manifest.
    simulated : bool, default=False
        Whether the panel is simulated. Figures too good for real stocks are then no reason for a caution.

    Returns
    -------
    Path
        The page ``index.html``. Beside it are ``table.csv``, ``published.csv``, ``predictions.csv``,
        ``long_short_returns.csv``, ``quantile_returns.csv``, ``windows.csv``, ``manifest.json``,
        ``figures/long_short.svg``, ``figures/windows.svg`` and, if a model is explained, ``contributions.csv`` and
        ``figures/contributions.svg``.

    Raises
    ------
    OSError
        If the folder cannot be written.

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
    manifest = {**study.manifest, "data": {"source": source, "simulated": simulated}}
    manifest_text = json.dumps(manifest, indent=2, ensure_ascii=False, default=str)
    figures = draw_figures(study)
    files = {f"{name}.csv": table.to_csv() for name, table in file_tables(study).items()}
    files |= {f"figures/{name}.svg": figure.wide for name, figure in figures.items()}
    files["manifest.json"] = manifest_text + "\n"
    page = _render(study, figures, manifest_text, sorted(files), source=source, simulated=simulated)

    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write(folder / name, text)
    for name in _OPTIONAL:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    _write(folder / _PAGE, page)
    return folder / _PAGE


def _render(
    study: StudyResult,
    figures: Mapping[str, Figure],
    manifest: str,
    files: list[str],
    *,
    source: str | None,
    simulated: bool,
) -> str:
    environment = Environment(
        loader=PackageLoader("skdrfm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shares = {name: 100 * frame.mean() for name, frame in study.contributions.items()}
    return environment.get_template("study.html").render(
        study=study,
        source=source,
        simulated=simulated,
        suspicious=[] if simulated else suspicious_figures(study.table),
        months=earned_months(study),
        n_months=int(dates_of(study.realised).nunique()),
        n_assets=int(assets_of(study.realised).nunique()),
        columns=COLUMNS,
        table=format_table(study.table),
        best=best_models(study.table),
        published=format_table(PUBLISHED),
        published_label=PUBLISHED_LABEL,
        rows=row_counts(study),
        missing=study.manifest["missing_cells_ranked_neutral"],
        options=study.manifest["options"],
        shares=shares,
        figures={
            name: {"wide": _markup(figure.wide, f"{name}-w"), "narrow": _markup(figure.narrow, f"{name}-n")}
            for name, figure in figures.items()
        },
        manifest=manifest,
        files=files,
    )


def _markup(svg: str, prefix: str) -> Any:
    # Safe to leave unescaped: matplotlib has escaped every name that it wrote.
    return Markup(inline_svg(svg, prefix))


def _write(path: Path, text: str) -> None:
    with replacing(path) as stream:
        stream.write(text.encode())
