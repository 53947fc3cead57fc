"""The deep recurrent factor model of Nakagawa et al. (2019)."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

from skdrfm import networks
from skdrfm.factor_model._network import BaseNetworkRegressor, check_layer_sizes, constraints
from skdrfm.networks import NetworkMeta
from skdrfm.utils._param_validation import Interval, StrOptions


class DeepRecurrentFactorRegressor(BaseNetworkRegressor):
    """LSTM on lagged descriptors, explained exactly by layer-wise relevance propagation.

    The defaults are those of Nakagawa et al. (2019), Table 3: one forward and one backward LSTM of 16 units, 10
    epochs, the epoch chosen on the latest 1/60 of the training dates, Adam.

    Parameters
    ----------
    n_timesteps : int, default=None
        Number of lags in a row of two-dimensional X. None: what the column names ``"{descriptor}__lag{k}"`` say,
        axis 1 of three-dimensional X, else 1.
    units : int or tuple of int, default=16
        Units of the LSTM layer, or of each stacked layer.
    cell : {"lstm", "rudder"}, default="lstm"
        Cell of the recurrent layers. "rudder" has a memory that only adds: no forget gate, no output gate, a linear
        output, and a cell input that reads the descriptors alone (Arjona-Medina et al. 2019). The forecast is then a
        sum over lags by construction, and with one recurrent layer and no dense layers the contributions of the lags
        add up to the forecast less one constant. Choose it when an exact decomposition over time matters more than
        the last bit of fit.
    bidirectional : bool, default=True
        Whether each LSTM layer reads the lags in both directions.
    dense_units : tuple of int, default=()
        Units of dense layers between the last LSTM layer and the linear output.
    activation : {"elu", "linear", "relu", "tanh"}, default="tanh"
        Activation of cell candidates, cell outputs and dense layers; zero at zero, as relevance needs it.
    dropout : float in [0, 1), default=0.0
        Share of units dropped after each hidden layer while training.
    l2 : float >= 0, default=0.0
        Penalty on squared kernels and recurrent kernels.
    linearized : bool, default=False
        Whether `predict` returns the sum of relevances: the return model "LSTM+LRP" of the paper. It does not
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
        Share of the training dates, the latest ones and at least one, whose loss chooses the epoch; 0: none.
    patience : int, default=None
        Epochs without a better validation loss before training stops. None: all epochs are run. The weights of
        the best epoch are restored in both cases.
    build_fn : callable, default=None
        ``build_fn(meta) -> keras.Model`` builds another network of one output from ``meta.n_timesteps``,
        ``meta.n_features``, ``meta.seed`` and ``meta.dtype``; units, bidirectional, dense_units, activation,
        dropout and l2 are then not used.
    callbacks : list of keras.callbacks.Callback, default=None
        Handed to Keras.
    dtype : {"float32", "float64"}, default="float32"
        Precision of training. Predictions and explanations are computed in float64.
    verbose : int, default=0
        As in Keras' ``fit``.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, dropout and the order of rows. An int gives the same network each time; no global
        generator is seeded or used.

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
    n_features_in_ : int
        Number of columns of X: n_timesteps_ times the number of descriptors.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X had names.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, equations 6 to 14 and Table 3.
    Arjona-Medina et al. (2019), https://arxiv.org/abs/1806.07857, appendix A8.4.2, for the additive cell.
    Arras, Montavon, Müller and Samek (2017), https://arxiv.org/abs/1706.07206.

    Examples
    --------
    >>> from skdrfm import DeepRecurrentFactorRegressor, make_factor_panel, stack_lags
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> X, y = stack_lags(X, y, lags=(0, 3))
    >>> model = DeepRecurrentFactorRegressor(units=4, epochs=2, random_state=0).fit(X, y)
    >>> model.descriptor_names_, model.lags_
    (('60VOL', 'BETA', 'SKEW'), (3, 0))
    >>> explanation = model.explain(X)
    >>> explanation.values.shape
    (540, 2, 3)
    >>> bool(abs(explanation.conservation_gap).max() < 1e-12)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints(
            units=[Interval(Integral, 1, None, closed="left"), tuple, list],
            cell=[StrOptions({"lstm", "rudder"})],
            bidirectional=["boolean"],
            dense_units=[tuple, list],
        )
    }

    def __init__(
        self,
        n_timesteps: int | None = None,
        units: int | Sequence[int] = 16,
        *,
        cell: str = "lstm",
        bidirectional: bool = True,
        dense_units: Sequence[int] = (),
        activation: str = "tanh",
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
        self.n_timesteps = n_timesteps
        self.units = units
        self.cell = cell
        self.bidirectional = bidirectional
        self.dense_units = dense_units
        self.activation = activation
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

    def _shares_program(self) -> bool:
        return super()._shares_program() and (self.build_fn is not None or self.cell == "lstm")

    def _layer_sizes(self) -> Sequence[int]:
        units = (self.units,) if isinstance(self.units, Integral) else tuple(self.units)  # type: ignore[arg-type]
        return check_layer_sizes(self, "units", units, at_least_one=True)

    def _numbers_per_row(self, n_timesteps: int) -> int:
        if self.build_fn is not None:
            return 0
        return 4 * (1 + self.bidirectional) * n_timesteps * sum(self._layer_sizes())

    def _builders(self) -> list[Callable[[NetworkMeta], Any]]:
        if self.build_fn is not None:
            return [self.build_fn]
        return [
            partial(
                networks.build_recurrent,
                units=self._layer_sizes(),
                cell=self.cell,
                bidirectional=self.bidirectional,
                dense_units=check_layer_sizes(self, "dense_units", self.dense_units),
                activation=self.activation,
                dropout=self.dropout,
                l2=self.l2,
            )
        ]
