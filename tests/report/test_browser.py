"""The page in a real browser: drawn, silent, alone, and as wide as the screen."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest

from skdrfm.report._content import Chart, Content, Section, Table, Text
from skdrfm.report._html import render_html

EVIL = "<script>alert(1)</script>"
HEBREW = "\u05d0\u05d1\u05d2 \u05d3\u05d4"
MODELS = ["LSTM", "LSTM+LRP", "DNN", "DNN+LRP", "Linear", "SVR", "Random forest"]
DESCRIPTORS = ["60VOL", "BETA", "SKEW", "ROE", "ROA", "ACCRUALS", "LEVERAGE", "12-1MOM", "1MOM", "60MOM", "PSR", "PER"]


def make_content():
    """All kinds of blocks, seven models, 96 months, and names that try to be more than names."""
    rng = np.random.default_rng(0)
    months = pd.date_range("2007-04-30", periods=96, freq="ME", name="Month")
    returns = pd.DataFrame(rng.normal(0.004, 0.02, (96, 7)), months, MODELS)
    returns.iloc[40:44, 5] = np.nan
    wealth = (1 + returns.fillna(0)).cumprod().where(returns.notna())
    summary = pd.DataFrame(
        {
            "Return [%]": 1200 * returns.mean(),
            "Volatility [%]": 100 * 12**0.5 * returns.std(),
            "Sharpe ratio": 12**0.5 * returns.mean() / returns.std(),
            "MAE": 0.07 + rng.random(7) / 1000,
            "RMSE": 0.1 + rng.random(7) / 1000,
            "Rank IC": rng.normal(0.03, 0.01, 7),
            "R\u00b2 oos [%]": [*rng.normal(0.3, 0.3, 6), np.nan],
        }
    ).rename_axis("Model")
    matrix = pd.DataFrame(rng.normal(0, 1.2, (7, 7)), MODELS, MODELS)
    matrix = matrix - matrix.T
    matrix = matrix.mask(np.eye(7, dtype=bool))
    shares = pd.DataFrame(rng.dirichlet([4, 3, 5, 4, 2], 96), months, ["Risk", "Quality", "Momentum", "Value", "Size"])
    signed = (shares.iloc[:12] - 0.2) / 10
    coverage = pd.DataFrame(np.clip(rng.normal(0.9, 0.06, (12, 96)), 0, 1), DESCRIPTORS, months)
    starts = months - pd.DateOffset(months=60)
    windows = pd.DataFrame(
        {
            "start": [day for pair in zip(starts, months, strict=True) for day in pair],
            "end": [day for pair in zip(months, months + pd.DateOffset(months=1), strict=True) for day in pair],
            "kind": ["Training", "Test"] * 96,
        },
        index=np.repeat(np.arange(1, 97), 2),
    )
    quantiles = pd.DataFrame(rng.normal(0.006, 0.003, (5, 7)), [f"Q{i}" for i in range(1, 6)], MODELS).rename_axis(
        "Quantile"
    )
    names = pd.DataFrame(
        {"Reason": ["ordinary", f"says {EVIL}", "from right to left", "long"], "Weight": [0.25, -0.125, 0.5, np.nan]},
        index=pd.Index(["7203", EVIL, HEBREW, "A name without an end " * 6], name="Asset"),
    )
    odd = pd.DataFrame(rng.normal(0, 1, (30, 3)).cumsum(0), months[:30], [EVIL, HEBREW, "<b>B</b> & %{y} co"])
    lags = pd.DataFrame(rng.dirichlet([5, 3, 2, 2, 1], 3).T, pd.Index([12, 9, 6, 3, 0]), MODELS[:3])
    readings = {
        "Return [%]": "Mean monthly return of the long/short portfolio times 12; 0 is what no skill earns.",
        "Volatility [%]": "Standard deviation of the monthly returns times the square root of 12; lower is calmer.",
        "Sharpe ratio": "Return divided by volatility; a few years cannot tell 0.3 from 0.8.",
        "MAE": "Mean absolute error of the forecasts, averaged over months, in decimal return (0.07 = 7 %).",
        "Rank IC": "Mean monthly rank correlation of forecast and return; 0.03 to 0.05 is useful for monthly data.",
    }
    decimals = dict(zip(summary.columns, [".2f", ".2f", ".2f", ".5f", ".5f", ".4f", ".2f"], strict=True))
    ends = {"Return [%]": "max", "Volatility [%]": "min", "Sharpe ratio": "max", "MAE": "min", "Rank IC": "max"}
    sections = (
        Section(
            "Results",
            "results",
            (
                Text(
                    "Long/short portfolios of the highest and the lowest fifth, after costs of 0.10 % per unit traded."
                ),
                Table(
                    "Figures of this study, April 2007 to March 2015, long/short after costs; the best are marked",
                    summary,
                    decimals,
                    ends,
                    readings,
                    "MAE and RMSE are in decimal return.",
                ),
                Text(
                    "Monthly returns of real stocks can hardly be forecast this well. Believe in a leak first.",
                    "caution",
                ),
            ),
        ),
        Section(
            "Significance",
            "significance",
            (
                Table(
                    "Diebold-Mariano statistics of squared errors, row against column; above 1.96 the column is better",
                    matrix.rename_axis("Model"),
                    dict.fromkeys(MODELS, ".2f"),
                ),
                Chart(
                    "Diebold-Mariano statistics of squared errors, row against column",
                    matrix,
                    "heatmap",
                    y_format=".2f",
                    reference=0.0,
                    reading="Blue: the model of the column is better.",
                ),
            ),
        ),
        Section(
            "Wealth and drawdown",
            "wealth",
            (
                Chart(
                    "Wealth of one unit in each model's long/short portfolio, after costs",
                    wealth,
                    "line",
                    "Month earned",
                    "Wealth, start = 1",
                    ".3f",
                    1.0,
                    "A steady slope speaks for skill, a few jumps for luck.",
                ),
                Chart(
                    "Drawdown from the highest wealth so far",
                    wealth / wealth.cummax() - 1,
                    "line",
                    "Month earned",
                    "Drawdown",
                    ".1%",
                    0.0,
                ),
            ),
        ),
        Section(
            "Quantiles",
            "quantiles",
            (
                Chart(
                    "Mean monthly return by quantile of the forecast",
                    quantiles,
                    "bar",
                    "Quantile, 5 is highest",
                    "Return per month",
                    ".2%",
                    0.0,
                    "Skill shows as steps that rise from left to right.",
                ),
            ),
        ),
        Section(
            "What drives the forecasts",
            "drivers",
            (
                Chart(
                    "Shares of factor groups in the contributions of the highest fifth, LSTM+LRP",
                    shares,
                    "stacked",
                    "Month of forecast",
                    "Share of contributions",
                    ".1%",
                ),
                Chart(
                    "Signed contributions of factor groups, first twelve months",
                    signed,
                    "stacked",
                    "Month of forecast",
                    "Contribution to the forecast",
                    ".2%",
                    0.0,
                ),
                Chart("Relevance by lag", lags, "bar", "Lag, months", "Share", ".1%"),
            ),
        ),
        Section(
            "Windows and coverage",
            "windows",
            (
                Chart("Training and test months of each window", windows, "spans", "Month", "Window"),
                Chart("Share of stocks with a value of each descriptor", coverage, "heatmap", "Month", "", ".0%"),
            ),
        ),
        Section(
            "Names",
            "names",
            (
                Text(f"The assets {EVIL} and {HEBREW} 12.5 % are names like others."),
                Table("Assets with odd names", names, {"Weight": ".1%"}),
                Chart(f"Sums for {EVIL}", odd, "line", "Month", "Sum", ".2f", 0.0),
                Chart("One figure", odd.iloc[:1, :1], "line", "Month", "Sum", ".2f"),
                Chart("No figures", odd.iloc[:4] * np.nan, "line", "Month", "Sum", ".2f"),
            ),
        ),
    )
    manifest = {
        "options": {"train_size": 60, "lags": [0, 3, 6, 9, 12], "models": MODELS, "note": EVIL},
        "data_sha256": "85abf7f112467acd2b16119d1c9131d4a7a03c51ac3ba6ad6fc534c4c331a52d",
        "random_state": 0,
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }
    summary_text = (
        Text(
            "7 models forecast the next month's return of 500 simulated stocks, walked forward from April 2007 to "
            "March 2015: each forecast comes from a model that was trained on the 60 months before it."
        ),
        Text("Simulated panel. These stocks are made up; the figures promise nothing about real ones.", "caution"),
    )
    return Content("Comparison of factor models, walked forward", summary_text, sections, manifest)


class Browser:
    """Headless Chromium, spoken to over a pipe in its DevTools protocol."""

    def __init__(self, program, folder):
        commands, self._write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in os.pipe())
        self._read, answers = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in os.pipe())
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
            "about:blank",
        ]
        quiet = os.open(os.devnull, os.O_RDWR)
        self._process = os.posix_spawn(
            program,
            [program, *options],
            {**os.environ, "HOME": str(folder)},
            setpgroup=0,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
                (os.POSIX_SPAWN_DUP2, quiet, 1),
                (os.POSIX_SPAWN_DUP2, quiet, 2),
            ],
        )
        for fd in (commands, answers, quiet):
            os.close(fd)
        self._buffer, self._number, self._session, self.events = b"", 0, None, []
        self._shown = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._read)
        os.close(self._write)

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _next(self, seconds=120):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], seconds)
            chunk = os.read(self._read, 1 << 20) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def run(self, script):
        """Value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, path, width, *, scheme="light", touch=False, anew=True):
        """Show a page of a width and wait until its charts are drawn; one that is there already, if anew is false."""
        wanted = (path, width, scheme, touch)
        if not anew and self._shown == wanted:
            return
        self.events.clear()
        self._shown = wanted
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=touch)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.documentElement?.dataset.drawn === 'all'")

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
            time.sleep(0.1)

    def named(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    def box(self, selector):
        """Place of an element in the window, scrolled into it: x, y, width, height."""
        return self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
        )

    def point(self, x, y):
        """Move the mouse there, as a person would: from elsewhere."""
        for step in (3, 0):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - step, y=y - step)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)


def find_chromium():
    """Path of the browser; where a check may install it, it does."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "chromium"], check=False, capture_output=True, timeout=600)
        found = shutil.which("chromium")
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    pytest.importorskip("plotly", reason="plotly, which brings plotly.js, is not installed")
    if os.name != "posix":
        pytest.skip("the browser is spoken to over pipes of POSIX")
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on PATH, and it may not be installed here (needs root and CI in the environment)")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory, browser):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(make_content()), encoding="utf-8")
    return path


CHARTS = sum(isinstance(block, Chart) for section in make_content().sections for block in section.blocks)
BOX = "#wealth_chart_1"
LABEL = "document.querySelector('#{} .hoverlayer').textContent"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark"), (400, "light"), (1280, "dark")])
def test_the_page_is_silent_alone_and_no_wider_than_the_screen(browser, path, width, scheme):
    browser.open(path, width, scheme=scheme, touch=width == 400)

    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.documentElement.clientWidth") == width
    assert browser.named("Log.entryAdded") == []
    assert browser.named("Runtime.consoleAPICalled") == []
    assert browser.named("Runtime.exceptionThrown") == []
    assert browser.named("Page.javascriptDialogOpening") == []
    urls = [event["request"]["url"] for event in browser.named("Network.requestWillBeSent")]
    assert [url for url in urls if not url.startswith("data:")] == [path.as_uri()]
    assert browser.run("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0


def test_paper_is_light_and_its_charts_fit(browser, path):
    browser.open(path, 1280, scheme="dark", anew=False)
    ink = f"getComputedStyle(document.querySelector('{BOX} .xtick text')).fill"
    widths = "[...document.querySelectorAll('.chart .main-svg')].map(e => e.getAttribute('width'))"
    browser.run(f"addEventListener('beforeprint', () => {{ window.printed = [{ink}, {widths}]; }})")
    pdf = base64.b64decode(browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])
    assert pdf.startswith(b"%PDF")
    printed_ink, printed_widths = browser.run("window.printed")
    assert printed_ink == "rgb(28, 33, 39)"
    assert set(printed_widths) == {"690"}
    assert browser.run(ink) == "rgb(230, 233, 237)"


def test_wide_tables_scroll_in_their_own_box(browser, path):
    browser.open(path, 400, touch=True, anew=False)
    inner, outer = browser.run(
        "(() => { const e = document.querySelector('#results .scroll'); return [e.scrollWidth, e.clientWidth]; })()"
    )
    assert inner > outer
    assert outer <= 400


def test_each_chart_is_drawn_with_its_series(browser, path):
    browser.open(path, 1280, anew=False)
    drawn = browser.run(
        "[...document.querySelectorAll('.chart')].map(e => [e.data.length,"
        "e.querySelectorAll('.scatterlayer .trace, .barlayer .trace, .heatmaplayer .hm').length])"
    )
    assert len(drawn) == CHARTS
    assert all(wanted == found > 0 for wanted, found in drawn[:-1])
    assert "n/a" in browser.run("[...document.querySelectorAll('.chart')].at(-1).textContent")


@pytest.mark.parametrize(
    ("chart", "place", "words"),
    [
        ("wealth_chart_1", (0.5, 0.4), ["LSTM+LRP", "Random forest", "201"]),
        ("quantiles_chart_1", (0.5, 0.6), ["Q3", "%", "SVR"]),
        ("drivers_chart_1", (0.5, 0.5), ["Momentum", "%"]),
        ("windows_chart_1", (0.5, 0.4), ["Training", " to "]),
        ("windows_chart_2", (0.5, 0.4), ["%"]),
        ("names_chart_1", (0.5, 0.5), [EVIL, HEBREW, "<b>B</b> & %{y} co"]),
    ],
)
def test_pointing_shows_a_label(browser, path, chart, place, words):
    browser.open(path, 1280, anew=False)
    x, y, width, height = browser.box(f"#{chart}")
    browser.point(x + place[0] * width, y + place[1] * height)
    browser.wait(f"{LABEL.format(chart)}.length > 0")
    label = browser.run(LABEL.format(chart))
    assert all(word in label for word in words), label


def test_dragging_zooms_and_a_key_shows_all_again(browser, path):
    browser.open(path, 1280, anew=False)
    span = f"document.querySelector('{BOX}').layout.xaxis.range.map(Date.parse).reduce((a, b) => b - a)"
    before = browser.run(span)
    x, y, width, height = browser.box(BOX)
    mouse = {"button": "left", "clickCount": 1, "y": y + height / 2}
    browser.call("Input.dispatchMouseEvent", type="mousePressed", x=x + width * 0.4, **mouse)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + width * 0.5, buttons=1, **mouse)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + width * 0.6, buttons=1, **mouse)
    browser.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + width * 0.6, **mouse)
    browser.wait(f"{span} < {before / 2}")
    browser.run(f"document.querySelector('{BOX}').focus()")
    browser.press("0")
    browser.wait(f"{span} === {before}")


def test_arrow_keys_walk_through_points_and_say_them(browser, path):
    browser.open(path, 1280, anew=False)
    browser.run(f"document.querySelector('{BOX}').focus()")
    browser.press("ArrowRight")
    browser.wait("document.getElementById('page_said').textContent.includes('Apr 2007')")
    browser.press("End")
    browser.wait("document.getElementById('page_said').textContent.includes('Mar 2015')")
    said = browser.run("document.getElementById('page_said').textContent")
    assert all(model in said for model in MODELS)


def test_arrow_keys_walk_through_the_cells_of_a_heatmap(browser, path):
    browser.open(path, 1280, anew=False)
    browser.run("document.querySelector('#windows_chart_2').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    browser.wait("document.getElementById('page_said').textContent.startsWith('BETA, Apr 2007, ')")


def test_no_button_of_a_chart_sends_it_anywhere(browser, path):
    browser.open(path, 1280, anew=False)
    titles = browser.run("[...new Set([...document.querySelectorAll('.modebar-btn')].map(e => e.dataset.title))]")
    assert set(titles) == {"Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes", "Download plot as a PNG"}


def test_the_switch_changes_page_and_charts(browser, path):
    browser.open(path, 1280, scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = f"getComputedStyle(document.querySelector('{BOX} .xtick text')).fill"
    light = browser.run(f"[{paper}, {ink}]")
    browser.run("document.getElementById('page_theme').click()")
    dark = browser.run(f"[{paper}, {ink}]")
    assert light == ["rgb(255, 255, 255)", "rgb(28, 33, 39)"]
    assert dark == ["rgb(20, 24, 29)", "rgb(230, 233, 237)"]
    assert browser.run("document.getElementById('page_theme').getAttribute('aria-pressed')") == "true"


def test_the_script_works_without_media_queries_and_observers(browser, path):
    source = (
        "delete window.matchMedia; window.matchMedia = undefined; delete window.IntersectionObserver;"
        "document.addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective));"
    )
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    try:
        browser.open(path, 1280)
        assert browser.named("Runtime.exceptionThrown") == []
        assert browser.named("Runtime.consoleAPICalled") == []
        assert browser.run("document.querySelectorAll('.js-plotly-plot').length") == CHARTS
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_without_its_library_the_page_still_has_its_numbers(browser, path, tmp_path):
    bare = tmp_path / "bare.html"
    page = path.read_text(encoding="utf-8")
    start = page.index("/**\n* plotly.js")
    bare.write_text(page[:start] + page[page.index("</script>", start) :], encoding="utf-8")
    browser.open(bare, 1280)
    assert "could not be drawn" in browser.run(f"document.querySelector('{BOX}').textContent")
    assert browser.run("document.querySelectorAll('#wealth_chart_1_numbers tbody tr').length") == 96
