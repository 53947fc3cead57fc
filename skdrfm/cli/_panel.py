"""Panel files as the commands read them: as `read_panel` does, but with room for what is only looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skdrfm.cli._options import COLUMN_OPTIONS
from skdrfm.exceptions import PanelFileError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PanelTable:
    """A panel file whose keys may repeat, so that this can be found out.

    Parameters
    ----------
    path : Path
        The file.
    table : DataFrame of shape (n_rows, n_columns)
        All its columns.
    index : MultiIndex of length n_rows
        Date and asset of each row; they may be missing or repeat.
    options : mapping
        What `column_options` made.
    """

    path: Path
    table: "pd.DataFrame"
    index: "pd.MultiIndex"
    options: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, options: Mapping[str, Any], *, needed: Sequence[str]) -> "PanelTable":
        """Read the file.

        Parameters
        ----------
        path : Path
            The file.
        options : mapping
            What `column_options` made.
        needed : sequence of str
            Options whose columns must be there also if the option was not given.

        Returns
        -------
        PanelTable
            The table.

        Raises
        ------
        PanelFileError
            If it cannot be read, or lacks a column.
        """
        import pandas as pd

        from skdrfm.datasets import _panel_file
        from skdrfm.utils.validation import describe_first

        table = _panel_file.read_table(path, options["asset_column"])
        wanted = {name: options[name] for name in ("date_column", "asset_column", *needed)}
        if options["universe_column"] is not None:
            wanted["universe_column"] = options["universe_column"]
        absent = {name: column for name, column in wanted.items() if column not in table.columns}
        absent |= {f"descriptors {name}": name for name in options["descriptors"] or () if name not in table.columns}
        if absent:
            ways = dict.fromkeys("--" + name.split()[0].replace("_", "-") for name in absent)
            raise PanelFileError(
                f"The file {str(path)!r} must have the columns {', '.join(map(repr, absent.values()))}. Found: "
                f"{describe_first(list(table.columns), 30)}. Name the columns by {', '.join(ways)}."
            )
        # A time zone says nothing of a month end, and such dates cannot be compared with those of --date.
        dates = _panel_file.to_dates(table[options["date_column"]], path).dt.tz_localize(None)
        assets = _panel_file.to_assets(table[options["asset_column"]])
        index = pd.MultiIndex.from_arrays([dates, assets], names=["date", "asset"])
        return cls(path, table, index, options)

    @property
    def returns_column(self) -> str | None:
        """Column of the returns, None if the file has none."""
        name: str = self.options["return_column"]
        return name if name in self.table.columns else None

    @property
    def descriptors(self) -> list[str]:
        """Columns that are descriptors: those asked for, or all without another role."""
        roles = {self.options[name] for name in ("date_column", "asset_column", "return_column", "universe_column")}
        return list(self.options["descriptors"] or (name for name in self.table.columns if name not in roles))

    def numbers(self, names: Sequence[str]) -> "pd.DataFrame":
        """Read columns as numbers.

        Parameters
        ----------
        names : sequence of str
            The columns.

        Returns
        -------
        DataFrame of shape (n_rows, n_names), indexed by (date, asset)
            In float64.

        Raises
        ------
        PanelFileError
            If there is no column, or one holds something else.
        """
        import pandas as pd

        from skdrfm.datasets import _panel_file

        if not names:
            raise PanelFileError(f"The file {str(self.path)!r} must have at least one descriptor column. It has none.")
        columns = {name: _panel_file.to_numbers(self.table[name], name, self.path).to_numpy() for name in names}
        return pd.DataFrame(columns, index=self.index)

    def universe(self) -> "pd.Series[bool] | None":
        """Read the marks of the rows to train and test on, None if no column was named."""
        import pandas as pd

        from skdrfm.datasets import _panel_file

        name = self.options["universe_column"]
        if name is None:
            return None
        return pd.Series(_panel_file.to_flags(self.table[name], name, self.path), index=self.index, name="universe")

    def forward_returns(self) -> "pd.Series[Any]":
        """Give the forward returns; of a key that occurs twice those that follow from its first row."""
        from skdrfm.panel import forward_returns

        given = self.numbers([self.options["return_column"]]).iloc[:, 0].rename("forward_return")
        if self.options["returns_are_forward"]:
            return given
        if self.index.is_unique:
            return forward_returns(given)
        return forward_returns(given[~self.index.duplicated()]).reindex(self.index)


def load_study_panel(
    path: Path, options: Mapping[str, Any]
) -> "tuple[pd.DataFrame, pd.Series[Any], pd.Series[bool] | None]":
    """Read descriptors, forward returns and universe for a study.

    Parameters
    ----------
    path : Path
        The file.
    options : mapping
        What `column_options` made.

    Returns
    -------
    tuple of DataFrame, Series, and Series or None
        As `read_panel` gives them.
    """
    from skdrfm.datasets import read_panel

    return read_panel(
        path,
        date=options["date_column"],
        asset=options["asset_column"],
        returns=options["return_column"],
        returns_are_forward=options["returns_are_forward"],
        descriptors=options["descriptors"],
        universe=options["universe_column"],
    )


def groups_with(
    descriptors: Sequence[str], additions: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]] | None:
    """Add descriptors to the paper's groups; one that is there already moves.

    Parameters
    ----------
    descriptors : sequence of str
        Those of the panel.
    additions : sequence of (str, tuple of str)
        Groups and the descriptors to put there.

    Returns
    -------
    dict of str to tuple of str, or None
        The groups; None without additions.
    """
    from skdrfm.descriptors import GROUPS

    if not additions:
        return None
    home: dict[str, str] = {}
    for group, names in additions:
        twice = [name for name in names if name in home]
        if twice:
            raise click.BadParameter(
                f"must put each descriptor into one group. Got {', '.join(twice)} twice.", param_hint="'--group'"
            )
        home |= dict.fromkeys(names, group)
    unknown = [name for name in home if name not in descriptors]
    if unknown:
        raise click.BadParameter(
            f"must name descriptors of the panel ({', '.join(map(str, descriptors))}). Got {', '.join(unknown)}.",
            param_hint="'--group'",
        )
    groups = {group: [name for name in names if name not in home] for group, names in GROUPS.items()}
    for name, group in home.items():
        groups.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in groups.items()}


def without_file(context: click.Context) -> list[str]:
    """List the options on columns that were given, of which a simulated panel has none to choose."""
    default = click.core.ParameterSource.DEFAULT
    return [
        "--" + name.replace("_", "-") for name in COLUMN_OPTIONS if context.get_parameter_source(name) is not default
    ]
