import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import OPENAP_TO_PAPER, openap_to_paper, read_openap_signals
from skdrfm.datasets._openap_common import NOT_SHIPPED, POSITIVE_RAW
from skdrfm.datasets._openap_doc import read_signs
from skdrfm.descriptors import DESCRIPTORS
from skdrfm.exceptions import CoverageWarning, PanelError

WRONG = {"60VOL": "betaVIX", "PBR": "AM", "LEVERAGE": "Leverage", "CAP": "AM", "SKEW": "ReturnSkew", "ROA": "roaq"}


def signals_of(**columns):
    n = len(next(iter(columns.values())))
    index = pd.MultiIndex.from_product(
        [[pd.Timestamp("2020-01-31")], [str(10001 + i) for i in range(n)]], names=["date", "asset"]
    )
    return pd.DataFrame(columns, index=index, dtype=np.float32)


@pytest.fixture(scope="module")
def signs():
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("SKDRFM_DATA", default)) / "osap_longshort" / "SignalDoc.xlsx"
    if not path.exists():
        pytest.skip("needs SignalDoc: set SKDRFM_DATA to the folder that holds osap_longshort/SignalDoc.xlsx")
    return read_signs(path)


class TestMapping:
    def test_every_descriptor_has_a_match_in_the_order_of_the_paper(self):
        assert tuple(OPENAP_TO_PAPER) == DESCRIPTORS
        assert all(name == match.descriptor for name, match in OPENAP_TO_PAPER.items())

    def test_exactly_the_missing_ones_have_no_signal_and_all_have_a_reason(self):
        missing = [name for name, match in OPENAP_TO_PAPER.items() if match.signal is None]
        assert missing == ["60VOL", "SKEW", "60MOM"]
        assert [name for name, match in OPENAP_TO_PAPER.items() if match.grade == "missing"] == missing
        assert {match.grade for match in OPENAP_TO_PAPER.values()} == {"exact", "proxy", "missing"}
        assert all(len(match.reason) > 10 for match in OPENAP_TO_PAPER.values())

    def test_no_signal_stands_for_two_descriptors(self):
        used = [match.signal for match in OPENAP_TO_PAPER.values() if match.signal]
        assert len(used) == len(set(used)) == 13

    @pytest.mark.parametrize(("descriptor", "signal"), WRONG.items())
    def test_the_wrong_signals_of_earlier_work_are_not_used(self, descriptor, signal):
        assert OPENAP_TO_PAPER[descriptor].signal != signal
        assert signal not in {match.signal for match in OPENAP_TO_PAPER.values()}

    def test_the_table_cannot_be_changed(self):
        with pytest.raises(TypeError):
            OPENAP_TO_PAPER["BETA"] = None
        with pytest.raises(FrozenInstanceError):
            OPENAP_TO_PAPER["BETA"].signal = "BetaFP"

    def test_names_and_signs_agree_with_the_documentation(self, signs):
        assert len(signs) >= 207
        for match in OPENAP_TO_PAPER.values():
            if match.signal is not None:
                assert signs[match.signal] == match.sign, match.signal
        assert all(signs[name] == -1 for name in POSITIVE_RAW if name in signs)
        assert len(set(POSITIVE_RAW) & set(signs)) == 5
        assert set(NOT_SHIPPED) <= set(signs)


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("descriptor", "signal", "sign", "raw", "expected"),
        [
            ("BETA", "Beta", 1, [1.5, -0.5], [1.5, -0.5]),
            ("ROE", "RoE", 1, [0.25, -0.5], [0.25, -0.5]),
            ("ROA", "OperProfRD", 1, [0.25, -0.5], [0.25, -0.5]),
            ("ACCRUALS", "Accruals", -1, [0.25, -0.5], [-0.25, 0.5]),
            ("LEVERAGE", "BookLeverage", -1, [2.0, 4.0, 1.0, -2.0], [0.5, 0.75, 0.0, 1.5]),
            ("12-1MOM", "Mom12m", 1, [0.25, -0.5], [0.25, -0.5]),
            ("1MOM", "STreversal", -1, [0.25, -0.5], [0.25, -0.5]),
            ("PSR", "SP", 1, [0.25, 2.0], [0.25, 2.0]),
            ("PER", "EP", 1, [0.25, 0.0], [0.25, 0.0]),
            ("PBR", "BM", 1, [0.0, np.log(0.5)], [1.0, 0.5]),
            ("PCFR", "cfp", 1, [0.25, -0.5], [0.25, -0.5]),
            ("CAP", "Size", -1, [5.0, 11.0], [5.0, 11.0]),
            ("ILLIQ", "Illiquidity", 1, [0.25, 2.0], [0.25, 2.0]),
        ],
    )
    def test_signed_signals_become_the_descriptor(self, descriptor, signal, sign, raw, expected):
        out = openap_to_paper(signals_of(**{signal: np.multiply(sign, raw)}), missing="ignore")
        assert list(out.columns) == [descriptor]
        np.testing.assert_allclose(out[descriptor], expected, rtol=1e-6, atol=1e-7)
        assert out.dtypes.tolist() == [np.float64]

    def test_leverage_is_liabilities_over_assets_in_the_order_of_assets_over_equity(self):
        assets, liabilities = np.array([10.0, 10.0, 8.0, 5.0]), np.array([2.0, 9.0, 4.0, 6.0])
        out = openap_to_paper(signals_of(BookLeverage=-assets / (assets - liabilities)), missing="ignore")
        np.testing.assert_allclose(out["LEVERAGE"], liabilities / assets, rtol=1e-6)

    def test_columns_come_in_the_order_of_the_paper_with_grades_and_reasons(self):
        signals = signals_of(Illiquidity=[1, 2], AM=[1, 2], Mom12m=[1, 2], Beta=[1, 2], betaVIX=[1, 2], Leverage=[1, 2])
        out = openap_to_paper(signals, missing="ignore")
        assert list(out.columns) == ["BETA", "12-1MOM", "ILLIQ"]
        told = out.attrs["openap_to_paper"]
        assert told["grades"] == {"BETA": "proxy", "12-1MOM": "exact", "ILLIQ": "exact"}
        assert told["signals"] == {"BETA": "Beta", "12-1MOM": "Mom12m", "ILLIQ": "Illiquidity"}
        assert list(told["missing"]) == [name for name in DESCRIPTORS if name not in out.columns]
        assert told["missing"]["CAP"] == "no column Size, which the public file leaves out"
        assert told["missing"]["PBR"] == "no column BM"
        assert "60 monthly returns" in told["missing"]["60VOL"]

    def test_cells_without_a_finite_value_are_counted(self):
        signals = signals_of(BookLeverage=[0.0, -2.0, np.nan], BM=[800.0, 0.0, np.nan])
        out = openap_to_paper(signals, missing="ignore")
        assert out.isna().to_numpy().tolist() == [[True, True], [False, False], [True, True]]
        assert out.attrs["openap_to_paper"]["undefined"] == {"LEVERAGE": 1, "PBR": 1}

    def test_the_input_is_not_changed(self):
        signals = signals_of(BM=[0.5, np.nan], BookLeverage=[-2.0, -3.0])
        before = signals.copy()
        openap_to_paper(signals, missing="ignore")
        pd.testing.assert_frame_equal(signals, before, check_exact=True)


class TestValidation:
    def test_missing_descriptors_and_proxies_are_named_in_a_warning(self):
        message = "2 of 16 descriptors come from the signals. Missing: 60VOL .no signal.*Proxies: BETA.*ignore"
        with pytest.warns(CoverageWarning, match=message):
            openap_to_paper(signals_of(Beta=[1, 2], SP=[1, 2]))

    @pytest.mark.parametrize(
        ("signals", "options", "message"),
        [
            (signals_of(AM=[1.0], betaVIX=[1.0], Leverage=[1.0]), {}, "column that stands for a descriptor: Beta, RoE"),
            (signals_of(Beta=[1.0]).reset_index(drop=True), {}, "levels 'date' and 'asset'"),
            (pd.concat([signals_of(Beta=[1.0])] * 2, axis=1), {}, "Got twice: 'Beta'"),
            (signals_of(BookLeverage=[2.0, 1.5, -3.0]), {}, "signals must be signed.*Got 67% positive"),
            (signals_of(Size=[8.0, 9.0]), {}, "signals must be signed"),
            (signals_of(Beta=[1.0]), {"missing": "drop"}, "'missing' must be 'warn' or 'ignore'. Got 'drop'"),
        ],
    )
    def test_faults_are_named(self, signals, options, message):
        with pytest.raises(PanelError, match=message):
            openap_to_paper(signals, **options)

    def test_raw_signals_of_the_reader_are_refused(self, tmp_path):
        (tmp_path / "doc.csv").write_text("Acronym,Sign\nAccruals,-1\n")
        (tmp_path / "s.csv").write_text("permno,yyyymm,Accruals\n1,202001,0.5\n")
        raw = read_openap_signals(tmp_path / "s.csv", signed=False, signal_doc=tmp_path / "doc.csv")
        with pytest.raises(PanelError, match="must be signed. Got raw ones"):
            openap_to_paper(raw, missing="ignore")
        signed = read_openap_signals(tmp_path / "s.csv")
        assert openap_to_paper(signed, missing="ignore").to_numpy().tolist() == [[0.5]]
