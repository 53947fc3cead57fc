"""Model files, and the inputs that a model wants to be given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skdrfm.exceptions import PersistenceError, SkdrfmError

_KERAS = (".keras", ".h5", ".hdf5")


class MismatchError(SkdrfmError, ValueError):
    """Model, panel and options do not fit together."""


@dataclass(frozen=True)
class ModelFile:
    """A model, and what its file knows of its inputs.

    Parameters
    ----------
    model : object
        What `skdrfm.explain` takes.
    kind : str
        Name of its class.
    descriptors : tuple of str or None
        Names of its descriptors in their order; None if the file has none.
    lags : tuple of int or None
        Lags, oldest first; None if the file has none.
    stacked : bool
        Whether its columns are named with their lags.
    shape : (int, int) or None
        Numbers of time steps and of descriptors; None for a model whose network is not yet read.
    """

    model: Any
    kind: str
    descriptors: tuple[str, ...] | None = None
    lags: tuple[int, ...] | None = None
    stacked: bool = True
    shape: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: Path) -> "ModelFile":
        """Read a file of `skdrfm.factor_model.save`, or a Keras model.

        Parameters
        ----------
        path : Path
            The file; the ending .keras, .h5 or .hdf5 says that it is of Keras.

        Returns
        -------
        ModelFile
            The model.

        Raises
        ------
        PersistenceError
            If the file holds no such model.
        """
        if path.suffix.lower() in _KERAS:
            model = _load_keras(path)
            # A model of several inputs has a list here, which explain refuses with its reason.
            shape: Any = getattr(model, "input_shape", None)
            known = isinstance(shape, tuple) and len(shape) == 3 and None not in shape[1:]
            return cls(model, "Keras model", shape=shape[1:] if known else None)
        from skdrfm.factor_model import load
        from skdrfm.panel import lag_layout

        try:
            model = load(path)
        except PersistenceError as error:
            raise PersistenceError(
                f"{error} MODEL must be a file that skdrfm.factor_model.save has written, or a Keras model whose name "
                f"ends in {', '.join(_KERAS)}."
            ) from error
        kind, shape = type(model).__name__, (model.n_timesteps_, len(model.descriptor_names_))
        names = getattr(model, "feature_names_in_", None)
        if names is None:
            return cls(model, kind, shape=shape)
        layout = lag_layout(list(names))
        if layout is not None:
            return cls(model, kind, layout.descriptor_names, layout.lags, shape=shape)
        if shape[0] == 1:
            return cls(model, kind, tuple(map(str, names)), (0,), stacked=False, shape=shape)
        raise MismatchError(
            f"A model of several lags must have columns named '{{descriptor}}__lag{{k}}' to be explained here. Those "
            f"of {str(path)!r} are {', '.join(map(str, names[:3]))}, ... Use skdrfm.explain in Python."
        )

    def choose_lags(self, given: Sequence[int] | None) -> tuple[int, ...]:
        """Find the lags, oldest first: those of the file, which options must not contradict, else those given.

        Parameters
        ----------
        given : sequence of int or None
            The option; None if it was not given.

        Returns
        -------
        tuple of int
            The lags.

        Raises
        ------
        PanelError
            If they are no lags.
        MismatchError
            If they are not those of the model.
        """
        from skdrfm.panel._lags import PAPER_LAGS, check_lags

        asked = tuple(check_lags(PAPER_LAGS if given is None else given))
        if self.lags is not None:
            if given is not None and asked != self.lags:
                raise MismatchError(
                    f"--lags must be those of the model, {_listed(self.lags)}. Got {_listed(asked)}. Leave --lags out."
                )
            return self.lags
        return asked

    def choose_descriptors(self, given: Sequence[str] | None, columns: Sequence[str]) -> tuple[str, ...]:
        """Find the descriptors: those of the file, which options must not contradict, else those given.

        Parameters
        ----------
        given : sequence of str or None
            The option; None if it was not given.
        columns : sequence of str
            Columns of the panel that may be descriptors.

        Returns
        -------
        tuple of str
            In the order of the model.

        Raises
        ------
        MismatchError
            If they are not those of the model, or the panel lacks one.
        """
        if self.descriptors is not None:
            if given is not None and set(given) != set(self.descriptors):
                raise MismatchError(
                    f"--descriptors must be those of the model, {_listed(self.descriptors)}. Got {_listed(given)}. "
                    "Leave --descriptors out."
                )
            absent = [name for name in self.descriptors if name not in columns]
            if absent:
                raise MismatchError(
                    f"The panel must have the descriptors of the model. Missing: {_listed(absent)}. Found: "
                    f"{_listed(columns)}. Rename the columns, or take the panel that the model was fitted on."
                )
            return self.descriptors
        return tuple(columns if given is None else given)

    def check_shape(self, lags: Sequence[int], descriptors: Sequence[str]) -> None:
        """Refuse lags and descriptors of another number than the model reads.

        Parameters
        ----------
        lags : sequence of int
            The lags.
        descriptors : sequence of str
            The descriptors.

        Raises
        ------
        MismatchError
            If there are more or fewer of them.
        """
        if self.shape is None or self.shape == (len(lags), len(descriptors)):
            return
        raise MismatchError(
            f"The model reads {self.shape[0]} lags of {self.shape[1]} descriptors, and its file does not name them. "
            f"Got {len(lags)} lags ({_listed(lags)}) of {len(descriptors)} descriptors ({_listed(descriptors)}). Name "
            "them by --lags and --descriptors, in the order of the model, or fit it on the columns of "
            "skdrfm.stack_lags, whose names are saved with it."
        )


def _load_keras(path: Path) -> Any:
    from skdrfm.networks import load_keras

    try:
        return load_keras(path)
    except SkdrfmError:
        raise
    except Exception as error:  # of Keras or HDF5, as varied as damage can be
        raise PersistenceError(
            f"The file {str(path)!r} must be a Keras model, saved with model.save. Got {type(error).__name__}: {error}"
        ) from error


def _listed(items: Sequence[Any]) -> str:
    first = ", ".join(map(str, items[:12]))
    return f"{first} and {len(items) - 12} more" if len(items) > 12 else first or "none"
