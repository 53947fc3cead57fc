import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.preprocessing import CrossSectionalStandardScaler
from skdrfm.preprocessing._labels import industry_codes, row_weights


@pytest.fixture
def X():
    dates = pd.to_datetime(["2020-01-31", "2020-02-29"])
    index = pd.MultiIndex.from_product([dates, ["A", "B", "C"]], names=["date", "asset"])
    return pd.DataFrame({"CAP": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]}, index=index)


@pytest.fixture
def by_asset():
    return pd.Series({"Z": "other", "C": "banks", "A": "mines", "B": "banks"})


class TestReferenceValues:
    def test_industry_is_found_by_asset_whatever_the_order(self, X, by_asset):
        codes = industry_codes(by_asset, X)
        assert codes[1] == codes[2] == codes[4] == codes[5]
        assert codes[0] == codes[3] != codes[1]

    def test_industry_that_changes_over_time_is_found_by_date_and_asset(self, X):
        industry = pd.Series(["m", "b", "b", "m", "m", "b"], index=X.index)
        expected = industry_codes(industry, X)
        assert [expected[i] == expected[0] for i in range(6)] == [True, False, False, True, True, False]
        shuffled = industry.iloc[[3, 5, 0, 2, 1, 4]].swaplevel()
        codes = industry_codes(shuffled, X)
        assert [codes[i] == codes[0] for i in range(6)] == [True, False, False, True, True, False]
        part = industry_codes(shuffled, X.iloc[[4, 1]])
        assert part[0] != part[1]

    def test_weights_are_found_by_label(self, X):
        weight = pd.Series({"C": 3, "B": 2, "A": 1, "Z": -1})  # of an asset that X has not, nothing is asked
        np.testing.assert_array_equal(row_weights(weight, X), [1, 2, 3, 1, 2, 3])
        pairs = pd.Series(np.arange(1.0, 7.0), index=X.index)
        np.testing.assert_array_equal(row_weights(pairs[::-1], X.iloc[[5, 0]]), [6, 1])

    def test_further_levels_of_the_index_do_not_matter(self, X, by_asset):
        expected = industry_codes(by_asset, X)
        wide = X.set_index(pd.Index(list("uvwxyz"), name="country"), append=True)
        np.testing.assert_array_equal(industry_codes(by_asset, wide), expected)
        pairs = pd.Series(np.arange(1.0, 7.0), index=X.index)
        np.testing.assert_array_equal(row_weights(pairs, wide.iloc[::-1]), pairs[::-1])

    def test_rows_indexed_by_asset_alone_are_served(self, X, by_asset):
        one_date = X.iloc[:3].droplevel("date")
        codes = industry_codes(by_asset, one_date)
        assert codes[1] == codes[2] != codes[0]

    def test_categories_and_integers_are_industries_too(self, X, by_asset):
        expected = industry_codes(by_asset, X)
        np.testing.assert_array_equal(industry_codes(by_asset.astype("category"), X), expected)
        np.testing.assert_array_equal(industry_codes(pd.Series({"A": 7, "B": 3, "C": 3}), X)[[0, 1]], [0, 1])


class TestValidation:
    @pytest.mark.parametrize("lacking", [pd.Series({"A": "m", "B": "b"}), pd.Series({"A": "m", "B": "b", "C": None})])
    def test_rows_without_an_industry_are_counted_and_the_way_out_works(self, X, lacking):
        with pytest.raises(PanelError, match=r"2 of 6 rows without one, of assets 'C'") as error:
            industry_codes(lacking, X)
        way_out = str(error.value).split("Fill in: ")[1].rstrip(".")
        mended = eval(way_out, {"industry": lacking, "X": X})
        assert len(np.unique(industry_codes(mended, X))) == 3

    def test_way_out_for_pairs_works_too(self, X):
        industry = pd.Series(["m"] * 4, index=X.index[:4])
        with pytest.raises(PanelError, match="2 of 6 rows without one, of assets 'B', 'C'") as error:
            industry_codes(industry, X)
        mended = eval(str(error.value).split("Fill in: ")[1].rstrip("."), {"industry": industry, "X": X})
        assert industry_codes(mended, X).max() == 1

    def test_a_row_without_asset_has_no_industry(self, X, by_asset):
        index = pd.MultiIndex.from_arrays([[1, 1], ["A", None], [0, 0]], names=["date", "asset", "x"])
        with pytest.raises(PanelError, match="1 of 2 rows without one"):
            industry_codes(by_asset, pd.DataFrame({"CAP": [1.0, 2.0]}, index=index))

    def test_labels_of_another_type_are_not_taken_for_the_same(self, X):
        with pytest.raises(PanelError, match="6 of 6 rows without one"):
            industry_codes(pd.Series(["m", "b", "b"], index=[1, 2, 3]), X)

    def test_numbers_of_rows_are_not_taken_for_assets(self, X):
        numbered = X.set_axis(pd.MultiIndex.from_product([[1, 2], range(3)], names=["date", "asset"]))
        with pytest.raises(PanelError, match="industry must be indexed by asset.* the type RangeIndex named None"):
            industry_codes(pd.Series(["m", "b", "b"]), numbered)
        codes = industry_codes(pd.Series(["m", "b", "b"]).rename_axis("asset"), numbered)
        np.testing.assert_array_equal(codes, [0, 1, 1, 0, 1, 1])

    @pytest.mark.parametrize("bad", [0.0, -1.0, np.inf])
    def test_weights_must_be_finite_and_above_zero(self, X, bad):
        with pytest.raises(PanelError, match=r"finite and above 0. Got 2 rows with another one"):
            row_weights(pd.Series({"A": 1.0, "B": bad, "C": 1.0}), X)

    def test_rows_without_a_weight_are_counted(self, X):
        with pytest.raises(PanelError, match="4 of 6 rows without one, of assets 'B', 'C'"):
            row_weights(pd.Series({"A": 1.0, "B": np.nan}), X)

    def test_weights_must_be_numbers(self, X):
        with pytest.raises(PanelError, match="must hold numbers"):
            row_weights(pd.Series({"A": "1", "B": "2", "C": "3"}), X)

    def test_labels_must_be_unique(self, X):
        with pytest.raises(PanelError, match="one value for each asset. Got more for 'A'"):
            industry_codes(pd.Series(["m", "m", "b", "b"], index=["A", "A", "B", "C"]), X)
        pairs = pd.Series(1.0, index=X.index[[0, 0, 1]])
        with pytest.raises(PanelError, match="weight must have one row for each"):
            row_weights(pairs, X)

    def test_index_of_dates_is_no_index_of_assets(self, X):
        with pytest.raises(PanelError, match="industry must be indexed by asset.* named 'date'"):
            industry_codes(pd.Series(["m"], index=pd.Index([1], name="date")), X)

    def test_rows_without_labels_are_refused(self, X, by_asset):
        scaler = CrossSectionalStandardScaler(industry=by_asset)
        for method in (scaler.fit, scaler.transform):
            with pytest.raises(PanelError, match="'industry' is looked up by the labels of X.* Got a ndarray"):
                method(X.to_numpy())
        with pytest.raises(PanelError, match="Got a DataFrame with the levels 'date'"):
            scaler.fit(X.droplevel("asset"))
        pairs = pd.Series(1.0, index=X.index)
        with pytest.raises(PanelError, match=r"indexed by \(date, asset\), and X must be too"):
            CrossSectionalStandardScaler(weight=pairs).fit(X.iloc[:3].droplevel("date"))
