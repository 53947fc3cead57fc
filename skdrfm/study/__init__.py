"""The comparison of models of Nakagawa et al. (2019) as one job on any monthly panel."""

# Names with an alias are for the other packages of skdrfm, not part of the public interface.
from skdrfm.study._prepare import resolve_groups as resolve_groups
from skdrfm.study._prepare import resolve_models as resolve_models
from skdrfm.study._result import PUBLISHED, StudyResult
from skdrfm.study._result import TABLE_COLUMNS as TABLE_COLUMNS
from skdrfm.study._run import run_study

__all__ = ["PUBLISHED", "StudyResult", "run_study"]
