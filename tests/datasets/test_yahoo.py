import json
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd
import pytest

from skdrfm.datasets import _yahoo, _yahoo_request, fetch_yahoo
from skdrfm.exceptions import CoverageWarning, MissingDependencyError, PanelFileError

NAMES = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
START, END = "2020-01-02", "2020-01-10"
DAYS = pd.bdate_range(START, END)


class YFRateLimitError(Exception):
    """As the real one: no OSError, told by its name."""


class YFPricesMissingError(Exception):
    """As the real one; its text holds numbers."""


class YFTzMissingError(Exception):
    """As the real one, which stands for an unknown symbol and for a lost connection."""


def bars_of(ticker):
    rng = np.random.default_rng(sum(map(ord, ticker)))
    close = 100 * np.cumprod(1 + rng.normal(0, 0.02, len(DAYS)))
    table = pd.DataFrame({"Open": close * 0.99, "High": close * 1.01, "Low": close * 0.98, "Close": close}, index=DAYS)
    table["Adj Close"] = close * 0.9
    table["Volume"] = rng.integers(0, 10**9, len(DAYS))
    return table.rename_axis("Date")


def as_json(table):
    days = [str(day.date()) for day in table.index]
    return json.dumps({"columns": list(table), "index": days, "data": table.to_numpy().tolist()}).encode()


class Server:
    """A web server on this machine that answers with bars, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.failures = {}  # statuses to answer with before the bars, by ticker
        self.empty = {"GONE"}
        self.unclear = {}  # how often there is no telling, by ticker
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = {key: value[0] for key, value in parse_qs(urlparse(self.path).query).items()}
                ticker = query["ticker"]
                server.asked.append(query)
                left = server.failures.get(ticker, [])
                status = left.pop(0) if left else 200
                table = bars_of(ticker)
                table = table[(table.index >= query["start"]) & (table.index < query["end"])]
                content = b"" if ticker in server.empty else as_json(table)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content if status == 200 else b"Too Many Requests")

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def tickers(self):
        return [query["ticker"] for query in self.asked]

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def request(server, ticker, start, end):
    url = f"http://127.0.0.1:{server.http.server_port}/?ticker={ticker}&start={start}&end={end}"
    if server.unclear.get(ticker, 0):
        server.unclear[ticker] -= 0.5  # download and history each ask once
        raise YFTzMissingError(f"${ticker}: possibly delisted; no timezone found")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 429:
            raise YFRateLimitError("Too Many Requests. Rate limited. Try after a while.") from None
        raise
    if not content:
        raise YFPricesMissingError(f"${ticker}: possibly delisted; no data for startDate = 1429 429 {start}")
    split = json.loads(content)
    table = pd.DataFrame(split["data"], columns=split["columns"], index=pd.to_datetime(split["index"]))
    return table.rename_axis("Date").astype({"Volume": "int64"})


class FakeYahoo(ModuleType):
    """Behaves as yfinance: download hides errors behind an empty table, history of a ticker raises them."""

    def __init__(self, server, layout="price-ticker", hides_errors=True, change=None):
        super().__init__("yfinance")
        fake = self
        self.server, self.layout, self.hides_errors, self.change = server, layout, hides_errors, change
        self.options = []

        class Ticker:
            def __init__(self, ticker):
                self.ticker = ticker

            def history(self, *, start, end, auto_adjust, actions, raise_errors):
                assert raise_errors
                assert not auto_adjust
                assert not actions
                return request(fake.server, self.ticker, start, end)

        if hides_errors:
            self.Ticker = Ticker

    def download(self, tickers, *, start, end, auto_adjust, actions, threads, progress):
        self.options.append((auto_adjust, actions, threads, progress))
        (ticker,) = tickers
        try:
            table = request(self.server, ticker, start, end)
        except Exception:
            if not self.hides_errors:
                raise
            return pd.DataFrame(columns=NAMES)
        if self.change is not None:
            table = self.change(table)
        if self.layout == "flat":
            return table
        levels = [table.columns, [ticker]] if self.layout == "price-ticker" else [[ticker], table.columns]
        names = ["Price", "Ticker"] if self.layout == "price-ticker" else ["Ticker", "Price"]
        return table.set_axis(pd.MultiIndex.from_product(levels, names=names), axis=1)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits(monkeypatch):
    slept = []
    monkeypatch.setattr(_yahoo_request, "_sleep", slept.append)
    return slept


@pytest.fixture
def install(server, waits, monkeypatch):
    def install(**options):
        fake = FakeYahoo(server, **options)
        monkeypatch.setitem(sys.modules, "yfinance", fake)
        return fake

    return install


def expected_bars(tickers):
    parts = []
    for ticker in tickers:
        table = bars_of(ticker).set_axis(["open", "high", "low", "close", "adj_close", "volume"], axis=1)
        index = pd.MultiIndex.from_product([table.index, [ticker]], names=["date", "asset"])
        parts.append(table.astype("float64").set_axis(index))
    return pd.concat(parts).sort_index()


class TestBars:
    @pytest.mark.parametrize("layout", ["flat", "price-ticker", "ticker-price"])
    def test_every_layout_gives_the_same_canonical_bars(self, install, layout):
        fake = install(layout=layout)
        bars = fetch_yahoo(["MSFT", "AAPL", "7203.T"], START, END)
        pd.testing.assert_frame_equal(
            bars, expected_bars(["AAPL", "MSFT", "7203.T"]), check_index_type=False, check_freq=False, rtol=1e-9
        )
        assert (bars.dtypes == np.float64).all()
        assert bars.index.is_monotonic_increasing
        assert set(fake.options) == {(False, False, False, False)}
        assert bars.attrs["fetch_yahoo"] == {
            "n_rows": 21,
            "empty_bars": 0,
            "fetched": 3,
            "from_cache": 0,
            "missing": {},
        }

    def test_the_last_day_is_included(self, install, server):
        install()
        bars = fetch_yahoo(["AAPL"], date(2020, 1, 3), pd.Timestamp("2020-01-07"))
        assert [str(day.date()) for day, _ in bars.index] == ["2020-01-03", "2020-01-06", "2020-01-07"]
        assert server.asked[0]["start"] == "2020-01-03"
        assert server.asked[0]["end"] == "2020-01-08"

    def test_without_an_end_the_last_day_is_yesterday(self, install, server):
        install()
        before = datetime.now(UTC).date()
        fetch_yahoo(["AAPL"], START)
        assert server.asked[0]["end"] in {str(before), str(before + timedelta(days=1))}

    @pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
    def test_dates_are_those_of_the_exchange(self, install, zone):
        install(change=lambda table: table.tz_localize(zone))
        bars = fetch_yahoo(["AAPL"], START, END)
        assert bars.index.get_level_values("date").tolist() == DAYS.tolist()

    def test_bars_without_any_price_are_left_out_and_counted(self, install):
        def punch(table):
            table = table.astype("float64")
            table.iloc[2, :5] = np.nan
            table.iloc[3, 0] = np.nan
            return table

        install(change=punch)
        bars = fetch_yahoo(["AAPL"], START, END)
        assert bars.attrs["fetch_yahoo"]["empty_bars"] == 1
        assert len(bars) == bars.attrs["fetch_yahoo"]["n_rows"] == 6
        assert bars["open"].isna().sum() == 1

    def test_a_ticker_among_others_in_one_answer_is_picked(self, install, server, monkeypatch):
        fake = install()
        one = fake.download

        def both(tickers, **options):
            return pd.concat([one([ticker], **options) for ticker in ("MSFT", "AAPL")], axis=1)

        monkeypatch.setattr(fake, "download", both)
        bars = fetch_yahoo(["aapl"], START, END)
        np.testing.assert_allclose(bars["close"], bars_of("AAPL")["Close"], rtol=1e-9)
        assert set(bars.index.get_level_values("asset")) == {"aapl"}


class TestRetries:
    @pytest.mark.parametrize("hides_errors", [True, False])
    def test_refused_requests_are_repeated_after_doubled_waits(self, install, server, waits, hides_errors):
        install(hides_errors=hides_errors)
        # Where download hides the error, each try takes two requests.
        server.failures["AAPL"] = [429] * (6 if hides_errors else 3)
        bars = fetch_yahoo(["AAPL"], START, END, wait=0.5)
        assert waits == [0.5, 1.0, 2.0]
        assert len(bars) == 7

    def test_a_passing_fault_of_download_alone_costs_no_wait(self, install, server, waits):
        install()
        server.failures["AAPL"] = [500]
        assert len(fetch_yahoo(["AAPL"], START, END)) == 7
        assert waits == []

    def test_a_symbol_that_yfinance_cannot_place_is_asked_for_again(self, install, server, waits):
        install()
        server.unclear = {"AAA": 2}
        assert len(fetch_yahoo(["AAA"], START, END, wait=0.5)) == len(DAYS)
        assert waits == [0.5, 1.0]

    def test_a_symbol_that_yfinance_never_places_is_missing_and_says_why_it_may_be(self, install, server, waits):
        install()
        server.unclear = {"AAA": 99}
        with pytest.warns(CoverageWarning, match="also says so where there is no connection"):
            bars = fetch_yahoo(["AAA", "BBB"], START, END, retries=3, missing="skip")
        assert set(bars.index.get_level_values("asset")) == {"BBB"}
        assert len(waits) == 3

    def test_after_the_last_retry_the_ticker_is_named(self, install, server, waits):
        install(hides_errors=False)
        server.failures["AAPL"] = [429] * 9
        with pytest.raises(PanelFileError, match="within 3 requests. Got for 'AAPL': YFRateLimitError.*Try later"):
            fetch_yahoo(["AAPL"], START, END, retries=2)
        assert waits == [1.0, 2.0]
        assert len(server.asked) == 3

    @pytest.mark.parametrize(
        ("error", "repeated"),
        [
            (ConnectionResetError("gone"), True),
            (TimeoutError("late"), True),
            (json.JSONDecodeError("Expecting value", "", 0), True),
            (RuntimeError("HTTP 429"), True),
            (RuntimeError("epoch 1429429"), False),
            (urllib.error.HTTPError("http://x", 404, "Not Found", None, None), False),
            (urllib.error.HTTPError("http://x", 429, "Slow down", None, None), True),
            (urllib.error.HTTPError("http://x", 503, "Unavailable", None, None), True),
            (TypeError("unexpected keyword"), False),
        ],
    )
    def test_only_errors_that_may_pass_are_repeated(self, install, waits, monkeypatch, error, repeated):
        fake = install()

        def download(*_, **__):
            raise error

        monkeypatch.setattr(fake, "download", download)
        with pytest.raises(PanelFileError, match="within 2 requests" if repeated else "must answer with bars of 'X'"):
            fetch_yahoo(["X"], START, END, retries=1)
        assert len(waits) == repeated


class TestMissing:
    def test_tickers_without_bars_are_named_together_after_the_others_were_kept(self, install, server, tmp_path):
        server.empty = {"GONE", "DEAD"}
        install()
        message = "Got none for 2 of 3: 'GONE' .YFPricesMissingError: .GONE: possibly delisted.*'DEAD' .*skip"
        with pytest.raises(PanelFileError, match=message):
            fetch_yahoo(["GONE", "AAPL", "DEAD"], START, END, cache=tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["AAPL_2020-01-02_2020-01-10.csv"]

    def test_tickers_without_bars_are_skipped_with_a_warning_when_asked(self, install, waits):
        install()
        with pytest.warns(CoverageWarning, match="1 of 2 tickers are left out.*'GONE'"):
            bars = fetch_yahoo(["GONE", "AAPL"], START, END, missing="skip")
        assert set(bars.index.get_level_values("asset")) == {"AAPL"}
        assert list(bars.attrs["fetch_yahoo"]["missing"]) == ["GONE"]
        assert waits == []

    def test_no_bar_at_all_is_an_error_in_any_case(self, install):
        install()
        with pytest.raises(PanelFileError, match="Got none for 1 of 1"):
            fetch_yahoo(["GONE"], START, END, missing="skip")

    def test_an_empty_answer_without_a_reason_is_missing(self, install, monkeypatch):
        fake = install()
        del fake.Ticker
        monkeypatch.setattr(fake, "download", lambda *_, **__: None)
        with pytest.raises(PanelFileError, match="'AAPL' .an empty answer"):
            fetch_yahoo(["AAPL"], START, END)


class TestCache:
    def test_cached_tickers_make_no_request_and_give_the_same_bits(self, install, server, tmp_path, monkeypatch):
        install()
        first = fetch_yahoo(["AAPL", "BRK-B", "^GSPC"], START, END, cache=tmp_path / "deep" / "folder")
        server.asked.clear()
        monkeypatch.setitem(sys.modules, "yfinance", None)
        second = fetch_yahoo(["AAPL", "BRK-B", "^GSPC"], START, END, cache=tmp_path / "deep" / "folder")
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        assert server.asked == []
        assert second.attrs["fetch_yahoo"]["from_cache"] == 3

    def test_an_interrupted_fetch_goes_on_where_it_stopped(self, install, server, tmp_path):
        install(hides_errors=False)
        server.failures["MSFT"] = [429] * 2
        with pytest.raises(PanelFileError, match="the tickers before it are kept"):
            fetch_yahoo(["AAPL", "MSFT", "IBM"], START, END, cache=tmp_path, retries=1)
        bars = fetch_yahoo(["AAPL", "MSFT", "IBM"], START, END, cache=tmp_path)
        assert server.tickers == ["AAPL", "MSFT", "MSFT", "MSFT", "IBM"]
        assert len(bars) == 21

    def test_another_range_is_fetched_anew(self, install, server, tmp_path):
        install()
        fetch_yahoo(["AAPL"], START, END, cache=tmp_path)
        fetch_yahoo(["AAPL"], START, "2020-01-09", cache=tmp_path)
        assert len(server.asked) == 2

    def test_nothing_is_kept_of_a_faulty_answer(self, install, tmp_path):
        install(change=lambda table: table.drop(columns="Adj Close"))
        with pytest.raises(PanelFileError):
            fetch_yahoo(["AAPL"], START, END, cache=tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "date,open\n2020-01-02,1\n",
            "date,open,high,low,close,adj_close,volume\n",
            "date,open,high,low,close,adj_close,volume\n2020-01-02,1,1,1,1,1,x\n",
            "date,open,high,low,close,adj_close,volume\n2019-01-02,1,1,1,1,1,1\n",
        ],
    )
    def test_a_spoiled_file_is_named(self, install, tmp_path, content):
        install()
        (tmp_path / "AAPL_2020-01-02_2020-01-10.csv").write_text(content)
        with pytest.raises(PanelFileError, match="AAPL_2020-01-02_2020-01-10.csv.*Delete it to fetch it anew"):
            fetch_yahoo(["AAPL"], START, END, cache=tmp_path)


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.drop(columns="Adj Close"), "Missing: 'Adj Close'. Its prices are adjusted in place"),
            (lambda t: t.drop(columns=["Adj Close", "Volume"]), "Missing: 'Adj Close', 'Volume'. Install"),
            (lambda t: t.set_axis(t.index + pd.Timedelta(hours=5)), "must be dated by days. Got 2020-01-02 05:00:00"),
            (lambda t: pd.concat([t, t.iloc[[1]]]), "one row for each day. Got twice: '2020-01-03'"),
            (lambda t: t.set_axis(t.index + pd.Timedelta(days=365)), "must lie between 2020-01-02 and 2020-01-10"),
        ],
    )
    def test_answers_that_are_no_bars_are_refused(self, install, change, message):
        install(change=change)
        with pytest.raises(PanelFileError, match=message):
            fetch_yahoo(["AAPL"], START, END)

    def test_bars_of_other_tickers_only_are_refused(self, install, monkeypatch):
        fake = install()
        one = fake.download

        def others(tickers, **options):
            return pd.concat([one([ticker], **options) for ticker in ("MSFT", "IBM")], axis=1)

        monkeypatch.setattr(fake, "download", others)
        with pytest.raises(PanelFileError, match="The answer for 'AAPL' must have columns of prices"):
            fetch_yahoo(["AAPL"], START, END)

    def test_columns_of_unknown_layout_are_refused(self, install):
        install(layout="flat", change=lambda t: t.set_axis(pd.MultiIndex.from_product([["X"], list("abcdef")]), axis=1))
        with pytest.raises(PanelFileError, match="columns of prices, or of prices and one ticker"):
            fetch_yahoo(["AAPL"], START, END)

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            (("AAPL", START), {}, "must be a list of symbols. Got the text 'AAPL'"),
            (([], START), {}, "'tickers' must be symbols without blanks and commas. Got none"),
            ((["AAPL MSFT"], START), {}, "without blanks and commas. Got 'AAPL MSFT'"),
            ((["AAPL", 7203], START), {}, "Got 7203"),
            ((["AAPL", "aapl"], START), {}, "Got twice: 'AAPL', 'aapl'"),
            ((["AAPL"], "01/02/2020"), {}, "'start' must be a day such as '2020-01-31'"),
            ((["AAPL"], 20200102), {}, "'start' must be a day"),
            ((["AAPL"], pd.NaT), {}, "'start' must be a day"),
            ((["AAPL"], START, "2019-12-31"), {}, "'start' must not be after the last day 2019-12-31"),
            ((["AAPL"], START, "2999-12-31"), {}, "'end' must be a day that has ended"),
            ((["AAPL"], START, END), {"retries": -1}, "'retries' must be an int of at least 0"),
            ((["AAPL"], START, END), {"wait": float("nan")}, "'wait' must be a number of seconds"),
            ((["AAPL"], START, END), {"missing": "drop"}, "'missing' must be 'raise' or 'skip'"),
        ],
    )
    def test_arguments_out_of_range_are_refused_before_any_request(self, install, server, arguments, options, message):
        install()
        with pytest.raises(PanelFileError, match=message):
            fetch_yahoo(*arguments, **options)
        assert server.asked == []

    def test_todays_bar_is_refused(self, monkeypatch, install):
        install()
        monkeypatch.setattr(_yahoo, "_today", lambda: date(2020, 1, 10))
        with pytest.raises(PanelFileError, match="at most 2020-01-09 .UTC.. Got 2020-01-10"):
            fetch_yahoo(["AAPL"], START, END)

    def test_without_yfinance_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "yfinance", None)
        with pytest.raises(MissingDependencyError, match=r"pip install 'skdrfm\[yahoo\]'"):
            fetch_yahoo(["AAPL"], START, END)
