"""The deep factor model: a multi-layer perceptron on the same lagged descriptors (rows DNN and DNN+LRP)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from skdrfm import networks
from skdrfm.factor_model._network import BaseNetworkRegressor, check_layer_sizes, constraints
from skdrfm.networks import NetworkMeta
from skdrfm.utils._param_validation import StrOptions

PAPER_CANDIDATES = tuple((width,) * depth for width in (40, 80) for depth in range(1, 6))
"""Hidden layers that Nakagawa et al. (2019), Table 3, choose from: 1 to 5 layers of 40 or 80 units."""


class DeepFactorRegressor(BaseNetworkRegressor):
    """Multi-layer perceptron on lagged descriptors, explained exactly by layer-wise relevance propagation.

    Parameters
    ----------
    hidden_units : tuple of int or "select", default=(80, 80)
        Units of each hidden layer. ``"select"`` trains the ten networks of Nakagawa et al. (2019), Table 3 (1 to 5
        layers of 40 or 80 units), and keeps the one with the lowest validation loss.
    activation : {"elu", "linear", "relu", "tanh"}, default="relu"
        Activation of the hidden layers; zero at zero, as relevance needs it.
    n_timesteps : int, default=None
        Number of lags in a row of two-dimensional X. None: what the column names ``"{descriptor}__lag{k}"`` say,
        axis 1 of three-dimensional X, else 1. It shapes explanations only.
    dropout : float in [0, 1), default=0.0
        Share of units dropped after each hidden layer while training.
    l2 : float >= 0, default=0.0
        Penalty on squared kernels.
    linearized : bool, default=False
        Whether `predict` returns the sum of relevances: the return model "DNN+LRP" of the paper. It does not
        change the training.
    epochs : int, default=10
        Passes over the training rows.
    batch_size : int, default=256
        Rows in a training step.
    learning_rate : float, default=1e-3
        Step size, used where optimizer is a name.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Optimizer of Keras.
    loss : str or callable, default="mse"
        Loss of Keras.
    validation_fraction : float in [0, 1), default=1/60
        Share of the training dates, the latest ones and at least one, whose loss chooses the epoch (and the
        network, with ``hidden_units="select"``); 0: none.
    patience : int, default=None
        Epochs without a better validation loss before training stops. None: all epochs are run. The weights of
        the best epoch are restored in both cases.
    build_fn : callable, default=None
        ``build_fn(meta) -> keras.Model`` builds another network, as in `DeepRecurrentFactorRegressor`.
    callbacks : list of keras.callbacks.Callback, default=None
        Handed to Keras.
    dtype : {"float32", "float64"}, default="float32"
        Precision of training. Predictions and explanations are computed in float64.
    verbose : int, default=0
        As in Keras' ``fit``.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, dropout and the order of rows; no global generator is seeded or used.

    Attributes
    ----------
    network_ : skdrfm.lrp.Network
        The trained network for NumPy.
    model_ : keras.Model
        The trained network for Keras, built when asked for.
    trained_ : TrainedNetwork
        Architecture, weights and loss history as plain data.
    history_ : DataFrame of shape (n_epochs, 1 or 2)
        ``loss`` and, with a validation part, ``val_loss`` by epoch.
    n_timesteps_ : int
        Number of lags.
    descriptor_names_ : tuple of str
        Descriptors in each lag.
    lags_ : tuple of int
        Lags, oldest first.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, Table 3.

    Examples
    --------
    >>> from skdrfm import DeepFactorRegressor, make_factor_panel, stack_lags
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> X, y = stack_lags(X, y, lags=(0, 3))
    >>> model = DeepFactorRegressor(hidden_units=(8,), epochs=2, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (540,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints(hidden_units=[tuple, list, StrOptions({"select"})])
    }

    def __init__(
        self,
        hidden_units: Sequence[int] | str = (80, 80),
        *,
        activation: str = "relu",
        n_timesteps: int | None = None,
        dropout: float = 0.0,
        l2: float = 0.0,
        linearized: bool = False,
        epochs: int = 10,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        optimizer: Any = "adam",
        loss: Any = "mse",
        validation_fraction: float = 1 / 60,
        patience: int | None = None,
        build_fn: Callable[[NetworkMeta], Any] | None = None,
        callbacks: Any = None,
        dtype: str = "float32",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.activation = activation
        self.n_timesteps = n_timesteps
        self.dropout = dropout
        self.l2 = l2
        self.linearized = linearized
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.loss = loss
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.build_fn = build_fn
        self.callbacks = callbacks
        self.dtype = dtype
        self.verbose = verbose
        self.random_state = random_state

    def _numbers_per_row(self, n_timesteps: int) -> int:
        return 0 if self.build_fn is not None else max(map(sum, self._candidates()))

    def _builders(self) -> list[Callable[[NetworkMeta], Any]]:
        if self.build_fn is not None:
            return [self.build_fn]
        if self.hidden_units == "select" and self.validation_fraction == 0:
            raise ValueError(
                "hidden_units='select' needs a validation part to choose the network by. "
                "Got validation_fraction=0. Pass a positive fraction, or the hidden_units to use."
            )
        return [
            partial(
                networks.build_dense,
                hidden_units=sizes,
                activation=self.activation,
                dropout=self.dropout,
                l2=self.l2,
            )
            for sizes in self._candidates()
        ]

    def _candidates(self) -> tuple[Sequence[int], ...]:
        if self.hidden_units == "select":
            return PAPER_CANDIDATES
        return (check_layer_sizes(self, "hidden_units", self.hidden_units, at_least_one=True),)
