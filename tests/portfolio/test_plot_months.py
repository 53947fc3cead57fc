import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.portfolio import MonthlyReturnDisplay, backtest

MONTHS = pd.date_range("2018-11-30", periods=16, freq="ME")


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def returns():
    return pd.Series(np.random.default_rng(0).normal(0.01, 0.05, 16), MONTHS)


def texts(ax):
    return {(round(text.get_position()[1]), text.get_position()[0]): text.get_text() for text in ax.texts}


class TestReferenceValues:
    def test_a_return_stands_in_the_month_after_its_date(self, returns):
        table = MonthlyReturnDisplay.from_returns(returns).to_frame()
        assert table.index.tolist() == [2018, 2019, 2020]
        assert table.loc[2018, "Dec"] == returns["2018-11-30"]
        assert table.loc[2019, "Jan"] == returns["2018-12-31"]
        assert table.loc[2019, "Dec"] == returns["2019-11-30"]
        assert table.loc[2020, "Mar"] == returns["2020-02-29"]
        assert table.drop(columns="Year").notna().to_numpy().sum() == 16

    def test_returns_of_their_own_month_stay_in_it(self, returns):
        table = MonthlyReturnDisplay.from_returns(returns, months_ahead=0).to_frame()
        assert table.loc[2018, "Nov"] == returns.iloc[0]
        assert table.loc[2020, "Feb"] == returns.iloc[-1]

    def test_years_compound_the_months_that_there_are(self, returns):
        table = MonthlyReturnDisplay.from_returns(returns).to_frame()
        assert table.loc[2019, "Year"] == pytest.approx(np.prod(1 + returns.iloc[1:13]) - 1)
        assert table.loc[2018, "Year"] == pytest.approx(returns.iloc[0])

    def test_a_loss_of_more_than_everything_ends_in_ruin(self):
        table = MonthlyReturnDisplay.from_returns(pd.Series([-1.5, -2.5], index=[202001, 202002])).to_frame()
        assert table.loc[2020, "Year"] == -1

    def test_of_a_backtest_the_net_long_short_return_is_shown(self):
        index = pd.MultiIndex.from_product([MONTHS, list("ABCD")], names=["date", "asset"])
        predictions, realised = np.random.default_rng(1).normal(0, 0.1, (2, len(index)))
        result = backtest(pd.Series(predictions, index), pd.Series(realised, index), n_quantiles=2, cost=0.01)
        expected = MonthlyReturnDisplay.from_returns(result.long_short).to_frame()
        pd.testing.assert_frame_equal(MonthlyReturnDisplay.from_returns(result).to_frame(), expected)


class TestProperties:
    @pytest.mark.parametrize(
        "dates",
        [MONTHS.to_period("M"), [int(date.strftime("%Y%m")) for date in MONTHS], [str(date.date()) for date in MONTHS]],
        ids=["Period", "yyyymm", "ISO"],
    )
    def test_all_kinds_of_calendar_dates_give_the_same_table(self, returns, dates):
        expected = MonthlyReturnDisplay.from_returns(returns).to_frame()
        table = MonthlyReturnDisplay.from_returns(returns.set_axis(pd.Index(dates))).to_frame()
        pd.testing.assert_frame_equal(table, expected)

    def test_the_order_of_the_dates_changes_nothing(self, returns):
        expected = MonthlyReturnDisplay.from_returns(returns).to_frame()
        pd.testing.assert_frame_equal(MonthlyReturnDisplay.from_returns(returns[::-1]).to_frame(), expected)

    def test_missing_months_and_years_are_blank(self, ax):
        returns = pd.Series([0.01, 0.02, np.nan, 0.03], index=[201701, 201702, 201703, 201905])
        display = MonthlyReturnDisplay.from_returns(returns).plot(ax)
        table = display.to_frame()
        assert table.index.tolist() == [2017, 2018, 2019]
        assert table.loc[2018].isna().all()
        shown = texts(ax)
        assert [shown[0, month] for month in range(4)] == ["", "1.0", "2.0", ""]
        assert [shown[year, 12.2] for year in range(3)] == ["3.0", "", "3.0"]

    def test_cells_show_the_numbers_on_the_given_axes_and_only_there(self, returns, ax):
        display = MonthlyReturnDisplay.from_returns(returns)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        assert ax.figure.axes == [ax]
        table = display.to_frame()
        cells = np.ma.filled(ax.get_images()[0].get_array(), np.nan)
        np.testing.assert_array_equal(cells, table.drop(columns="Year"))
        worst = int(table.loc[2019].drop("Year").argmin())
        assert texts(ax)[1, worst] == f"−{-100 * table.iloc[1, worst]:.1f}"
        assert [label.get_text() for label in ax.get_xticklabels()] == list(table.columns)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["2018", "2019", "2020"]

    def test_colours_are_centred_at_zero_with_gains_in_blue(self, returns, ax):
        MonthlyReturnDisplay.from_returns(returns).plot(ax)
        image = ax.get_images()[0]
        assert image.get_clim() == (-returns.abs().max(), returns.abs().max())
        red, _, blue, _ = image.to_rgba(0.03)
        assert blue > red

    def test_returns_of_zero_can_be_drawn(self, ax):
        MonthlyReturnDisplay.from_returns(pd.Series([0.0, -0.0], index=[202001, 202002])).plot(ax)
        ax.figure.draw_without_rendering()
        assert [texts(ax)[0, month] for month in (1, 2)] == ["0.0", "0.0"]

    def test_numbers_fit_into_their_cells(self, returns):
        display = MonthlyReturnDisplay.from_returns(10 * returns).plot()
        display.figure_.draw_without_rendering()
        boxes = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        plt.close(display.figure_)

    def test_a_new_figure_grows_with_the_years(self, returns):
        def height(n_years):
            dates = pd.period_range("2000-01", periods=12 * n_years, freq="M")
            figure = MonthlyReturnDisplay.from_returns(pd.Series(0.01, dates)).plot().figure_
            plt.close(figure)
            return figure.get_figheight()

        assert height(40) > height(10) > 3

    def test_the_frame_is_a_copy(self, returns):
        display = MonthlyReturnDisplay.from_returns(returns)
        frame = display.to_frame()
        frame.iloc[0, 11] = 9.0
        assert display.table.iloc[0, 11] == returns.iloc[0]


class TestValidation:
    def test_labels_that_are_no_calendar_dates_are_refused(self):
        with pytest.raises(PanelError, match="must hold dates"):
            MonthlyReturnDisplay.from_returns(pd.Series([0.1, 0.2], index=[1, 2]))

    def test_several_dates_in_one_month_are_refused(self):
        days = pd.Series(0.01, index=pd.date_range("2020-01-01", periods=40))
        with pytest.raises(PanelError, match="one return for each month. Got 40 dates in 2 months. Compound"):
            MonthlyReturnDisplay.from_returns(days)

    def test_returns_of_quarters_are_refused(self):
        quarters = pd.Series(0.01, index=pd.period_range("2020-01", periods=4, freq="Q"))
        with pytest.raises(PanelError, match="must be monthly. Got dates at least 3 months apart"):
            MonthlyReturnDisplay.from_returns(quarters)

    def test_infinite_returns_are_counted_and_refused(self, returns):
        returns.iloc[3] = np.inf
        with pytest.raises(NonFiniteError, match=r"returns must hold finite numbers or NaN.* 1 of 16 values"):
            MonthlyReturnDisplay.from_returns(returns)

    @pytest.mark.parametrize(
        ("wrong", "got"),
        [
            ([0.1, 0.2], "Got list"),
            (pd.Series(dtype=float), "Got an empty Series"),
            (pd.Series([0.1], pd.MultiIndex.from_tuples([(202001, "A")])), "Got a Series indexed by pairs"),
            (pd.Series(["a"], [202001]), "returns must hold numbers. Got Series"),
            (pd.Series([0.1, 0.2], [202001, 202001]), "Got 0 without a date and 1 with a date that occurs before"),
        ],
    )
    def test_other_than_one_return_for_each_date_is_refused(self, wrong, got):
        with pytest.raises(PanelError, match=got):
            MonthlyReturnDisplay.from_returns(wrong)

    def test_a_return_cannot_be_earned_before_its_date(self, returns):
        with pytest.raises(InvalidParameterError, match="months_ahead"):
            MonthlyReturnDisplay.from_returns(returns, months_ahead=-1)

    @pytest.mark.parametrize("value", [np.nan, None])
    def test_nothing_to_draw_is_an_error(self, value, ax):
        table = MonthlyReturnDisplay.from_returns(pd.Series([np.nan], index=[202001])).table
        table = table if value is not None else table.drop(columns="Jan")
        with pytest.raises(PanelError, match="'table' must hold a return and the columns Jan"):
            MonthlyReturnDisplay(table).plot(ax)
