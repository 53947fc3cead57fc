import zipfile
from xml.sax.saxutils import escape

import pytest

from skdrfm.datasets._openap_doc import read_signs
from skdrfm.exceptions import PanelFileError

HEAD = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def write_sheet(path, rows, shared=True):
    """A spreadsheet with one sheet: texts in the table of shared strings or in the cells, numbers as numbers."""
    strings, lines = [], []
    for i, row in enumerate(rows, start=1):
        cells = []
        for letter, value in zip("ABC", row, strict=False):
            if value is None:
                continue
            if not isinstance(value, str):
                cells.append(f'<c r="{letter}{i}"><v>{value}</v></c>')
            elif shared:
                strings.append(value)
                cells.append(f'<c r="{letter}{i}" t="s"><v>{len(strings) - 1}</v></c>')
            else:
                cells.append(f'<c r="{letter}{i}" t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        lines.append(f'<row r="{i}">{"".join(cells)}</row>')
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", HEAD + "".join(lines) + "</sheetData></worksheet>")
        if shared:
            items = "".join(f"<si><r><t>{escape(s[:1])}</t></r><r><t>{escape(s[1:])}</t></r></si>" for s in strings)
            space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
            archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{space}">{items}</sst>')
    return path


ROWS = [["Acronym", "Authors", "Sign"], ["Beta", "A & B", 1.0], ["Accruals", None, "-1.0"], ["ZScore", "C", "NA"]]


@pytest.mark.parametrize("shared", [True, False])
def test_a_spreadsheet_gives_the_signs_of_its_first_sheet(tmp_path, shared):
    assert read_signs(write_sheet(tmp_path / "SignalDoc.xlsx", ROWS, shared)) == {"Beta": 1, "Accruals": -1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Acronym,Authors\nBeta,X\n", "Missing: 'Sign'"),
        ("Acronym,Sign\nBeta,2\n", "must hold 1 or -1. Got '2' for 'Beta'"),
        ("Acronym,Sign\nBeta,1\nBeta,-1\n", "Got 'Beta' twice"),
        ("", "must be a readable SignalDoc"),
    ],
)
def test_tables_that_are_no_signal_doc_are_refused(tmp_path, text, message):
    path = tmp_path / "SignalDoc.csv"
    path.write_text(text)
    with pytest.raises(PanelFileError, match=message):
        read_signs(path)


@pytest.mark.parametrize("name", ["doc.xlsx", "doc.xls"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(PanelFileError, match="SignalDoc"):
        read_signs(tmp_path / name)


def test_a_spreadsheet_without_rows_is_refused(tmp_path):
    with pytest.raises(PanelFileError, match="SignalDoc"):
        read_signs(write_sheet(tmp_path / "doc.xlsx", []))
