"""Fingerprints of walks: what makes a folder foreign, and in which words that is said."""

import json

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdrfm import WalkForwardSplit, make_factor_panel
from skdrfm.exceptions import CheckpointError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.model_selection import _run_file
from skdrfm.model_selection._run_file import Entry, adopt_run, run_fingerprints


class Model(BaseEstimator):
    def __init__(self, alpha=1.0, added=None, inner=None):
        self.alpha = alpha
        self.added = added
        self.inner = inner


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=14, n_assets=5, n_descriptors=2, random_state=0)


@pytest.fixture
def fingerprint(panel):
    def of(model=None, cv=None, data=panel, explained=(), **options):
        models = {"m": Model() if model is None else model}
        return run_fingerprints({"m": ["m"]}, models, cv or WalkForwardSplit(12), *data, list(explained), **options)[
            "m"
        ]

    return of


def without(path, key, name):
    """Rewrite a run file as a version that did not know a parameter would have written it."""
    parts = json.loads(path.read_text())["run"]
    del parts[key][name]
    path.write_text(json.dumps({"format": 2, "run": parts, "sha256": _run_file._hash_of(parts)}))


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model": Model(alpha=2.0)}, "of model m: was alpha=1.0, now alpha=2.0. Use another folder"),
            ({"model": Model(inner=Ridge())}, "model m: was inner=None, now inner=sklearn.Ridge. Use"),
            (
                {"model": Model(inner=Ridge(2.0))},
                "model m: was inner=None, without inner.alpha, now inner=sklearn.Ridge, inner.alpha=2.0. Use",
            ),
            ({"model": Ridge()}, r"model m: was class=\w+.Model, now class=sklearn.Ridge. Use"),
            ({"cv": WalkForwardSplit(11, gap=1)}, "splitter: was gap=0, train_size=12, now gap=1, train_size=11. Use"),
            ({"explained": ["m"]}, "explained: was nothing, now m. Use"),
            ({"refit_every": "3"}, "options: was nothing, now refit_every=3. Use"),
            ({"anything": "x"}, "options: was nothing, now anything=x. Use"),
        ],
    )
    def test_a_changed_setting_is_named_with_both_values(self, fingerprint, tmp_path, change, message):
        adopt_run(tmp_path, fingerprint())
        with pytest.raises(CheckpointError, match=message):
            adopt_run(tmp_path, fingerprint(**change))

    def test_all_that_changed_is_named(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint(refit_every="3", explained=["m"]))
        with pytest.raises(CheckpointError) as caught:
            adopt_run(tmp_path, fingerprint(Model(alpha=2.0)))
        assert (
            "of explained: was m, now nothing; model m: was alpha=1.0, now alpha=2.0; "
            "options: was refit_every=3, now nothing. Use another folder, or delete this one"
        ) in str(caught.value)

    def test_other_data_are_shown_with_shape_dates_and_hash(self, panel, fingerprint, tmp_path):
        X, y = panel
        adopt_run(tmp_path, fingerprint())
        dates = X.index.get_level_values("date")
        later = dates > dates.min()
        old = "data: was rows=70, columns=2, first date=2000-01-31 00:00:00, last date=2001-02-28 00:00:00, sha256="
        new = "now rows=65, columns=2, first date=2000-02-29 00:00:00, last date=2001-02-28 00:00:00, sha256="
        with pytest.raises(CheckpointError, match=rf"{old}[0-9a-f]{{64}}, {new}[0-9a-f]{{64}}. Use"):
            adopt_run(tmp_path, fingerprint(data=(X[later], y[later])))
        with pytest.raises(CheckpointError, match=rf"{old}[0-9a-f]{{64}}, now rows=70, columns=2"):
            adopt_run(tmp_path, fingerprint(data=(X, y + 1e-12)))

    def test_another_version_is_named(self, fingerprint, tmp_path, monkeypatch):
        adopt_run(tmp_path, fingerprint())
        versions = {**_run_file.package_versions(), "numpy": "99.0"}
        monkeypatch.setattr(_run_file, "package_versions", lambda: versions)
        with pytest.raises(CheckpointError, match=r"of versions: was numpy=\d[\w.]+, now numpy=99.0. Use"):
            adopt_run(tmp_path, fingerprint())


class TestProperties:
    def test_the_same_run_has_the_same_name_every_time(self, fingerprint, tmp_path):
        first, second = adopt_run(tmp_path, fingerprint()), adopt_run(tmp_path, fingerprint())
        assert first == second
        assert len(first.name) == 64
        assert adopt_run(tmp_path / "other", fingerprint(Model(alpha=2.0))).name != first.name

    def test_a_parameter_that_was_added_with_its_default_changes_nothing(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint())
        without(tmp_path / "run.json", "model m", "added")
        without(tmp_path / "run.json", "splitter", "freq")
        without(tmp_path / "run.json", "versions", "scikeras")
        assert "added" not in adopt_run(tmp_path, fingerprint()).parts["model m"]
        with pytest.raises(CheckpointError, match="model m: was without added, now added='x'"):
            adopt_run(tmp_path, fingerprint(Model(added="x")))
        with pytest.raises(CheckpointError, match="splitter: was without freq, now freq='M'"):
            adopt_run(tmp_path, fingerprint(cv=WalkForwardSplit(12, freq="M")))

    def test_a_parameter_that_was_added_to_an_inner_estimator_changes_nothing(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint(make_pipeline(Model(inner=Ridge(alpha=2)))))
        without(tmp_path / "run.json", "model m", "steps[0][1].added")
        without(tmp_path / "run.json", "model m", "steps[0][1].inner.tol")
        adopt_run(tmp_path, fingerprint(make_pipeline(Model(inner=Ridge(alpha=2)))))
        with pytest.raises(CheckpointError, match="now steps.0..1..inner.tol=0.5"):
            adopt_run(tmp_path, fingerprint(make_pipeline(Model(inner=Ridge(alpha=2, tol=0.5)))))

    def test_a_parameter_without_its_default_or_one_that_is_gone_is_a_change(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint())
        without(tmp_path / "run.json", "model m", "alpha")
        with pytest.raises(CheckpointError, match="was without alpha, now alpha=3.0"):
            adopt_run(tmp_path, fingerprint(Model(alpha=3.0)))
        path = tmp_path / "run.json"
        parts = json.loads(path.read_text())["run"]
        parts["model m"]["removed"] = "1"
        path.write_text(json.dumps({"format": 2, "run": parts, "sha256": _run_file._hash_of(parts)}))
        with pytest.raises(CheckpointError, match="was removed=1, now without removed"):
            adopt_run(tmp_path, fingerprint())

    def test_an_option_with_its_default_is_the_same_as_none(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint())
        options = {"refit_every": "1", "n_seeds": "1", "contributions": "None", "later": "None"}
        adopt_run(tmp_path, fingerprint(**options))
        adopt_run(tmp_path / "full", fingerprint(**options))
        adopt_run(tmp_path / "full", fingerprint())

    def test_plain_mappings_and_texts_serve_as_fingerprints(self, tmp_path):
        adopt_run(tmp_path, {"data": "a", "splitter": {"n": "1"}, "model": Entry({"b": "2"})})
        adopt_run(tmp_path, {"data": "a", "splitter": {"n": "1"}, "model": {"b": "2"}})
        with pytest.raises(CheckpointError, match="of data: was a, now b; model: was b=2, now nothing; splitter: was"):
            adopt_run(tmp_path, {"data": "b", "splitter": "n"})

    def test_what_another_process_wrote_in_between_is_compared(self, fingerprint, tmp_path, monkeypatch):
        mine, other = fingerprint(), fingerprint(Model(alpha=2.0))
        replacing = _run_file.replacing

        def overtaken(path):
            monkeypatch.setattr(_run_file, "replacing", replacing)
            with replacing(path) as stream:
                stream.write(b"")
            path.unlink()
            adopt_run(path.parent, other)
            # The file that this call writes goes elsewhere, as if it had come first.
            return replacing(path.with_name("mine.json"))

        monkeypatch.setattr(_run_file, "replacing", overtaken)
        with pytest.raises(CheckpointError, match="was alpha=2.0, now alpha=1.0"):
            adopt_run(tmp_path, mine)


class TestValidation:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"{", "Expecting property name"),
            (b"\xff\xff", "can't decode"),
            (b"[]", "a list in place of an object"),
            (b"[" * 100_000, "recursion|nest|too deep"),
            (b'{"data": "abab", "explained": ""}', "format 1, and this version reads format 2"),
            (b'{"format": null}', "format None, and this version reads format 2"),
            (b'{"format": 2, "run": {"data": 1}}', "entries that are no texts"),
            (b'{"format": 3}', "format 3, and this version reads format 2"),
            (b'{"format": 2}', "entries that are no texts"),
            (b'{"format": 2, "run": {"data": {"rows": {}}}}', "entries that are no texts"),
            (b'{"format": 2, "run": {}}', "do not match their checksum"),
        ],
        ids=range(11),
    )
    def test_a_damaged_run_file_is_an_error_that_says_what_to_do(self, fingerprint, tmp_path, content, reason):
        (tmp_path / "run.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=f"readable run.json. Got .*({reason}).* Delete this folder"):
            adopt_run(tmp_path, fingerprint())

    def test_a_changed_text_does_not_pass_for_another_run(self, fingerprint, tmp_path):
        adopt_run(tmp_path, fingerprint())
        path = tmp_path / "run.json"
        path.write_text(path.read_text().replace('"alpha": "1.0"', '"alpha": "2.0"'))
        with pytest.raises(CheckpointError, match="do not match their checksum"):
            adopt_run(tmp_path, fingerprint(Model(alpha=2.0)))

    def test_a_parameter_that_cannot_be_compared_is_refused(self, fingerprint):
        with pytest.raises(CheckpointError, match="'fit_intercept' must have a content that can be hashed"):
            fingerprint(LinearFactorRegressor(fit_intercept=iter(lambda: 1, 2)))
