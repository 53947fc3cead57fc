"""The code on the pages of the documentation runs, and prints what the pages say."""

import ast
import contextlib
import importlib
import io
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import skdrfm
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.preprocessing import CrossSectionalRankScaler

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)

# Pages whose blocks need nothing but the package and what stands in the blocks before.
SELF_CONTAINED = (
    "index.md",
    "models.md",
    "walk_forward.md",
    "evaluation.md",
    "tuning.md",
    "report.md",
    "pitfalls.md",
    "theory_walk_forward.md",
    "coming_from/scikeras.md",
    "coming_from/alphalens.md",
    "coming_from/shap.md",
    "coming_from/qlib.md",
)
# Builds Keras networks of its own, without a seed: in a process of its own, as a reader would run it.
OWN_PROCESS = ("coming_from/keras.md",)
# Pages whose blocks say that they need a panel or a fitted model, which these tests give them.
WITH_A_MODEL = ("guide.md", "saving.md")
# What a page needs beyond the package.
NEEDS = {
    "tuning.md": ["keras_tuner"],
    "coming_from/alphalens.md": ["alphalens"],
    "coming_from/shap.md": ["shap"],
}


def pages():
    """All pages with a block of Python, relative to the folder."""
    hidden = ("_build", "auto_examples", "_templates", "generated")
    found = (page.relative_to(DOCS) for page in sorted(DOCS.rglob("*.md")))
    return [
        page.as_posix()
        for page in found
        if not set(hidden) & set(page.parts) and "```python\n" in (DOCS / page).read_text(encoding="utf-8")
    ]


def run_page(page, namespace):
    """Output of each Python block, and the text block that follows it, if any."""
    blocks = BLOCKS.findall((DOCS / page).read_text(encoding="utf-8"))
    for position, (kind, code) in enumerate(blocks):
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, page, "exec"), namespace)
            following = blocks[position + 1] if position + 1 < len(blocks) else ("python", "")
            yield printed.getvalue(), following[1] if following[0] == "text" else ""


def lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.fixture(autouse=True)
def _where_files_may_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")


@pytest.mark.parametrize("page", SELF_CONTAINED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:(alphalens|empyrical|shap|numba).*")
@pytest.mark.filterwarnings("ignore::FutureWarning:(alphalens|empyrical|shap).*")
def test_a_page_prints_what_it_says(page):
    for needed in NEEDS.get(page, []):
        pytest.importorskip(needed)
    for printed, shown in run_page(page, {"__name__": "page"}):
        assert lines(printed) == lines(shown)


def test_the_example_of_the_readme_prints_what_it_says():
    ((printed, shown),) = run_page("../README.md", {"__name__": "page"})
    printed, shown = lines(printed), lines(shown)
    assert float(printed.pop()) < 1e-15
    assert shown.pop() == "4e-17"
    number = re.compile(r"-?\b\d+\.\d+\b")
    assert [number.sub("", line).split() for line in printed] == [number.sub("", line).split() for line in shown]
    # Training in float32 differs in the last digits from processor to processor.
    found, said = (np.array(number.findall("\n".join(text)), dtype=float) for text in (printed, shown))
    np.testing.assert_allclose(found, said, atol=0.021)


@pytest.mark.parametrize("page", OWN_PROCESS)
def test_a_page_prints_what_it_says_in_a_process_of_its_own(page):
    blocks = BLOCKS.findall((DOCS / page).read_text(encoding="utf-8"))
    script = Path("page.py")
    script.write_text("\n".join(code for kind, code in blocks if kind == "python"), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == lines("".join(text for kind, text in blocks if kind == "text"))


@pytest.mark.parametrize("page", WITH_A_MODEL)
def test_a_page_runs_with_a_panel_and_a_fitted_model(page):
    X, y = skdrfm.make_factor_panel(n_dates=30, n_assets=10, n_descriptors=3, random_state=0)
    namespace = {"__name__": "page", "X": X, "y": y, "model": LinearFactorRegressor().fit(X, y)}
    namespace |= {"skdrfm": skdrfm, "CrossSectionalRankScaler": CrossSectionalRankScaler}
    assert len(list(run_page(page, namespace))) >= 1


def test_every_page_is_run_or_needs_data_of_the_reader():
    needs_data = {"panel_data.md", "explanations.md", "scale.md", "single_stock.md", "us_market.md"}
    assert set(pages()) <= {*SELF_CONTAINED, *OWN_PROCESS, *WITH_A_MODEL, *needs_data}


@pytest.mark.parametrize("page", pages())
def test_what_a_page_imports_from_the_package_exists(page):
    for kind, code in BLOCKS.findall((DOCS / page).read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(code)) if kind == "python" else ():
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skdrfm":
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), f"{page}: {ast.unparse(node)}"
