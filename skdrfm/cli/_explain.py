"""``skdrfm explain``: the predictions of a saved model, each as contributions that add up."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skdrfm.cli._console import BadInputError, running
from skdrfm.cli._explain_output import write_explanation
from skdrfm.cli._model import MismatchError, ModelFile
from skdrfm.cli._options import (
    EXISTING_FILE,
    WITH_DEFAULTS,
    column_options,
    group_option,
    output_options,
    panel_argument,
)
from skdrfm.cli._panel import PanelTable, groups_with
from skdrfm.cli._types import CommaList, Dates

if TYPE_CHECKING:
    import pandas as pd

    from skdrfm.explanation import Explanation

# Written out, since the list of skdrfm.lrp must not be loaded for --help.
RULES = (
    "lrp-all",
    "lrp-half",
    "lrp-prop",
    "lrp-abs",
    "arras-decay",
    "rudder",
    "arras-2017",
    "gradient-x-input",
    "integrated-gradients",
    "occlusion",
)


_EPILOG = """\b
Examples:
  skdrfm explain lstm.skdrfm panel.csv --by group
  skdrfm explain lstm.skdrfm panel.csv --date 2014 --out contributions.csv

Exit codes: 0 done, 2 bad input.
"""


@click.command(short_help="Explain the predictions of a model.", epilog=_EPILOG, context_settings=WITH_DEFAULTS)
@click.argument("model", type=EXISTING_FILE)
@panel_argument
@click.option(
    "--date",
    "dates",
    type=Dates(),
    multiple=True,
    help="Dates to explain: a day, a month, a year or all; may be repeated.  [default: the last of the panel]",
)
@click.option("--rule", type=click.Choice(RULES), default="lrp-all", metavar="RULE", help=f"One of {', '.join(RULES)}.")
@click.option(
    "--by",
    type=click.Choice(["cell", "descriptor", "lag", "group"]),
    metavar="PART",
    default="descriptor",
    help="What contributions are put down to: descriptor, lag, group or cell (a descriptor at a lag).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the contributions to each prediction, .csv or .parquet; an older one is replaced.",
)
@click.option(
    "--lags",
    type=CommaList(int),
    help="Lags of a model whose file has none.  [default: those of the file, else 0,3,6,9,12]",
)
@column_options
@group_option
@output_options
def explain(model: Path, panel: Path, **options: Any) -> None:
    """Explain the predictions that MODEL makes for PANEL: each is a sum of contributions and an intercept.

    MODEL is a file of skdrfm.factor_model.save, or a Keras model (.keras). PANEL is a file as for `skdrfm study`; it
    needs no returns.

    The panel is prepared as a study does it: each descriptor is ranked over the stocks of a month to [-1, 1], a missing
    value becomes the neutral rank 0, and the lags are stacked; stocks without the whole history are left out. A model
    that was fitted on other inputs gives numbers that mean nothing here. A file of Keras knows neither names nor lags:
    give them with --descriptors, in their order, and --lags.

    The terminal shows the mean over the explained rows, and the share of the absolute contributions. --out receives
    each row, as does --json without --out.
    """
    _check_out(options["out"])
    with running():
        opened = ModelFile.open(model)
        X, universe = _read_inputs(opened, panel, options)
        inputs = _prepare(opened, X, universe, options)
        explanation = _explain(opened, inputs, list(X.columns), options)
        write_explanation(
            explanation,
            model=model,
            kind=opened.kind,
            panel=panel,
            groups=groups_with(list(X.columns), options["additions"]),
            options=options,
        )


def _check_out(out: Path | None) -> None:
    if out is None:
        return
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise click.BadParameter(f"must be a file ending in .csv or .parquet. Got {str(out)!r}.", param_hint="'--out'")
    if not out.absolute().parent.is_dir():
        raise click.BadParameter(
            f"must be in a folder that exists. Got {str(out)!r}. Make the folder first.", param_hint="'--out'"
        )


def _read_inputs(
    model: ModelFile, path: Path, options: Mapping[str, Any]
) -> "tuple[pd.DataFrame, pd.Series[bool] | None]":
    """Read the descriptors of the model, in its order."""
    from skdrfm.panel import check_panel_index

    table = PanelTable.read(path, options, needed=[])
    check_panel_index(table.index, name=f"The file {str(path)!r}")
    names = model.choose_descriptors(options["descriptors"], table.descriptors)
    model.check_shape(model.choose_lags(options["lags"]), names)
    return table.numbers(names), table.universe()


def _prepare(
    model: ModelFile, X: "pd.DataFrame", universe: "pd.Series[bool] | None", options: Mapping[str, Any]
) -> "pd.DataFrame":
    """Rank and stack as a study does, and keep the rows that are asked for."""
    import numpy as np

    from skdrfm.panel import dates_of
    from skdrfm.study._prepare import rank_and_stack

    lagged, _ = rank_and_stack(X, model.choose_lags(options["lags"]))
    keep = np.ones(len(lagged), dtype=bool) if universe is None else lagged.align(universe).to_numpy(dtype=bool)
    if not keep.any():
        raise MismatchError("The universe must have rows with the whole history. It has none. Check the column.")
    dates = dates_of(lagged)
    keep = keep & _asked(dates, dates[keep], options["dates"])
    inputs: pd.DataFrame = lagged.iloc[np.flatnonzero(keep)]
    return inputs if model.stacked else inputs.set_axis(X.columns, axis=1)


def _asked(dates: "pd.Index", usable: "pd.Index", wanted: tuple[str, ...]) -> Any:
    """Mark the rows of some dates, of the last one if none is named."""
    import numpy as np
    import pandas as pd

    if not wanted:
        return np.asarray(dates == usable.max())
    chosen: Any = np.zeros(len(dates), dtype=bool)
    for text in wanted:
        if text == "all":
            return np.ones(len(dates), dtype=bool)
        try:
            period = pd.Period(text)
        except ValueError as error:
            raise click.BadParameter(f"must be a day of the calendar. Got {text!r}.", param_hint="'--date'") from error
        found = np.asarray((dates >= period.start_time) & (dates <= period.end_time))
        if not found.any():
            raise MismatchError(
                f"--date must name dates whose stocks have the whole history, {usable.min():%Y-%m-%d} to "
                f"{usable.max():%Y-%m-%d}. Got {text}, which has none."
            )
        chosen |= found
    return chosen


def _explain(
    model: ModelFile, inputs: "pd.DataFrame", descriptors: list[str], options: Mapping[str, Any]
) -> "Explanation":
    from skdrfm import explain as explain_model

    with warnings.catch_warnings():
        # A model that was fitted on an array: names and lags are those of the options.
        warnings.filterwarnings("ignore", message="X has feature names", category=UserWarning)
        try:
            explanation: Explanation = explain_model(model.model, inputs, rule=options["rule"])
        except (ValueError, TypeError) as error:
            raise BadInputError(f"The model cannot explain these inputs. {error}") from error
    lags = model.choose_lags(options["lags"])
    return replace(explanation, descriptor_names=tuple(descriptors), lags=lags)
