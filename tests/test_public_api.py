"""The public names exist where the documentation says, and importing the package has no effect."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import skdrfm

PACKAGES = (
    "skdrfm.datasets",
    "skdrfm.descriptors",
    "skdrfm.explanation",
    "skdrfm.factor_model",
    "skdrfm.inspection",
    "skdrfm.lrp",
    "skdrfm.metrics",
    "skdrfm.model_selection",
    "skdrfm.panel",
    "skdrfm.portfolio",
    "skdrfm.preprocessing",
    "skdrfm.report",
    "skdrfm.scoring",
    "skdrfm.study",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_exported_names_exist_and_are_sorted(name):
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert all(hasattr(module, attribute) for attribute in exported)
    # As isort does: constants, classes, functions, each by the alphabet.
    assert exported == sorted(exported, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_root_names_are_those_of_their_modules():
    for name, module in skdrfm._EXPORTS.items():
        assert getattr(skdrfm, name) is getattr(importlib.import_module(module), name)
        assert name in dir(skdrfm)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = skdrfm.nonsense


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_importing_any_module_loads_no_tensorflow_prints_nothing_and_changes_no_state():
    modules = [
        module.name
        for module in pkgutil.walk_packages(skdrfm.__path__, "skdrfm.")
        if not module.name.startswith(
            tuple(f"skdrfm.networks.{name}" for name in ("_additive", "_builders", "_canonize", "_chain", "_forward"))
        )
        and module.name
        not in (
            "skdrfm.networks._program",
            "skdrfm.networks._together",
            "skdrfm.networks._training",
            "skdrfm.__main__",
        )
    ]
    code = f"""
import os, random, sys, warnings
warnings.simplefilter("error")
# scikit-learn sets a variable and draws a random number of its own when it is loaded; what follows is ours.
import numpy as np, joblib, pandas, sklearn.ensemble, sklearn.svm, tqdm.auto
before = dict(os.environ), random.getstate(), np.random.get_state()[1].tolist(), np.geterr()
import importlib
for name in {modules!r}:
    importlib.import_module(name)
assert not {{"tensorflow", "keras", "scikeras"}} & set(sys.modules), "TensorFlow was loaded"
assert "matplotlib.pyplot" not in sys.modules, "pyplot was loaded"
assert before == (dict(os.environ), random.getstate(), np.random.get_state()[1].tolist(), np.geterr())
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("", "")


def test_importing_the_root_loads_nothing_heavy():
    heavy = ("tensorflow", "pandas", "sklearn", "numpy", "matplotlib", "shap")
    run_python(f"import skdrfm, sys; assert not set({heavy!r}) & set(sys.modules)")
