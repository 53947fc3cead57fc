"""How well forecasts order the assets of a date, over time."""

import pandas as pd

from skdrfm.metrics import InformationCoefficientDisplay
from skdrfm.report._content import Block, Chart, Section, Table
from skdrfm.report._sections_quiet import without_coverage_warnings
from skdrfm.report._sections_subject import (
    START,
    Absent,
    Part,
    Subject,
    as_rows,
    listed,
    over_dates,
    why_missing,
)

_WINDOW = 12
_FIGURES = {
    "Mean IC": ".4f",
    "ICIR (annualised)": ".2f",
    "Mean rank IC": ".4f",
    "Rank ICIR (annualised)": ".2f",
    "Newey-West t of rank IC": ".2f",
    "R2_oos (pooled)": ".2%",
    "R2_oos (cross-sectional)": ".2%",
    "Dates": ",.0f",
    "Dates without IC": ",.0f",
}
_LABELS = {
    "ICIR (annualised)": "ICIR",
    "Rank ICIR (annualised)": "Rank ICIR",
    "Newey-West t of rank IC": "t of rank IC",
    "R2_oos (pooled)": "R² oos",
    "R2_oos (cross-sectional)": "R² oos, cross-sectional",
}


def forecasts_part(subject: Subject) -> Part:
    """Information coefficients: in sum, by month, and their mean of twelve months."""
    what = "information coefficients over time"
    if subject.forecasts is None or subject.study is None:
        return Part(None, (Absent(what, "backtests hold no forecasts"),))
    frames = {}
    with without_coverage_warnings():  # the table counts these dates
        for name, result in subject.study.results.items():
            display = InformationCoefficientDisplay.from_predictions(
                subject.study.realised, result.predictions, window=_WINDOW
            )
            frames[str(name)] = display.to_frame()
    by_date = pd.DataFrame({name: frame["information_coefficient"] for name, frame in frames.items()})
    rolling = pd.DataFrame({name: frame["rolling_mean"] for name, frame in frames.items()})
    blocks: list[Block] = [_table(subject.forecasts)]
    absent = []
    if by_date.notna().any(axis=None):
        blocks.append(_by_month(by_date))
    else:
        absent.append(Absent("the rank IC of each month", "no month has one"))
    too_few = [name for name in rolling if rolling[name].isna().all()]
    if too_few:
        because = f"it needs {_WINDOW} months with a rank IC"
        absent.append(Absent(f"the {_WINDOW}-month mean of the rank IC of {listed(too_few)}", because))
    if len(too_few) < rolling.shape[1]:
        blocks.append(
            Chart(
                caption=f"Rank IC, mean of the last {_WINDOW} months with one",
                frame=over_dates(rolling.drop(columns=too_few)),
                x_label="Date of prediction",
                y_label="Mean rank IC [correlation]",
                y_format=".3f",
                reference=0.0,
                reading="A line that stays above 0 is steadier evidence than a high mean.",
            )
        )
    return Part(Section("Information coefficients", "information-coefficients", tuple(blocks)), tuple(absent))


def _table(forecasts: pd.DataFrame) -> Table:
    frame = forecasts[list(_FIGURES)].rename(columns=_LABELS)
    two = "needs two months with an IC, and ICs that differ"
    one = "needs a month with at least three assets whose forecasts, and returns, differ"
    reasons = {"Mean IC": one, "Mean rank IC": one} | dict.fromkeys(("ICIR", "Rank ICIR", "t of rank IC"), two)
    reasons["R² oos, cross-sectional"] = "needs returns that differ between the assets of a month"
    return Table(
        caption="How well forecasts order the assets of a month: correlations of forecast and return (IC), of their "
        "ranks (rank IC), and R² out of sample",
        frame=frame,
        formats={_LABELS.get(name, name): spec for name, spec in _FIGURES.items()},
        best={"Mean rank IC": "max", "Rank ICIR": "max"},
        readings={
            "Mean rank IC": "0 is no skill; 0.03 to 0.05 is useful for monthly returns.",
            "Rank ICIR": "Mean rank IC over its standard deviation, times the square root of 12.",
            "R² oos": "Share of squared returns that the forecasts explain, against a forecast of 0.",
            "R² oos, cross-sectional": "The same after the mean of each month is taken from returns and forecasts.",
            "Dates without IC": "Months with fewer than three assets, or with equal forecasts or returns.",
        },
        note=why_missing(frame, reasons),
    )


def _by_month(by_date: pd.DataFrame) -> Chart:
    caption, reading = "Rank IC of each month", "Blank where a month has none."
    if by_date.shape[1] == 1:
        return Chart(
            caption=caption,
            frame=over_dates(by_date),
            kind="bar",
            x_label="Date of prediction",
            y_label="Rank IC [correlation]",
            y_format=".3f",
            reference=0.0,
            reading=f"{START.format(period='month')} {reading}",
        )
    return Chart(
        caption=caption,
        frame=as_rows(by_date),
        kind="heatmap",
        x_label="Date of prediction",
        y_label="Model",
        y_format=".3f",
        reference=0.0,
        reading=f"Rank correlation of forecast and return. {START.format(period='month')} {reading}",
    )
