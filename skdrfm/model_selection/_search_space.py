"""What a search may try: parameters of an estimator, or an estimator that the user's function builds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

# Keras Tuner keeps notes of its own beside the values that it proposes.
_NOTES = "tuner/"
# What a choice of Keras Tuner can hold as it is.
_PLAIN = (int, float, str)


@dataclass(frozen=True)
class SearchSpace:
    """Turns what Keras Tuner proposes into an unfitted estimator.

    Parameters
    ----------
    estimator : estimator or callable
        An estimator, or ``build(hp)`` that returns one.
    space : mapping, callable or None
        Values by parameter, or ``space(hp)`` that returns parameters; None with a function that builds.
    resource : str or None
        Parameter that Hyperband sets.

    Raises
    ------
    ValueError
        If the two do not belong together, or a value is no list of values.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skdrfm.model_selection._search_space import SearchSpace
    >>> SearchSpace(Ridge(), {"alpha": 3.0})
    Traceback (most recent call last):
        ...
    ValueError: The space of 'alpha' must be a list, tuple, array or range that is not empty. Got 3.0. Use a function
    space(hp) for intervals, such as {'alpha': hp.Float('alpha', 1e-3, 1e3, sampling='log')}.
    """

    estimator: Any
    space: Any = None
    resource: str | None = None

    def __post_init__(self) -> None:
        if is_builder(self.estimator):
            if self.space is not None:
                raise ValueError(
                    "'space' must be None where 'estimator' is a function build(hp), which declares what it varies. "
                    f"Got a {type(self.space).__name__}. Declare it in the function, or pass an estimator."
                )
            return
        if not hasattr(self.estimator, "fit"):
            raise ValueError(
                f"'estimator' must be an estimator, or a function build(hp) that returns one. Got {self.estimator!r}."
            )
        self._check_resource({}, self.estimator)
        if callable(self.space):
            return
        if not isinstance(self.space, Mapping) or not self.space:
            raise ValueError(
                "'space' must be a dict with the values of at least one parameter, or a function space(hp) that "
                f"returns a dict of parameters. Got {self.space!r}."
            )
        for name, values in self.space.items():
            if not isinstance(values, list | tuple | range | np.ndarray) or not len(values):
                raise ValueError(
                    f"The space of {name!r} must be a list, tuple, array or range that is not empty. Got {values!r}. "
                    f"Use a function space(hp) for intervals, such as {{{name!r}: hp.Float({name!r}, 1e-3, 1e3, "
                    "sampling='log')}."
                )
        self._check_resource(self.space, self.estimator)

    def propose(self, hp: Any, resource: int | None = None) -> tuple[dict[str, Any], Any]:
        """Make the candidate of one set of values.

        Parameters
        ----------
        hp : keras_tuner.HyperParameters
            Declares and hands out values.
        resource : int, default=None
            Value of the resource; None leaves it as the estimator has it.

        Returns
        -------
        tuple of dict and estimator
            Parameters of the candidate, and the unfitted candidate.

        Raises
        ------
        TypeError
            If a function of the user returns something else.
        ValueError
            If the estimator has no such parameter.
        """
        if is_builder(self.estimator):
            candidate = self.estimator(hp)
            if not (hasattr(candidate, "fit") and hasattr(candidate, "get_params")):
                raise TypeError(
                    "The function build(hp) must return an unfitted scikit-learn estimator. Got "
                    f"{type(candidate).__name__}. A network of your own goes into "
                    "DeepRecurrentFactorRegressor(build_fn=...)."
                )
            parameters = plain_values(hp.values)
        else:
            parameters = self._parameters(hp)
            candidate = clone(self.estimator).set_params(**clone(parameters, safe=False))
        self._check_resource(parameters, candidate)
        if resource is not None and self.resource is not None:
            parameters[self.resource] = resource
            candidate.set_params(**{self.resource: resource})
        return parameters, candidate

    def build(self, hp: Any) -> Any:
        """Return the candidate alone, as Keras Tuner calls it to learn what there is to vary."""
        return self.propose(hp)[1]

    def _parameters(self, hp: Any) -> dict[str, Any]:
        if not callable(self.space):
            return {name: _choose(hp, name, values) for name, values in self.space.items()}
        parameters = self.space(hp)
        if not isinstance(parameters, Mapping):
            raise TypeError(
                "The function space(hp) must return a dict of parameters for the estimator. Got "
                f"{type(parameters).__name__}. To build the estimator yourself pass the function as 'estimator'."
            )
        return dict(parameters)

    def _check_resource(self, parameters: Mapping[str, Any], candidate: Any) -> None:
        if self.resource is None:
            return
        if self.resource not in candidate.get_params():
            raise ValueError(
                f"Hyperband sets the parameter {self.resource!r}, which the estimator must have. Got "
                f"{type(candidate).__name__} without it. Pass resource=..., such as 'deepfactorregressor__epochs' for "
                "a Pipeline, or tuner='random'."
            )
        if self.resource in parameters:
            raise ValueError(
                f"Hyperband sets the parameter {self.resource!r}, so the space must not vary it. Take it out of the "
                "space, or use tuner='random'."
            )


def is_builder(estimator: Any) -> bool:
    """Tell a function that builds estimators from an estimator."""
    return callable(estimator) and not hasattr(estimator, "fit")


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the notes of Keras Tuner."""
    return {name: value for name, value in values.items() if not name.startswith(_NOTES)}


def resource_of(values: Mapping[str, Any]) -> int | None:
    """Epochs that Hyperband gives to a proposal; None for the other tuners."""
    epochs = values.get(f"{_NOTES}epochs")
    return None if epochs is None else int(epochs)


def _choose(hp: Any, name: str, values: Any) -> Any:
    """Let Keras Tuner take one of the values, which may be of any type."""
    if isinstance(values, range):
        return hp.Int(name, min(values), max(values), step=abs(values.step))
    items = [value.item() if isinstance(value, np.generic) else value for value in values]
    kind = type(items[0])
    if kind in _PLAIN and all(type(item) is kind for item in items):
        return hp.Choice(name, items)
    # Keras Tuner knows neither None nor tuples and makes integers of booleans: it is given their places as names.
    places = {f"value {position}": item for position, item in enumerate(items)}
    return places[hp.Choice(name, list(places))]
