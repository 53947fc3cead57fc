"""What ``skdrfm explain`` writes: a summary to the terminal, rows to a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdrfm.cli._console import echo_json, note, paragraph, say
from skdrfm.cli._model import MismatchError
from skdrfm.cli._text import percent, short, text_table
from skdrfm.utils._words import plural

if TYPE_CHECKING:
    import pandas as pd

    from skdrfm.explanation import Explanation

_MOST = 20
_OWN = ("date", "asset", "prediction", "intercept")


def write_explanation(
    explanation: "Explanation",
    *,
    model: Path,
    kind: str,
    panel: Path,
    groups: Mapping[str, Sequence[str]] | None,
    options: Mapping[str, Any],
) -> None:
    """Write the rows to a file, if one is named, and the summary to the terminal.

    Parameters
    ----------
    explanation : Explanation
        Of the rows that were asked for.
    model, panel : Path
        The files.
    kind : str
        Class of the model.
    groups : mapping of str to sequence of str, or None
        Groups with the additions of the user; None: the paper's.
    options : mapping
        Of the command.
    """
    by = options["by"]
    parts = _parts(explanation, by, groups)
    rows = _rows(explanation, by, parts) if options["out"] is not None or options["as_json"] else None
    if options["out"] is not None and rows is not None:
        _write_rows(rows, options["out"])
    summary = _summary(parts)
    if by != "lag":
        summary = summary.sort_values("share", ascending=False, kind="stable")
    if options["as_json"]:
        document = _about(explanation, model, kind, panel, by)
        document["summary"] = [{by: name, **dict(row)} for name, row in summary.iterrows()]
        document["file"] = options["out"]
        if options["out"] is None and rows is not None:
            document["rows"] = rows.to_dict("records")
        echo_json("explain", document)
        return
    _say_summary(explanation, summary, kind, by)
    if options["out"] is not None and rows is not None:
        say(f"\n{plural(len(rows), 'row')} in {options['out']}")
    else:
        note("\nName a file with --out for the contributions to each prediction.", quiet=options["quiet"])


def _parts(explanation: "Explanation", by: str, groups: Mapping[str, Sequence[str]] | None) -> "pd.DataFrame":
    """Contributions, of shape (n_samples, n_parts)."""
    import pandas as pd

    from skdrfm.panel._lags import column_names
    from skdrfm.study import resolve_groups

    if by == "descriptor":
        return explanation.by_descriptor()
    if by == "lag":
        return explanation.by_lag()
    if by == "group":
        return explanation.by_group(resolve_groups(list(explanation.descriptor_names), groups))
    names = column_names(explanation.descriptor_names, explanation.lags)
    return pd.DataFrame(explanation.values.reshape(len(explanation), -1), index=explanation.index, columns=names)


def _summary(parts: "pd.DataFrame") -> "pd.DataFrame":
    """Mean contribution of each part, and its mean share in the absolute contributions of a row."""
    import pandas as pd

    sizes = parts.abs()
    shares = sizes.div(sizes.sum(axis=1), axis=0)
    return pd.DataFrame({"mean_contribution": parts.mean(), "share": shares.mean()})


def _rows(explanation: "Explanation", by: str, parts: "pd.DataFrame") -> "pd.DataFrame":
    """Lay the contributions out as a table: for cells one row each, else one row for each prediction."""
    import pandas as pd

    if by == "cell":
        return explanation.to_frame()
    names = [f"lag{name}" if by == "lag" else str(name) for name in parts.columns]
    clash = [name for name in names if name in _OWN]
    if clash:
        raise MismatchError(
            f"A {by} must not be named {', '.join(_OWN)}, which are columns of the table. Got {', '.join(clash)}. "
            "Rename it in the panel, or take --by cell."
        )
    index = parts.index.to_frame(index=False)[["date", "asset"]]
    own = pd.DataFrame({"prediction": explanation.predictions, "intercept": explanation.intercept})
    return pd.concat([index, own, parts.set_axis(names, axis=1).reset_index(drop=True)], axis=1)


def _write_rows(rows: "pd.DataFrame", out: Path) -> None:
    from skdrfm.utils._files import replacing
    from skdrfm.utils._optional import import_optional

    is_parquet = out.suffix.lower() == ".parquet"
    if is_parquet:
        import_optional("pyarrow", extra="parquet", purpose="write Parquet files")
    with replacing(out) as stream:
        if is_parquet:
            rows.to_parquet(stream, index=False)
        else:
            stream.write(rows.to_csv(index=False, date_format="%Y-%m-%d").encode())


def _about(explanation: "Explanation", model: Path, kind: str, panel: Path, by: str) -> dict[str, Any]:
    dates = _dates(explanation)
    return {
        "model": model,
        "model_class": kind,
        "panel": panel,
        "method": explanation.method,
        "by": by,
        "dates": {"first": dates[0], "last": dates[-1], "count": len(dates)},
        "n_rows": len(explanation),
        "descriptors": explanation.descriptor_names,
        "lags": explanation.lags,
        "mean_prediction": explanation.predictions.mean(),
        "mean_intercept": explanation.intercept.mean(),
        "largest_conservation_gap": abs(explanation.conservation_gap).max(),
    }


def _dates(explanation: "Explanation") -> list[Any]:
    from skdrfm.panel import dates_of

    assert explanation.index is not None  # the inputs were a panel
    return sorted(dates_of(explanation.index).unique())


def _say_summary(explanation: "Explanation", summary: "pd.DataFrame", kind: str, by: str) -> None:
    from skdrfm.panel._plot import short_date

    dates = _dates(explanation)
    first, last = short_date(dates[0]), short_date(dates[-1])
    when = first if len(dates) == 1 else f"{len(dates)} dates from {first} to {last}"
    say(f"{kind}, {explanation.method}: {plural(len(explanation), 'prediction')} of {when}")
    rows = [["mean prediction", percent(explanation.predictions.mean(), 4), ""]]
    rows += [
        [short(name, 40), percent(row["mean_contribution"], 4), percent(row["share"], 1)]
        for name, row in summary.head(_MOST).iterrows()
    ]
    rest = summary.iloc[_MOST:]
    if len(rest):
        mean, share = rest["mean_contribution"].sum(), rest["share"].sum(skipna=False)
        rows.append([f"{len(rest)} more", percent(mean, 4), percent(share, 1)])
    rows.append(["intercept", percent(explanation.intercept.mean(), 4), ""])
    say("\n" + text_table([by, "mean\n[% return]", "share\n[%]"], rows))
    gap = float(abs(explanation.conservation_gap).max())
    say("\n" + paragraph(f"Contributions and intercept miss the prediction by at most {gap:.1e}."))
