"""What goes into a training and what comes out of it, in plain data that pickles without Keras."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from skdrfm._typing import FloatArray
from skdrfm.lrp import Network

OPTIMIZERS: Mapping[str, int] = MappingProxyType({"adam": 2, "sgd": 0, "rmsprop": 1})
"""Optimizers that our own program knows -> numbers that they keep beside each weight."""

LOSSES = frozenset(
    {"mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh", "logcosh", "mape", "msle"}
    | {"mean_absolute_percentage_error", "mean_squared_logarithmic_error"}
)
"""Losses that our own program knows: they are a mean over rows."""


@dataclass(frozen=True)
class NetworkMeta:
    """What a builder needs to know of the data.

    Parameters
    ----------
    n_timesteps : int
        Length of a sequence, oldest step first.
    n_features : int
        Number of descriptors in each step. The input of the network has shape (n_timesteps, n_features).
    seed : int
        Seed for initial weights and dropout; the same for every layer is fine, Keras mixes nothing between them.
    dtype : str
        ``"float32"`` or ``"float64"``.
    """

    n_timesteps: int
    n_features: int
    seed: int = 0
    dtype: str = "float32"


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the training rows, and rows in a step.
    learning_rate : float
        Step size of the optimizer.
    optimizer, loss : str or Keras object
        As Keras knows them.
    patience : int or None
        Epochs without a better validation loss before training stops; None: all epochs are run. The weights of
        the best epoch are restored in both cases.
    callbacks : sequence of Keras callbacks
        Handed to Keras' ``fit``.
    verbose : int
        As in Keras' ``fit``.
    """

    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-3
    optimizer: Any = "adam"
    loss: Any = "mse"
    patience: int | None = None
    callbacks: Sequence[Any] = ()
    verbose: int = 0

    @property
    def known_to_program(self) -> bool:
        """Whether our own program can train with these options; else Keras trains."""
        return (
            isinstance(self.optimizer, str)
            and self.optimizer.lower() in OPTIMIZERS
            and isinstance(self.loss, str)
            and self.loss in LOSSES
            and not self.callbacks
        )


@dataclass(frozen=True)
class TrainingJob:
    """One network to train.

    Parameters
    ----------
    builder : callable
        ``builder(meta)`` returns an uncompiled (or compiled) Keras model with one output unit.
    meta : NetworkMeta
        Shape of the input, seed and dtype.
    options : TrainingOptions
        How to train.
    X : ndarray of shape (n_samples, n_timesteps, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Targets.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the training rows.
    validation : tuple (X, y) or (X, y, sample_weight), default=None
        Rows whose loss chooses the epoch; never trained on.
    """

    builder: "Builder"
    meta: NetworkMeta
    options: TrainingOptions
    X: FloatArray
    y: FloatArray
    sample_weight: FloatArray | None = None
    validation: tuple[FloatArray, ...] | None = None


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network as plain data.

    Parameters
    ----------
    config : str
        Architecture as Keras JSON.
    weights : tuple of ndarray
        Weights in the order of Keras' ``get_weights``.
    network : Network or None
        The same network for NumPy; None if a layer has no relevance rule.
    unsupported : str
        Why network is None; empty otherwise.
    history : mapping of str to list of float
        Loss by epoch, and validation loss where there is a validation part.
    """

    config: str
    weights: tuple[FloatArray, ...]
    network: Network | None
    unsupported: str = ""
    history: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def best_validation_loss(self) -> float:
        """Lowest validation loss, or the last training loss without a validation part."""
        losses = self.history.get("val_loss")
        return float(min(losses)) if losses else float(self.history["loss"][-1])


Builder = Callable[[NetworkMeta], Any]
