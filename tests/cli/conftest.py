import pytest
from click.testing import CliRunner

from skdrfm.cli import main
from skdrfm.datasets import make_factor_panel


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Undo afterwards what a command sets in the environment, and fix the width of the terminal."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def table():
    """33 months of 12 stocks, one row for each; the last column is the return of the next month."""
    X, y = make_factor_panel(n_dates=33, n_assets=12, n_descriptors=3, random_state=0)
    return X.assign(LOGDV=X["BETA"] ** 2, forward=y).reset_index()


@pytest.fixture
def panel(table, tmp_path):
    path = tmp_path / "panel.csv"
    table.rename(columns={"forward": "return"}).to_csv(path, index=False)
    return path


@pytest.fixture
def run():
    """Run the program with arguments of any type."""

    def invoke(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="skdrfm")

    return invoke


@pytest.fixture
def broken(table, tmp_path):
    """Write a copy of the panel with a change."""

    def write(change, name="broken.csv"):
        path = tmp_path / name
        change(table.rename(columns={"forward": "return"})).to_csv(path, index=False)
        return path

    return write
