import json
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from skdrfm.datasets._panel_file import EXACT_FLOATS
from skdrfm.report import _write, write_study
from skdrfm.study import PUBLISHED

VOID = {"meta", "link", "br", "img", "hr", "input"}
FILES = {
    "index.html",
    "manifest.json",
    "table.csv",
    "published.csv",
    "predictions.csv",
    "long_short_returns.csv",
    "quantile_returns.csv",
    "contributions.csv",
    "windows.csv",
    "figures/long_short.svg",
    "figures/contributions.svg",
    "figures/windows.svg",
}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def words(self):
        return " ".join(" ".join(self.text).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def read(folder, name, index):
    table = pd.read_csv(folder / f"{name}.csv", **EXACT_FLOATS)
    if "date" in table:
        table["date"] = pd.to_datetime(table["date"])
    return table.set_index(index)


def same(found, expected):
    pd.testing.assert_frame_equal(
        found,
        expected,
        rtol=1e-14,
        atol=0,
        check_names=False,
        check_freq=False,
        check_column_type=False,
        check_index_type=False,
    )


class TestFiles:
    def test_the_folder_is_complete(self, folder):
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == FILES

    def test_the_table_reads_back_equal(self, study, folder):
        same(read(folder, "table", "model"), study.table)

    def test_published_figures_read_back_equal(self, folder):
        same(read(folder, "published", "model").drop(columns="note"), PUBLISHED)

    def test_predictions_read_back_equal(self, study, folder):
        found = read(folder, "predictions", ["date", "asset"])
        expected = pd.DataFrame({"realised": study.realised, "Linear": study.results["Linear"].predictions})
        same(found, expected)

    def test_long_short_returns_read_back_equal(self, study, folder):
        same(read(folder, "long_short_returns", "date"), study.backtests["Linear"].long_short.to_frame("Linear"))

    def test_quantile_returns_read_back_equal(self, study, folder):
        found = read(folder, "quantile_returns", ["model", "date", "quantile"]).loc["Linear", "return"].unstack()
        same(found, study.backtests["Linear"].quantile_returns)

    @pytest.mark.parametrize(("column", "attribute"), [("share", "contributions"), ("signed", "signed_contributions")])
    def test_contributions_read_back_equal(self, study, folder, column, attribute):
        expected = getattr(study, attribute)["Linear"]
        found = read(folder, "contributions", ["model", "date", "group"]).loc["Linear", column].unstack()
        same(found[list(expected.columns)], expected)

    def test_windows_read_back_equal(self, study, folder):
        found = read(folder, "windows", "window")
        for name in ("train_start", "train_end", "test_start", "test_end"):
            found[name] = pd.to_datetime(found[name])
        pd.testing.assert_frame_equal(found, study.windows, check_dtype=False)

    def test_the_manifest_says_what_the_data_is(self, study, folder):
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert manifest.pop("data") == {"source": "twelve simulated stocks", "simulated": True}
        assert manifest == json.loads(json.dumps(dict(study.manifest)))


class TestPage:
    def test_nothing_is_loaded_from_elsewhere(self, page):
        assert not page.all("script") + page.all("link") + page.all("img") + page.all("iframe")
        for tag, attributes in page.tags:
            assert not attributes.get("src")
            for name in ("href", "xlink:href"):
                assert tag == "a" or attributes.get(name, "#").startswith("#")
        policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]

    def test_styles_load_nothing(self, folder):
        text = (folder / "index.html").read_text(encoding="utf-8")
        assert "@import" not in text
        assert "url(http" not in text

    def test_no_id_occurs_twice(self, page):
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))

    def test_every_table_has_a_caption_and_every_heading_cell_a_scope(self, page):
        assert len(page.all("table")) == len(page.all("caption")) == 4
        assert {attributes.get("scope") for attributes in page.all("th")} == {"row", "col"}

    def test_published_figures_are_labelled_as_published(self, page):
        label = (
            "Published by Nakagawa et al. (2019) for TOPIX 500 stocks, April 2007 to March 2015: they hold for the "
            "paper's own market only and were not computed here"
        )
        assert label in page.words()

    def test_it_says_what_was_run_and_what_was_dropped(self, page):
        words = page.words()
        assert "2002-05 to 2002-10" in words
        assert "dropped: history shorter than the lags 36" in words
        assert "Missing values entered as the neutral rank 0" in words
        assert "Data: twelve simulated stocks." in words

    def test_figures_are_part_of_the_page(self, page):
        assert len(page.all("svg")) == 6

    def test_the_best_of_several_models_is_marked(self, study, renamed, tmp_path):
        two = renamed(study, "Good", "Poor")
        table = two.table.copy()
        table.loc["Poor", ["Return [%]", "Sharpe ratio", "Rank IC", "R2_oos [%]"]] -= 1
        table.loc["Poor", ["Volatility [%]", "MAE", "RMSE"]] += 1
        page = Page(write_study(replace(two, table=table), tmp_path).read_text(encoding="utf-8"))
        assert sum(cell.get("class") == "best" for cell in page.all("td")) == 7
        row = page.words().split("R² oos [%] Good")[1].split("Poor")[0]
        assert row.count("(best)") == 7

    def test_names_are_escaped(self, study, renamed, tmp_path):
        name = "<script>alert(1)</script>"
        group = '"><img src=x onerror=alert(2)>'
        hostile = renamed(study, name)
        shares = hostile.contributions[name].rename(columns={"Risk": group})
        hostile = replace(
            hostile,
            contributions={name: shares},
            signed_contributions={name: hostile.signed_contributions[name].rename(columns={"Risk": group})},
            manifest={
                **study.manifest,
                "missing_cells_ranked_neutral": {group: 3},
                "options": {**study.manifest["options"], "models": [name], "groups": {group: [group]}},
            },
        )
        text = write_study(hostile, tmp_path, source=name + group).read_text(encoding="utf-8")
        page = Page(text)
        assert not page.all("script") + page.all("img")
        assert name in page.words()
        assert group in page.words()
        assert "<script" not in text

    def test_a_study_without_explanations_has_no_section_on_contributions(self, study, tmp_path):
        plain = replace(study, contributions={}, signed_contributions={})
        assert "What the forecasts rest on" not in write_study(plain, tmp_path).read_text(encoding="utf-8")


class TestCaution:
    @pytest.mark.parametrize(
        ("column", "value", "simulated", "expected"),
        [
            ("R2_oos [%]", 2.5, False, True),
            ("R2_oos [%]", 2.5, True, False),
            ("Rank IC", -0.2, False, True),
            ("Rank IC", 0.05, False, False),
        ],
    )
    def test_figures_too_good_for_real_stocks_are_pointed_out(
        self, study, monkeypatch, tmp_path, column, value, simulated, expected
    ):
        monkeypatch.setattr(_write, "draw_figures", lambda study: draw_nothing(study))
        table = study.table.assign(**{"R2_oos [%]": 0.5, "Rank IC": 0.03}).assign(**{column: value})
        page = Page(write_study(replace(study, table=table), tmp_path, simulated=simulated).read_text(encoding="utf-8"))
        assert ("Caution" in page.words()) is expected
        assert ("Simulated panel" in page.words()) is simulated


def draw_nothing(study):
    empty = "<svg></svg>"
    names = ["long_short", "windows", *(["contributions"] if study.contributions else [])]
    return {name: _write.Figure(name, wide=empty, narrow=empty) for name in names}


class TestWriting:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(_write, "draw_figures", draw_nothing)

    def test_an_older_study_is_replaced_and_other_files_stay(self, study, tmp_path):
        write_study(study, tmp_path, source="old")
        (tmp_path / "notes.txt").write_text("mine")
        plain = replace(study, contributions={}, signed_contributions={})
        page = write_study(plain, tmp_path, source="new").read_text(encoding="utf-8")
        assert "Data: new." in page
        assert not (tmp_path / "contributions.csv").exists()
        assert not (tmp_path / "figures" / "contributions.svg").exists()
        assert (tmp_path / "notes.txt").read_text() == "mine"
        assert not list(tmp_path.rglob("*.part"))

    def test_missing_folders_are_made(self, study, tmp_path):
        page = write_study(study, str(tmp_path / "a" / "b"))
        assert page == tmp_path / "a" / "b" / "index.html"
        assert page.exists()

    def test_a_failure_while_the_page_is_made_writes_nothing(self, study, tmp_path, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError("no page")

        monkeypatch.setattr(_write, "_render", fail)
        with pytest.raises(RuntimeError, match="no page"):
            write_study(study, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_failure_while_writing_leaves_the_old_page(self, study, tmp_path, monkeypatch):
        write_study(study, tmp_path, source="old")
        replacing = type(tmp_path).replace

        def fail(path, target):
            if target.name == "windows.csv":
                raise OSError("disk is full")
            return replacing(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", fail)
        with pytest.raises(OSError, match="disk is full"):
            write_study(study, tmp_path, source="new")
        assert "Data: old." in (tmp_path / "index.html").read_text(encoding="utf-8")
        assert not list(tmp_path.rglob("*.part"))

    def test_the_study_is_left_as_it_was(self, study, tmp_path):
        before = study.table.copy(), dict(study.manifest), study.realised.copy()
        write_study(study, tmp_path)
        pd.testing.assert_frame_equal(study.table, before[0])
        assert dict(study.manifest) == before[1]
        pd.testing.assert_series_equal(study.realised, before[2])
