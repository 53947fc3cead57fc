"""Members of a seed ensemble: the same model with other random states, and the mean of what they say."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone

from skdrfm.explanation import Explanation
from skdrfm.explanation._rows import array_names


def random_parameters(model: Any) -> list[str]:
    """Name the parameters that hold a random state, those of nested estimators included."""
    return [name for name in model.get_params(deep=True) if name.rpartition("__")[2] == "random_state"]


def check_random_states(models: Mapping[str, Any]) -> None:
    """Check that members of each model can differ.

    Parameters
    ----------
    models : mapping of str to estimator
        The models by name.

    Raises
    ------
    ValueError
        If a model has no random state.
    """
    without = [name for name, model in models.items() if not random_parameters(model)]
    if without:
        raise ValueError(
            "A model to fit with several seeds must have a parameter random_state. Got none in "
            f"{', '.join(f'{type(models[name]).__name__} for {name!r}' for name in without)}. "
            "Walk these models with n_seeds=1 in a call of their own."
        )


def member(model: Any, number: int) -> Any:
    """Make an unfitted copy of a model with the random state of a member.

    Parameters
    ----------
    model : estimator
        The model.
    number : int
        Which member; 0 is the model as it is.

    Returns
    -------
    estimator
        A clone. Each of its random states that is an int ``seed`` became one drawn from
        ``np.random.SeedSequence([seed, number])``; a RandomState first draws its seed, from a copy; None stays None and
        so draws fresh entropy in each fit.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdrfm.model_selection._members import member
    >>> [member(RandomForestRegressor(random_state=7), number).random_state for number in (0, 1, 2)]
    [7, 184785996, 504589498]
    """
    made = clone(model)
    if number == 0:
        return made
    parameters = model.get_params(deep=True)
    seeds = {name: _derived(parameters[name], number) for name in random_parameters(model)}
    return made.set_params(**seeds)


def _derived(random_state: Any, number: int) -> int | None:
    if random_state is None:
        return None
    if not isinstance(random_state, Integral):
        random_state = copy.deepcopy(random_state).randint(np.iinfo(np.int32).max)
    # 31 bits, which every library takes as a seed.
    return int(np.random.SeedSequence([int(random_state), number]).generate_state(1)[0] >> 1)


def mean_explanation(parts: Sequence[Explanation]) -> Explanation:
    """Average the explanations of the members of an ensemble.

    Loadings and the parts of the intercept are averaged; since all members look at the same inputs, the mean still
    adds up to the mean prediction.

    Parameters
    ----------
    parts : sequence of Explanation
        One for each member, of the same rows.

    Returns
    -------
    Explanation
        Of the mean prediction; with the coverage of the layers if all members have the same.

    Raises
    ------
    ValueError
        If the members explain other inputs, or only some have offsets.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for number, part in enumerate(parts):
        if not np.array_equal(part.data, first.data) or (part.offsets is None) != (first.offsets is None):
            raise ValueError(
                "The members of an ensemble must explain the same inputs in the same way, or their mean does not add "
                f"up. Got others in member {number} than in member 0. Pass explain=False, or n_seeds=1."
            )
    means: dict[str, Any] = {
        name: np.mean([getattr(part, name) for part in parts], axis=0) for name in array_names(first) if name != "data"
    }
    same_layers = all(part.coverage == first.coverage for part in parts)
    return replace(first, **means, coverage=first.coverage if same_layers else ())
