import matplotlib
import pytest
from hypothesis import settings

# Examples are bounded by their number; a deadline in milliseconds fails on busy machines.
settings.register_profile("skdrfm", deadline=None, print_blob=True)
settings.load_profile("skdrfm")


@pytest.fixture(autouse=True)
def _plot_settings_kept():
    """Undo what packages that we compare with change in matplotlib's settings when they are imported."""
    with matplotlib.rc_context():
        yield
