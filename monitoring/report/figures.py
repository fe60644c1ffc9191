"""The report's pictures, as Plotly figures; text and lines take the page's colours, dark ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from sklearn.metrics import precision_recall_curve, roc_curve

from models.serving.arrays import Floats
from models.training.clustering import SEGMENTS, KTrial
from models.training.costs import CostReport
from models.training.evaluation import Evaluation, Importance
from models.training.fairness import GroupRates
from streams.contracts.vocabulary import Segment, Strategy

# After Okabe and Ito (2008), whose colours the colour-blind tell apart; the blues a little lighter for dark pages.
BLUE, SKY, ORANGE, VERMILION, GREEN, GREY = "#2f86c9", "#7cc0ec", "#e69f00", "#d55e00", "#009e73", "#8a8f98"
_OUTCOME = {"fully recovered": GREEN, "partially recovered": ORANGE, "written off": VERMILION}
_OTHERS = (BLUE, SKY, GREY, "#cc79a7")
SEGMENT_COLOUR: Mapping[Segment, str] = {
    Segment.HIGH_INCOME_LOW_RISK: GREEN,
    Segment.BALANCED: BLUE,
    Segment.MODERATE_INCOME_HIGH_BURDEN: ORANGE,
    Segment.HIGH_LOAN_HIGHER_RISK: VERMILION,
}
STRATEGY_COLOUR: Mapping[Strategy, str] = {
    Strategy.REMINDER: GREEN,
    Strategy.SETTLEMENT: ORANGE,
    Strategy.RECOVERY: VERMILION,
}
_HEIGHT = 340


def words(name: str) -> str:
    """A code or a column's name for people."""
    return name.replace("_", " ")


def histograms(frame: pd.DataFrame, columns: Sequence[str]) -> go.Figure:
    """How each column is distributed, four in a row."""
    rows = -(-len(columns) // 4)
    figure = make_subplots(rows, 4, subplot_titles=[words(name) for name in columns], vertical_spacing=0.18)
    for at, name in enumerate(columns):
        bars = go.Histogram(x=frame[name], nbinsx=30, marker_color=BLUE, name=words(name))
        figure.add_trace(bars, at // 4 + 1, at % 4 + 1)
    return _styled(figure, rows * 210, legend=False)


def outcome_by_history(frame: pd.DataFrame) -> go.Figure:
    """Shares of outcomes by payment history, and missed payments by outcome."""
    figure = make_subplots(1, 2, subplot_titles=["Outcome by payment history", "Missed payments by outcome"])
    shares = pd.crosstab(frame["Payment_History"], frame["Recovery_Status"], normalize="index")
    for status, colour in _outcome_colours(frame).items():
        figure.add_trace(
            go.Bar(x=shares.index, y=shares[status], name=status, marker_color=colour, legendgroup=status), 1, 1
        )
        missed = frame.loc[frame["Recovery_Status"] == status, "Num_Missed_Payments"]
        figure.add_trace(go.Box(y=missed, name=status, marker_color=colour, legendgroup=status, showlegend=False), 1, 2)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(tickformat=".0%", title="share of borrowers", row=1, col=1)
    figure.update_yaxes(title="missed payments", rangemode="tozero", row=1, col=2)
    return _styled(figure)


def income_and_recovery(frame: pd.DataFrame, not_recovered: NDArray[np.int64]) -> go.Figure:
    """Income by outcome, and the share that was not fully recovered by fifth of income."""
    figure = make_subplots(1, 2, subplot_titles=["Income by outcome", "Not fully recovered, by fifth of income"])
    for status, colour in _outcome_colours(frame).items():
        income = frame.loc[frame["Recovery_Status"] == status, "Monthly_Income"]
        figure.add_trace(go.Box(y=income, name=status, marker_color=colour, showlegend=False), 1, 1)
    fifths = pd.qcut(frame["Monthly_Income"].rank(method="first"), 5, labels=["lowest", "2nd", "3rd", "4th", "highest"])
    rates = pd.Series(not_recovered).groupby(fifths.to_numpy()).mean().reindex(fifths.cat.categories)
    figure.add_trace(
        go.Bar(x=rates.index, y=rates, marker_color=BLUE, name="not fully recovered", showlegend=False), 1, 2
    )
    figure.update_yaxes(title="monthly income", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", row=1, col=2)
    return _styled(figure, legend=False)


def choice_of_k(trials: Sequence[KTrial]) -> go.Figure:
    """Elbow and silhouette for several k; the k in use is marked."""
    figure = make_subplots(
        1, 2, subplot_titles=["Elbow: squared distance to the centres", "Silhouette: higher is better"]
    )
    ks = [trial.k for trial in trials]
    sizes = [14 if k == SEGMENTS else 8 for k in ks]
    colours = [VERMILION if k == SEGMENTS else BLUE for k in ks]
    for column, values in enumerate(
        ([trial.inertia for trial in trials], [trial.silhouette for trial in trials]), start=1
    ):
        line = go.Scatter(
            x=ks, y=values, mode="lines+markers", line_color=BLUE, marker={"size": sizes, "color": colours}
        )
        figure.add_trace(line, 1, column)
    figure.update_xaxes(title="number of clusters k", dtick=1)
    return _styled(figure, legend=False)


def segment_map(rows: Floats, segments: Sequence[Segment]) -> go.Figure:
    """Borrowers by income and loan, coloured by segment, larger with more missed payments."""
    figure = go.Figure()
    of = np.array([str(segment) for segment in segments])
    for segment, colour in SEGMENT_COLOUR.items():
        chosen = rows[of == segment]
        figure.add_trace(
            go.Scatter(
                x=chosen[:, 0],
                y=chosen[:, 1],
                mode="markers",
                name=words(segment),
                marker={"color": colour, "opacity": 0.65, "size": 6 + 2 * np.minimum(chosen[:, 3], 8)},
            )
        )
    figure.update_xaxes(title="monthly income (log scale)", type="log", dtick="D2")
    figure.update_yaxes(title="loan amount (log scale)", type="log", dtick="D2")
    return _styled(figure, 420)


def discrimination(y: NDArray[np.int64], scores: Floats, found: Evaluation) -> go.Figure:
    """ROC, precision and recall, and calibration on the test part."""
    figure = make_subplots(
        1, 3, subplot_titles=[f"ROC (AUC {found.auc:.3f})", f"Precision-recall ({found.pr_auc:.3f})", "Calibration"]
    )
    false_positive, true_positive, _ = roc_curve(y, scores)
    precision, recall, _ = precision_recall_curve(y, scores)
    figure.add_trace(go.Scatter(x=false_positive, y=true_positive, line_color=BLUE), 1, 1)
    figure.add_trace(go.Scatter(x=recall, y=precision, line_color=BLUE), 1, 2)
    predicted = [point.predicted for point in found.calibration]
    observed = [point.observed for point in found.calibration]
    figure.add_trace(go.Scatter(x=predicted, y=observed, mode="lines+markers", line_color=BLUE), 1, 3)
    for column in (1, 3):
        figure.add_trace(
            go.Scatter(x=[0, 1], y=[0, 1], line={"color": GREY, "dash": "dot"}, hoverinfo="skip"), 1, column
        )
    titles = (("false positive rate", "true positive rate"), ("recall", "precision"), ("predicted", "observed"))
    for column, (x, y_title) in enumerate(titles, start=1):
        figure.update_xaxes(title=x, range=[-0.02, 1.02], row=1, col=column)
        figure.update_yaxes(title=y_title, range=[-0.02, 1.04], row=1, col=column)
    return _styled(figure, legend=False)


def importance(found: Sequence[Importance]) -> go.Figure:
    """Permutation importance, the largest on top."""
    ordered = list(reversed(found))
    bars = go.Bar(
        x=[found.auc_drop for found in ordered],
        y=[words(found.feature) for found in ordered],
        error_x={"array": [found.deviation for found in ordered], "color": GREY},
        orientation="h",
        marker_color=BLUE,
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title="fall of AUC when the feature is shuffled")
    return _styled(figure, 110 + 38 * len(ordered), legend=False)


def cost_curve(report: CostReport) -> go.Figure:
    """Cost by threshold, for either step; the thresholds in force and the best ones are marked."""
    figure = go.Figure()
    thresholds = [point.threshold for point in report.curve]
    for name, costs, colour, in_force, best in (
        ("settlement from", [p.as_settlement for p in report.curve], ORANGE, *_both(report, "settlement_from")),
        ("recovery above", [p.as_recovery for p in report.curve], VERMILION, *_both(report, "recovery_above")),
    ):
        figure.add_trace(go.Scatter(x=thresholds, y=costs, name=name, line_color=colour))
        for at, symbol, what in ((in_force, "circle", "in force"), (best, "star", "best")):
            height = costs[int(np.abs(np.array(thresholds) - at).argmin())]
            marker = {"symbol": symbol, "size": 13, "color": colour}
            figure.add_trace(go.Scatter(x=[at], y=[height], mode="markers", marker=marker, name=f"{name}: {what}"))
    reminders = go.Scatter(
        x=[0, 1], y=[report.reminders_only] * 2, line={"color": GREY, "dash": "dot"}, name="reminders only"
    )
    figure.add_trace(reminders)
    figure.update_xaxes(title="threshold", range=[0, 1])
    figure.update_yaxes(title="cost for 1,000 scored loans")
    return _styled(figure, 400)


def group_rates(rates: Sequence[GroupRates]) -> go.Figure:
    """Mean score and action rates by group, with 95 % intervals."""
    figure = go.Figure()
    rates_told = (
        ("mean score", [group.score for group in rates], BLUE, "circle"),
        ("settlement or more", [group.settlement_or_more for group in rates], ORANGE, "diamond"),
        ("recovery", [group.recovery for group in rates], VERMILION, "square"),
        ("bad outcomes", [group.outcome for group in rates], GREY, "x"),
    )
    for at, (name, shares, colour, symbol) in enumerate(rates_told):
        # Four marks to a group, one below the other.
        heights = np.arange(len(rates)) + (at - 1.5) * 0.19
        errors = {
            "array": [share.high - share.value for share in shares],
            "arrayminus": [share.value - share.low for share in shares],
            "color": colour,
            "thickness": 1.3,
            "width": 0,
        }
        marker = {"color": colour, "size": 8, "symbol": symbol}
        values = [share.value for share in shares]
        figure.add_trace(go.Scatter(x=values, y=heights, mode="markers", name=name, marker=marker, error_x=errors))
    labels = [f"{group.attribute}: {group.group} (n={group.borrowers})" for group in rates]
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(tickvals=np.arange(len(rates)), ticktext=labels, range=[len(rates) - 0.4, -0.6], zeroline=False)
    return _styled(figure, 150 + 50 * len(rates))


def strategies(counts: Mapping[Strategy, int]) -> go.Figure:
    """Borrowers by strategy."""
    bars = go.Bar(
        x=[counts[strategy] for strategy in STRATEGY_COLOUR],
        y=[words(strategy) for strategy in STRATEGY_COLOUR],
        text=[f"{counts[strategy]:,}" for strategy in STRATEGY_COLOUR],
        orientation="h",
        marker_color=list(STRATEGY_COLOUR.values()),
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title="borrowers")
    figure.update_yaxes(autorange="reversed")
    return _styled(figure, 220, legend=False)


def _both(report: CostReport, name: str) -> tuple[float, float]:
    return getattr(report.in_force, name), getattr(report.best, name)


def _outcome_colours(frame: pd.DataFrame) -> dict[str, str]:
    others = iter(_OTHERS * 5)
    found = sorted(frame["Recovery_Status"].unique(), key=lambda name: (name.lower() not in _OUTCOME, name))
    return {name: _OUTCOME.get(name.lower()) or next(others) for name in found}


def _styled(figure: go.Figure, height: int = _HEIGHT, *, legend: bool = True) -> go.Figure:
    figure.update_layout(
        height=height,
        showlegend=legend,
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 40, "b": 105 if legend else 65},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"},
        hoverlabel={"bgcolor": "#222831", "font": {"color": "#ffffff"}},
        bargap=0.08,
    )
    figure.update_xaxes(gridcolor="#d0d4da", zerolinecolor="#d0d4da", automargin=True)
    figure.update_yaxes(gridcolor="#d0d4da", zerolinecolor="#d0d4da", automargin=True)
    return figure
