"""What forecasts rest on: groups of descriptors, lags, and whether explainers agree."""

from collections.abc import Mapping

import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.report._content import Block, Chart, Section, Table, Text
from skdrfm.report._sections_quiet import coverage_warnings
from skdrfm.report._sections_subject import Absent, Part, Subject, by_model, listed, over_dates, sentences
from skdrfm.study import StudyResult
from skdrfm.utils._words import plural

_NOT_EXPLAINED = "no model of the study has explanations"
_NO_MODEL = "backtests hold no models to explain"
_COSTS = {
    "microseconds_per_sample": ("Time [µs per row]", ",.1f"),
    "additivity_gap": ("Additivity gap", ".2e"),
    "relative_gap": ("Relative gap", ".2%"),
    "intercept_share": ("Share of the intercept", ".1%"),
    "evaluations": ("Predictions per row", ",.0f"),
}


def contributions_part(subject: Subject) -> Part:
    """Shares and signed contributions of groups of descriptors over time."""
    study = subject.study
    if study is None or not study.contributions:
        because = _NO_MODEL if study is None else _NOT_EXPLAINED
        return Part(None, (Absent("contributions of groups of descriptors", because),))
    blocks: list[Block] = [
        _means(study.contributions, "Mean share of each group in the absolute contributions", ".1%"),
        _means(study.signed_contributions, "Mean contribution of each group, in % of return per month", ".3%"),
    ]
    groups = study.manifest["options"]["groups"]
    blocks.append(Text("Groups: " + "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items()) + "."))
    for name, shares in study.contributions.items():
        blocks.append(
            Chart(
                caption=f"Share of each group in what the forecasts of {name} rest on",
                frame=over_dates(shares),
                kind="stacked",
                x_label="Date of prediction",
                y_label="Share of absolute contributions",
                y_format=".0%",
                reading="The taller an area, the more the group moved the forecasts of the highest portfolio, in "
                "either direction.",
            )
        )
        blocks.append(
            Chart(
                caption=f"Contribution of each group to the forecasts of {name}",
                frame=over_dates(study.signed_contributions[name]),
                x_label="Date of prediction",
                y_label="Contribution [% of return per month]",
                y_format=".2%",
                reference=0.0,
                reading="Mean over the highest portfolio: above 0 a group raised the forecasts.",
            )
        )
    return Part(Section("What the forecasts rest on", "contributions", tuple(blocks)))


def lags_part(subject: Subject) -> Part:
    """Shares of lags over time."""
    by_lag = {} if subject.study is None else subject.study.relevance_by_lag
    if not by_lag:
        because = _NO_MODEL if subject.study is None else _NOT_EXPLAINED
        return Part(None, (Absent("relevance by lag", because),))
    if all(frame.shape[1] < 2 for frame in by_lag.values()):
        return Part(None, (Absent("relevance by lag", "there is one lag only"),))
    frames = {name: frame.set_axis([f"Lag {lag}" for lag in frame.columns], axis=1) for name, frame in by_lag.items()}
    blocks: list[Block] = [
        _means(frames, "Mean share of each lag in the absolute contributions", ".1%", "Lags in months, oldest first.")
    ]
    blocks += [
        Chart(
            caption=f"Share of each lag in what the forecasts of {name} rest on",
            frame=over_dates(frame),
            kind="stacked",
            x_label="Date of prediction",
            y_label="Share of absolute contributions",
            y_format=".0%",
            reading="Lags are months before the date of prediction: lag 0 is what is known at the date itself.",
        )
        for name, frame in frames.items()
    ]
    return Part(Section("Relevance by lag", "lags", tuple(blocks)))


def agreement_part(subject: Subject) -> Part:
    """Whether relevance propagation and other explainers order descriptors alike, and what they cost."""
    what = "agreement of explainers"
    notes: list[str] = []
    comparison = subject.comparison
    agreement: pd.DataFrame | None = None
    costs: pd.DataFrame | None = None
    by, explained = "descriptors", ""
    if comparison is not None:
        with coverage_warnings() as notes:
            try:
                agreement = comparison.agreement("descriptor")
            except PanelError:
                by = "inputs"  # of a model with one descriptor
                agreement = comparison.agreement("cell")
        costs = comparison.summary()
    elif subject.study is not None:
        agreement, costs = subject.study.agreement, subject.study.explainer_costs
        explained = _explained(subject.study)
    if agreement is None:
        because = "explainers were not compared: pass comparison=compare_explainers(...), or evidence=True to run_study"
        return Part(None, (Absent(what, because),))
    agreement = agreement.set_axis([str(name) for name in agreement.columns], axis=1).rename_axis("Method")
    verdict = _lrp_against_shap(agreement, by)
    blocks: list[Block] = [Text(verdict)] if verdict else []
    blocks.append(
        Table(
            caption=f"Rank correlation of relevances by {by} of each pair of explainers, mean over the explained rows"
            f"{explained}",
            frame=agreement,
            formats=dict.fromkeys(agreement.columns, ".3f"),
            note=" ".join(["1: the same order, 0: unrelated, -1: reversed.", *notes]),
        )
    )
    if costs is not None:
        names = [name for name in _COSTS if name in costs.columns]
        blocks.append(
            Table(
                caption="Cost and additivity of the explainers",
                frame=costs[names].rename(columns={name: _COSTS[name][0] for name in names}).rename_axis("Method"),
                formats={_COSTS[name][0]: _COSTS[name][1] for name in names},
                readings={
                    "Time [µs per row]": "Of one run on one machine; it varies from run to run.",
                    "Additivity gap": "Largest difference of a prediction and the sum of its parts, in the unit of the "
                    "prediction.",
                    "Relative gap": "Sum of these differences over the sum of predictions in size.",
                    "Share of the intercept": "What is not put down to inputs.",
                    "Predictions per row": "Of the model, for each explained row; n/a where the method looks inside.",
                },
            )
        )
    return Part(Section("Agreement of explainers", "agreement", tuple(blocks)))


def _explained(study: StudyResult) -> str:
    """Say which rows were explained, where the study knows."""
    found = (study.manifest.get("evidence") or {}).get("explanations") or {}
    if not {"model", "date", "rows_explained"} <= set(found):
        return ""
    date = str(found["date"]).removesuffix(" 00:00:00")
    return f" ({found['model']}, {plural(found['rows_explained'], 'row')} of {date})"


def _lrp_against_shap(agreement: pd.DataFrame, by: str) -> str:
    """Say in one sentence how each relevance rule agrees with each explainer of shap; empty without such a pair."""
    rules = [name for name in agreement.index if str(name).startswith(("lrp", "rudder", "arras"))]
    shap = [name for name in agreement.index if str(name).startswith("shap")]
    pairs = [(rule, other, agreement.loc[rule, other]) for rule in rules for other in shap]
    parts = [f"{value:.2f} for {rule} and {other}" for rule, other, value in pairs if pd.notna(value)]
    return f"Relevance propagation against SHAP: rank correlation by {by} of {listed(parts)}." if parts else ""


def _means(frames: Mapping[str, pd.DataFrame], caption: str, spec: str, note: str = "") -> Table:
    means = by_model({str(name): frame.mean() for name, frame in frames.items()})
    return Table(
        caption,
        means,
        formats=dict.fromkeys(means.columns, spec),
        note=sentences("To the forecasts of the highest portfolio, mean over all dates.", note),
    )
