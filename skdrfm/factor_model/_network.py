"""What the two network regressors share: validation on the latest dates, training, prediction, explanation."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skdrfm import lrp, networks
from skdrfm._typing import AnyArray, BoolArray, FloatArray
from skdrfm.exceptions import PanelError, UnsupportedLayerError
from skdrfm.explanation import Explanation, network_explanation
from skdrfm.factor_model._base import BaseFactorRegressor, index_of
from skdrfm.networks import NetworkMeta, TrainedNetwork, TrainingJob, TrainingOptions
from skdrfm.panel import dates_of
from skdrfm.panel._index import has_panel_index
from skdrfm.utils._param_validation import Interval, StrOptions, fit_context

ACTIVATIONS = ("elu", "linear", "relu", "tanh")


class BaseNetworkRegressor(BaseFactorRegressor):
    """Base of regressors that train a Keras network and predict and explain with NumPy."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_timesteps": [Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "linearized": ["boolean"],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [str, object],
        "loss": [str, callable],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 0, None, closed="left"), None],
        "build_fn": [callable, None],
        "callbacks": ["array-like", None],
        "dtype": [StrOptions({"float32", "float64"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # Set by the subclasses' constructors.
    n_timesteps: int | None
    linearized: bool
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Any
    loss: Any
    validation_fraction: float
    patience: int | None
    build_fn: Callable[[NetworkMeta], Any] | None
    callbacks: Any
    dtype: str
    verbose: int
    random_state: Any

    trained_: TrainedNetwork

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_timesteps * n_features), or ndarray of shape \
(n_samples, n_timesteps, n_features)
            Lagged descriptors, oldest lag first, as made by `stack_lags`. The latest dates of the (date, asset) index
            of X, or else of y, are held out for validation; where neither has one the last rows, so rows must then be
            in the order of time.
        y : array-like of shape (n_samples,)
            Forward returns, decimal.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in training and validation loss.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        NonFiniteError
            If X or y holds NaN or infinity, or training diverged.
        PanelError
            If y is not aligned to X, or the columns are not laid out oldest lag first.
        """
        return self._finish(networks.train_many(self._jobs(X, y, sample_weight)))

    def _jobs(self, X: Any, y: Any, sample_weight: Any = None) -> list[TrainingJob]:
        """Check the data, set what does not need training, and list the networks to train."""
        values, target, weight = self._fit_input(X, y, sample_weight, self.n_timesteps)
        sequences = self._as_sequences(values).astype(self.dtype, copy=False)
        target = target.astype(self.dtype, copy=False)
        dated = next((data for data in (X, y) if has_panel_index(data)), target)
        held_out = latest_rows(dated, self.validation_fraction)
        used = ~held_out
        meta = NetworkMeta(self.n_timesteps_, len(self.descriptor_names_), draw_seed(self.random_state), self.dtype)
        validation: tuple[FloatArray, ...] | None = None
        if held_out.any():
            validation = (sequences[held_out], target[held_out])
        if validation is not None and weight is not None:
            validation = (*validation, weight[held_out])
        # Cut out once: all candidates train on the same arrays.
        own_rows, own_target, own_weight = sequences[used], target[used], None if weight is None else weight[used]
        options = self._training_options()
        return [
            TrainingJob(builder, meta, options, own_rows, own_target, own_weight, validation)
            for builder in self._builders()
        ]

    def _training_options(self) -> TrainingOptions:
        return TrainingOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
            loss=self.loss,
            patience=self.patience,
            callbacks=tuple(self.callbacks or ()),
            verbose=int(self.verbose),
        )

    def _shares_program(self) -> bool:
        """Whether the parameters let our own program train; what a builder of the user makes is not known."""
        return self._training_options().known_to_program

    @abstractmethod
    def _numbers_per_row(self, n_timesteps: int) -> int:
        """Activations that training computes for one row; 0 where a builder of the user decides."""

    def _finish(self, trained: Sequence[TrainedNetwork]) -> Self:
        """Keep the network with the lowest validation loss."""
        self.trained_ = min(trained, key=lambda network: network.best_validation_loss)
        return self

    @abstractmethod
    def _builders(self) -> list[Callable[[NetworkMeta], Any]]:
        """Builders to train; the network with the lowest validation loss is kept."""

    @property
    def history_(self) -> pd.DataFrame:
        """Losses by epoch, of shape (n_epochs, 1 or 2)."""
        return pd.DataFrame(dict(self.trained_.history)).rename_axis("epoch")

    @property
    def network_(self) -> lrp.Network:
        """Canonical NumPy network; raises UnsupportedLayerError if a layer has no relevance rule."""
        if self.trained_.network is None:
            raise UnsupportedLayerError(self.trained_.unsupported)
        return self.trained_.network

    @property
    def model_(self) -> Any:
        """Keras model with the trained weights, built anew each time it is asked for."""
        return networks.rebuild(self.trained_)

    def predict(self, X: Any) -> FloatArray:
        """Predict forward returns.

        Parameters
        ----------
        X : DataFrame or ndarray, as in fit
            Lagged descriptors.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions in float64, in units of y. With ``linearized=True`` the sum of relevances, which leaves out
            the intercept of each explanation.
        """
        values = self._predict_input(X)
        if self.linearized:
            return self._explanation(values, None).linear_prediction
        sequences = self._as_sequences(values)
        if self.trained_.network is None:
            keras_predictions: FloatArray = networks.keras_predict(self.trained_, sequences.astype(self.dtype))
            return keras_predictions
        return lrp.predict(self.trained_.network, sequences)

    def explain(
        self,
        X: Any,
        *,
        rule: lrp.MethodLike = "lrp-all",
        epsilon: float = 1e-6,
        epsilon_mode: str = "relative",
        bias_factor: float = 0.0,
        sequence: str = "full",
        dtype: str = "float64",
        chunk_size: int = 2048,
    ) -> Explanation:
        """Explain each prediction as a linear factor model, by layer-wise relevance propagation.

        Parameters
        ----------
        X : DataFrame or ndarray, as in fit
            Lagged descriptors of the predictions to explain.
        rule : str or object, default="lrp-all"
            How relevance passes products of gate and signal: with "lrp-all" all of it follows the signal (Arras et al.
            2017). One of `skdrfm.lrp.METHODS`, a `skdrfm.lrp.Rule`, or a `skdrfm.lrp.Composite` with a rule for each
            layer; also "gradient-x-input", "integrated-gradients" and "occlusion".
        epsilon : float, default=1e-6
            Stabilizer of the denominators.
        epsilon_mode : {"relative", "absolute"}, default="relative"
            Whether epsilon is a fraction of the root mean square of a layer's pre-activations in the sample, or a
            number in their units.
        bias_factor : {0, 1}, default=0.0
            Whether biases and stabilizers hand their relevance down to the inputs in equal parts, a check of
            conservation: relevances are then no longer inputs times loadings.
        sequence : {"full", "last", "mean"}, default="full"
            What becomes of the relevance of a layer that returns a sequence; only "full" loses nothing.
        dtype : {"float64", "float32"}, default="float64"
            Precision of the computation.
        chunk_size : int, default=2048
            Rows computed at a time in float64; twice as many in float32.

        Returns
        -------
        Explanation
            Loadings, relevances and intercept of each row, in the order of X.

        Raises
        ------
        UnsupportedLayerError
            If a layer of the network has no relevance rule.
        ValueError
            If an option is out of its range.
        """
        return self._explanation(
            self._predict_input(X),
            index_of(X),
            rule=rule,
            epsilon=epsilon,
            epsilon_mode=epsilon_mode,
            bias_factor=bias_factor,
            sequence=sequence,
            dtype=dtype,
            chunk_size=chunk_size,
        )

    def _explanation(self, values: FloatArray, index: pd.Index | None, **options: Any) -> Explanation:
        return network_explanation(
            self.network_,
            self._as_sequences(values),
            index=index,
            descriptor_names=self.descriptor_names_,
            lags=self.lags_,
            **options,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "trained_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Ten epochs on the few dozen rows of a scikit-learn check leave a network close to its initial weights.
        tags.regressor_tags.poor_score = True
        tags.non_deterministic = self.random_state is None
        return tags


def draw_seed(random_state: Any) -> int:
    """Turn a random_state into an integer seed; None draws fresh entropy and touches no global generator."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def latest_rows(data: Any, fraction: float) -> BoolArray:
    """Mark the rows held out for validation: those of the latest dates, or the last rows where there are no dates.

    Parameters
    ----------
    data : DataFrame, Series or ndarray of n_samples rows
        Training data, or targets where these alone have kept the dates.
    fraction : float
        Share of the distinct dates (or rows) to hold out; at least one if positive.

    Returns
    -------
    ndarray of shape (n_samples,), bool
        True for held-out rows.
    """
    n_rows = len(data)
    if fraction == 0:
        return np.zeros(n_rows, dtype=bool)
    units: AnyArray = np.arange(n_rows)
    if has_panel_index(data):
        units = np.unique(dates_of(data).to_numpy(), return_inverse=True)[1]
    n_units = int(units.max()) + 1
    n_held = max(1, round(fraction * n_units))
    if n_held >= n_units:
        raise PanelError(
            f"Validation holds out the latest {n_held} of the {n_units} training dates and must leave at least one for "
            f"training. Got validation_fraction={fraction:g}. Pass more dates or validation_fraction=0."
        )
    held_out: BoolArray = units >= n_units - n_held
    return held_out


def check_layer_sizes(
    estimator: object, parameter: str, sizes: Sequence[Any], *, at_least_one: bool = False
) -> tuple[int, ...]:
    """Check the units of a stack of layers: positive integers, and at least one layer where that is needed."""
    items: Sequence[Any] = sizes
    valid = all(type(size) is not bool and isinstance(size, Integral) and int(size) >= 1 for size in items)
    if not valid or (at_least_one and not len(sizes)):
        raise ValueError(
            f"The {parameter!r} parameter of {type(estimator).__name__} must hold integers >= 1"
            f"{', at least one' if at_least_one else ''}. Got {sizes!r}."
        )
    return tuple(int(size) for size in sizes)


def constraints(**own: list[Any]) -> Mapping[str, list[Any]]:
    """Constraints of a subclass: those of the base and its own."""
    return {**BaseNetworkRegressor._parameter_constraints, **own}
