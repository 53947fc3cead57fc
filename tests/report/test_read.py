"""A study that is written and read is the same study, and a folder that is no longer that of a study is refused."""

import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from skdrfm.datasets import make_factor_panel
from skdrfm.exceptions import CoverageWarning, PanelFileError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.report import _write, read_study, write_study
from skdrfm.report._study_folder import digest_of
from skdrfm.study import StudyResult, run_study

# What CSV files, spreadsheets and pandas like to take for something else.
ODD_NAMES = ["NA", "TRUE", "001", "nan", "1e5", " x", "a,b", 'q"t', "two\nlines", "None", "-0", "<script>", "ü"]
MONTHS = {
    "days": lambda dates: dates,
    "nanoseconds": lambda dates: dates.as_unit("ns"),
    "times of a zone": lambda dates: (dates + pd.Timedelta(hours=16)).tz_localize("Europe/Berlin"),
    "yyyymm": lambda dates: pd.Index(dates.year * 100 + dates.month),
    "periods": lambda dates: dates.to_period("M"),
    "text": lambda dates: dates.strftime("%Y-%m-%d"),
    "objects": lambda dates: pd.Index(dates.date, dtype=object),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Write no page, which is not read."""
    monkeypatch.setattr(_write, "render_html", lambda content: "<p>")


@pytest.fixture(scope="module")
def panel():
    return make_factor_panel(n_dates=18, n_assets=13, n_descriptors=4, missing=0.05, entry_exit=0.1, random_state=4)


def relabel(panel, dates=lambda dates: dates, assets=lambda codes: codes, order=("date", "asset")):
    X, y = panel
    levels = {
        "date": dates(X.index.get_level_values("date")),
        "asset": assets(pd.factorize(X.index.get_level_values("asset"))[0]),
    }
    index = pd.MultiIndex.from_arrays([levels[name] for name in order], names=list(order))
    return X.set_axis(index), y.set_axis(index)


def odd(codes):
    return pd.Index(ODD_NAMES).take(codes)


def linear_study(panel, names=("Linear",), **options):
    models = {name: LinearFactorRegressor() for name in names}
    options = {"lags": (0, 3), "train_size": 12, "n_quantiles": 3, "cost": 0.001, **options}
    return run_study(*panel, models=models, progress=False, **options)


def assert_same(found, expected, where=""):
    """Compare to the last bit, whatever the values are made of."""
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_freq=False, obj=where)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected, check_exact=True, check_freq=False, obj=where)
    elif isinstance(expected, dict) and where != "manifest":
        assert list(found) == list(expected), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}[{name!r}]")
    elif hasattr(expected, "__dataclass_fields__"):
        for field in fields(expected):
            if field.name != "explanation":
                assert_same(getattr(found, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    else:
        assert found == expected, where


def assert_reads_back(study, folder):
    found = read_study(write_study(study, folder, source="here", simulated=True).parent)
    assert isinstance(found, StudyResult)
    manifest = dict(found.manifest)
    assert manifest.pop("data") == {"source": "here", "simulated": True}
    found = replace(found, manifest=manifest)
    for field in fields(study):
        assert_same(getattr(found, field.name), getattr(study, field.name), field.name)
    assert all(result.explanation is None for result in found.results.values())
    return found


class TestRoundTrip:
    def test_every_field_comes_back(self, study, tmp_path):
        assert_reads_back(study, tmp_path)

    def test_seeds_rare_fits_and_single_precision_come_back(self, panel, tmp_path):
        X, y = panel
        study = run_study(
            X,
            y.astype("float32").rename(None),
            # More seeds than a sum adds up one after the other.
            models={"Forest": RandomForestRegressor(2, random_state=0), "Linear": LinearFactorRegressor()},
            lags=(0, 3),
            train_size=12,
            n_quantiles=3,
            n_seeds=9,
            refit_every=2,
            progress=False,
        )
        found = assert_reads_back(study, tmp_path)
        assert found.results["Forest"].seed_predictions.shape[1] == 9
        assert found.realised.dtype == "float32"

    def test_evidence_comes_back(self, with_evidence, tmp_path):
        assert_reads_back(with_evidence, tmp_path)

    def test_an_audit_without_findings_is_no_audit_left_out(self, study, tmp_path):
        columns = ["code", "severity", "title", "evidence", "remedy"]
        clean = replace(study, findings=pd.DataFrame([], columns=columns))
        found = read_study(write_study(clean, tmp_path).parent).findings
        assert found.empty
        assert list(found.columns) == columns

    @pytest.mark.parametrize("dates", MONTHS.values(), ids=MONTHS)
    def test_dates_keep_their_type(self, panel, tmp_path, dates):
        assert_reads_back(linear_study(relabel(panel, dates=dates)), tmp_path)

    @pytest.mark.parametrize(
        "assets",
        [odd, lambda codes: odd(codes).astype(object), lambda codes: codes + 10001, lambda codes: codes / 8],
        ids=["odd names", "odd names as objects", "whole numbers", "fractions"],
    )
    def test_assets_keep_their_names(self, panel, tmp_path, assets):
        assert_reads_back(linear_study(relabel(panel, assets=assets)), tmp_path)

    def test_models_may_have_the_names_of_other_columns(self, panel, tmp_path):
        study = linear_study(panel, names=["realised", "date", "NA", "share", 'a,"b"'])
        assert_reads_back(study, tmp_path)

    def test_the_order_of_levels_and_rows_is_kept(self, panel, tmp_path):
        X, y = relabel(panel, order=("asset", "date"))
        shuffled = np.random.default_rng(0).permutation(len(X))
        assert_reads_back(linear_study((X.iloc[shuffled], y.iloc[shuffled])), tmp_path)

    def test_dates_without_a_portfolio_stay_without_one_and_are_not_warned_of_again(self, panel, tmp_path):
        X, y = panel
        dates = X.index.get_level_values("date")
        few = (dates == dates.unique()[-2]) & (X.groupby(level="date").cumcount() > 1)
        with pytest.warns(CoverageWarning):
            study = linear_study((X[~few], y[~few]))
        assert study.backtests["Linear"].long_short.isna().sum() == 1
        assert study.contributions == {} or study.contributions["Linear"].isna().any(axis=None)
        assert_reads_back(study, tmp_path)

    def test_a_study_that_was_read_can_be_written_again(self, study, tmp_path):
        once = read_study(write_study(study, tmp_path / "a", source="here").parent)
        twice = read_study(write_study(once, tmp_path / "b").parent)
        assert dict(twice.manifest) == dict(once.manifest)
        assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in (tmp_path / "b").iterdir()}
        for path in (tmp_path / "a").glob("*.csv"):
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.fixture
def copied(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def forge(folder, name, content):
    """Replace a file, and its digest in the manifest."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["folder"]["files"][name] = digest_of(content)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def edit(folder, change):
    """Change the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


class TestRefusal:
    def test_no_folder(self, folder, tmp_path):
        with pytest.raises(PanelFileError, match="nothing there"):
            read_study(tmp_path / "absent")
        with pytest.raises(PanelFileError, match="a file. Name the folder"):
            read_study(folder / "index.html")
        with pytest.raises(PanelFileError, match="must hold 'manifest.json'"):
            read_study(tmp_path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"manifest.json' must be JSON"),
            (b"\xff\xfe\x00", r"manifest.json' must be JSON"),
            (b"[1, 2]", r"must describe its folder under 'folder'"),
            (b'{"name": "a web application"}', r"must describe its folder under 'folder'"),
            (b'{"folder": "Downloads"}', r"must describe its folder under 'folder'"),
            (b'{"folder": {"format": 2, "files": {}}}', r"must be of format 1\. Got 2"),
            (b'{"folder": {"format": 1, "files": {}}}', r"dates of the study .* must be text, numbers, dates"),
        ],
    )
    def test_manifests_of_something_else(self, copied, content, message):
        (copied / "manifest.json").write_bytes(content)
        with pytest.raises(PanelFileError, match=message):
            read_study(copied)

    @pytest.mark.parametrize(
        "name",
        [
            "table",
            "predictions",
            "long_short_returns",
            "windows",
            "fits",
            "coverage",
            "contributions",
            "relevance_by_lag",
        ],
    )
    def test_each_file_must_be_there_and_the_one_that_was_written(self, copied, name):
        path = copied / f"{name}.csv"
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(PanelFileError, match=rf"{name}.csv' must be the one .* cut off"):
            read_study(copied)
        path.unlink()
        with pytest.raises(PanelFileError, match=rf"must hold '{name}.csv'\. .* is missing"):
            read_study(copied)
        path.write_bytes(content)
        read_study(copied)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("predictions", lambda text: text.replace("realised", "given", 1)),
            ("predictions", lambda text: text.replace("-0.0", "minus 0.0", 1)),
            ("predictions", lambda text: text.replace("2002-", "soon ", 1)),
            ("predictions", lambda text: ""),
            ("windows", lambda text: text.replace("2002-", "soon ", 1)),
            ("fits", lambda text: text.replace("Linear", "Other", 1)),
            ("contributions", lambda text: text[: text.rstrip().rindex("\n") + 1]),
            ("coverage", lambda text: text.replace("2001-", "soon ", 1)),
            ("long_short_returns", lambda text: text.replace(",0.", ",1.", 1)),
            ("long_short_returns", lambda text: text.replace("Linear", "Other", 1)),
        ],
    )
    def test_content_that_makes_no_sense_is_refused_by_the_name_of_its_file(self, copied, name, change):
        text = (copied / f"{name}.csv").read_text(encoding="utf-8")
        assert change(text) != text
        forge(copied, f"{name}.csv", change(text).encode())
        with pytest.raises(PanelFileError, match=rf"{name}.csv' must be as write_study makes it"):
            read_study(copied)

    def test_options_that_do_not_lead_to_the_returns_are_refused(self, copied):
        edit(copied, lambda manifest: manifest["options"].update(n_quantiles=4))
        with pytest.raises(PanelFileError, match="'Linear' that do not follow from predictions.csv and the options"):
            read_study(copied)
        edit(copied, lambda manifest: manifest["options"].pop("cost"))
        with pytest.raises(
            PanelFileError, match=r"manifest.json' must be as write_study makes it\. Got KeyError: 'cost'"
        ):
            read_study(copied)

    def test_a_study_that_broke_off_while_it_was_written_is_refused(self, study, panel, tmp_path, monkeypatch):
        write_study(study, tmp_path)
        moving = type(tmp_path).replace

        def fail(path, target):
            if target.name == "windows.csv":
                raise OSError("disk is full")
            return moving(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", fail)
        with pytest.raises(OSError, match="disk is full"):
            write_study(linear_study(panel), tmp_path)
        with pytest.raises(PanelFileError, match="a later study broke off while writing"):
            read_study(tmp_path)

    def test_labels_that_text_cannot_tell_apart_are_refused(self, panel, tmp_path):
        mixed = relabel(
            panel, assets=lambda codes: pd.Index([code if code % 2 else f"A{code}" for code in codes], object)
        )
        write_study(linear_study(mixed), tmp_path)
        with pytest.raises(PanelFileError, match="The assets of the study .* all of one type"):
            read_study(tmp_path)
