"""The Word report as LibreOffice reads it."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from skdrfm.report._content import Chart, Content, Section, Table, Text
from skdrfm.report._docx import render_docx

pytest.importorskip("docx", reason="python-docx is not installed")
SOFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(SOFFICE is None, reason="soffice (LibreOffice) is not on PATH")

N_ROWS = 120


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    """A report with a table over several pages, a turned page and a chart, turned into PDF."""
    folder = tmp_path_factory.mktemp("office")
    months = pd.period_range("2007-04", periods=N_ROWS, freq="M", name="Month")
    values = np.arange(N_ROWS * 2).reshape(N_ROWS, 2) + 10_000
    long = Table("Months.", pd.DataFrame(values, months, ["First column", "Second column"]))
    wide = Table("Wide.", pd.DataFrame(np.full((2, 16), 1.23456), ["a", "b"]).rename(columns="Column {}".format))
    wealth = Chart("Wealth.", pd.DataFrame({"LSTM": np.linspace(1, 2, N_ROWS)}, months))
    sections = (
        Section("Long section", "long", (Text("Too good for real stocks.", "caution"), long)),
        Section("Wide section", "wide", (wide,)),
        Section("Chart section", "chart", (wealth, Text("Asset <script>alert(1)</script> and קרן."))),
    )
    path = folder / "report.docx"
    path.write_bytes(render_docx(Content("Report for the office", (), sections, {"seed": 7})))
    # A profile of its own: another office that runs, as in a test beside, would take the order and do nothing.
    profile = (folder / "profile").as_uri()
    subprocess.run(
        [SOFFICE, f"-env:UserInstallation={profile}", "--headless", "--convert-to", "pdf", "--outdir", folder, path],
        check=True,
        capture_output=True,
        timeout=180,
    )
    return folder / "report.pdf"


def pages(pdf):
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext (poppler) is not on PATH")
    run = subprocess.run([tool, "-layout", str(pdf), "-"], check=True, capture_output=True, text=True, timeout=60)
    return run.stdout.split("\f")[:-1]


def test_the_office_turns_it_into_pages(pdf):
    assert pdf.read_bytes()[:5] == b"%PDF-"


def test_pages_are_numbered_and_heads_of_tables_repeat(pdf):
    found = pages(pdf)
    for number, page in enumerate(found, start=1):
        assert f"Page {number} of {len(found)}" in page
    with_months = [page for page in found if re.search(r"20\d\d-\d\d +1\d,?\d\d\d", page)]
    assert len(with_months) >= 2
    assert all("Second column" in page for page in with_months)


def test_every_figure_and_caption_comes_out(pdf):
    text = "\n".join(pages(pdf))
    numbers = [int(number) for number in re.findall(r"\b1[0-2]\d\d\d\b", text)]
    assert numbers[: 2 * N_ROWS] == list(range(10_000, 10_000 + 2 * N_ROWS))
    for caption in ("Table 1. Months.", "Table 2. Wide.", "Figure 1. Wealth.", "Table 3. What is needed"):
        assert caption in text
    assert "Caution: Too good for real stocks." in text
    assert "<script>alert(1)</script>" in text


def test_only_the_wide_table_is_on_a_turned_page(pdf):
    tool = shutil.which("pdfinfo")
    if tool is None:
        pytest.skip("pdfinfo (poppler) is not on PATH")
    n_pages = len(pages(pdf))
    run = subprocess.run(
        [tool, "-f", "1", "-l", str(n_pages), str(pdf)], check=True, capture_output=True, text=True, timeout=60
    )
    sizes = [tuple(map(float, size)) for size in re.findall(r"size: +([\d.]+) x ([\d.]+)", run.stdout)]
    turned = [page for page, (width, height) in zip(pages(pdf), sizes, strict=True) if width > height]
    assert len(turned) == 1
    assert "Wide section" in turned[0]
    assert "Table 2. Wide." in turned[0]
