"""The contract of panel estimators, as checks that anyone may run on their own.

scikit-learn's checks know no dates. These add what a panel of (date, asset) rows asks for.

Transformers: no look-ahead, rows preserved, each date by itself, order of the rows without effect,
input not modified. Regressors: input not modified, one float for each row whatever their order,
2-D and 3-D input alike, explanations that add up, match ``predict`` and keep the order of the rows,
global random state untouched, same seed and same predictions.

Run all of them with :func:`check_panel_estimator`, or one by one under pytest::

    @pytest.mark.parametrize(("name", "check"), iter_panel_checks(MyTransformer()))
    def test_panel_contract(name, check):
        check(MyTransformer())

Every check raises AssertionError and says what broke. None needs more than a few hundred rows, and
none draws from, or seeds, the global random generators.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from sklearn.base import is_regressor

from skdrfm.utils._regressor_checks import (
    check_2d_and_3d_agree,
    check_explanation_adds_up,
    check_explanation_matches_predict,
    check_explanation_row_order,
    check_global_random_state_unchanged,
    check_predict_one_float_per_row,
    check_predict_row_order,
    check_regressor_input_not_modified,
    check_same_seed_same_predictions,
)
from skdrfm.utils._transformer_checks import (
    check_date_independence,
    check_no_look_ahead,
    check_rows_preserved,
    check_transform_row_order,
    check_transformer_input_not_modified,
)

__all__ = [
    "check_2d_and_3d_agree",
    "check_date_independence",
    "check_explanation_adds_up",
    "check_explanation_matches_predict",
    "check_explanation_row_order",
    "check_global_random_state_unchanged",
    "check_no_look_ahead",
    "check_panel_estimator",
    "check_predict_one_float_per_row",
    "check_predict_row_order",
    "check_regressor_input_not_modified",
    "check_rows_preserved",
    "check_same_seed_same_predictions",
    "check_transform_row_order",
    "check_transformer_input_not_modified",
    "iter_panel_checks",
]

PanelCheck: TypeAlias = Callable[[Any], None]


def iter_panel_checks(estimator: Any) -> Iterator[tuple[str, PanelCheck]]:
    """List the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator
        Transformer or regressor, unfitted. Checks of 3-D input apply where it has a parameter
        ``n_timesteps``, checks of explanations where it has a method ``explain``.

    Yields
    ------
    name : str
        Name of the check.
    check : callable
        ``check(estimator)`` returns None or raises AssertionError.

    Raises
    ------
    TypeError
        If the estimator is neither a transformer nor a regressor.

    Examples
    --------
    >>> from skdrfm.preprocessing import CrossSectionalRankScaler
    >>> from skdrfm.utils.estimator_checks import iter_panel_checks
    >>> for name, check in iter_panel_checks(CrossSectionalRankScaler()):
    ...     check(CrossSectionalRankScaler())
    """
    checks: list[PanelCheck]
    if is_regressor(estimator):
        checks = [
            check_regressor_input_not_modified,
            check_predict_one_float_per_row,
            check_predict_row_order,
            check_global_random_state_unchanged,
            check_same_seed_same_predictions,
        ]
        if "n_timesteps" in estimator.get_params():
            checks.append(check_2d_and_3d_agree)
        if hasattr(estimator, "explain"):
            checks += [
                check_explanation_adds_up,
                check_explanation_matches_predict,
                check_explanation_row_order,
            ]
    elif hasattr(estimator, "transform"):
        checks = [
            check_transformer_input_not_modified,
            check_rows_preserved,
            check_transform_row_order,
            check_date_independence,
            check_no_look_ahead,
        ]
    else:
        raise TypeError(
            f"The estimator must be a regressor or have a method 'transform'. Got {type(estimator).__name__}."
        )
    yield from ((check.__name__, check) for check in checks)


def check_panel_estimator(estimator: Any) -> None:
    """Run every panel check that applies to an estimator.

    Parameters
    ----------
    estimator : estimator
        Transformer or regressor, unfitted; each check works on clones of it.

    Raises
    ------
    AssertionError
        At the first check that fails.
    TypeError
        If the estimator is neither a transformer nor a regressor.

    Examples
    --------
    >>> from skdrfm.preprocessing import CrossSectionalRankScaler
    >>> from skdrfm.utils.estimator_checks import check_panel_estimator
    >>> check_panel_estimator(CrossSectionalRankScaler())
    """
    for _, check in iter_panel_checks(estimator):
        check(estimator)
