"""`riskmon report`: a table of borrowers as one HTML page, and each borrower's strategy as a CSV beside it.

The page follows the notebook's nine steps. It loads nothing from anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from models.serving.arrays import Floats
from models.serving.reasons import top_reasons
from models.training.clustering import HIGH_RISK, SEGMENTS, try_ks
from models.training.costs import Policy
from models.training.forest import TrainedModel, held_out_borrowers
from models.training.notebook import high_risk_flag, loan_rows, not_recovered, train_notebook
from monitoring.report import figures
from producers.tables.check import SNAPSHOT_COLUMNS, Kind
from producers.tables.write import write_csv
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES, ROW_NAMES, columns
from streams.contracts.vocabulary import Segment, Strategy
from streams.strategy import strategy_for

_MOST_ROWS_SHOWN = 1000
_TUKEY = 1.5
_MEANING = {
    Segment.HIGH_INCOME_LOW_RISK: "The most income for the least arrears: a reminder is enough.",
    Segment.BALANCED: "None of the other three stands out: remind, and watch.",
    Segment.MODERATE_INCOME_HIGH_BURDEN: "The instalment takes most of the income: one bad month is enough to slip.",
    Segment.HIGH_LOAN_HIGHER_RISK: "The most missed payments and days past due: act here first.",
}


@dataclass(frozen=True)
class Written:
    """Where the report went."""

    page: Path
    strategies: Path


def write_report(frame: pd.DataFrame, name: str, policy: Policy, seed: int, out: Path) -> Written:
    """Analyse a checked table of `SNAPSHOT_COLUMNS` and write page and CSV; `name` is how the page calls the table.

    Raises `TrainingError` or `ClusteringError` where the table is too small or too uniform for a forest or segments.
    """
    trained = train_notebook(frame, name, policy, seed)
    table = strategy_table(frame, trained, policy)
    out.parent.mkdir(parents=True, exist_ok=True)
    strategies = out.with_name(f"{out.stem}-strategies.csv")
    write_csv(table, strategies)
    out.write_text(_page(frame, name, trained, table, strategies.name, seed))
    return Written(out, strategies)


def strategy_table(frame: pd.DataFrame, trained: TrainedModel, policy: Policy) -> pd.DataFrame:
    """Every borrower's segment, score, strategy and reasons, the highest score first.

    `Part` says whether the forest was fitted on this borrower, or has not seen them.
    """
    rows = loan_rows(frame)
    scores = trained.forest.predict(rows)
    chosen = [strategy_for(score, policy.strategy) for score in scores.tolist()]
    calibration, test = held_out_borrowers(frame["Borrower_ID"].to_numpy(dtype=str))
    table = pd.DataFrame(
        {
            "Borrower_ID": frame["Borrower_ID"],
            "Score": scores.round(4),
            "Strategy": [strategy.value for strategy in chosen],
            "Segment": [segment.value for segment in trained.segmenter.assign(rows)],
            "Days_Past_Due": frame["Days_Past_Due"],
            "Num_Missed_Payments": frame["Num_Missed_Payments"],
            "Monthly_EMI": frame["Monthly_EMI"],
            "Reasons": _reasons(rows, trained, chosen),
            "Part": np.select([calibration, test], ["calibration", "test"], "train"),
        }
    )
    return table.sort_values("Score", ascending=False, kind="stable")


def _reasons(rows: Floats, trained: TrainedModel, chosen: Sequence[Strategy]) -> list[str]:
    """What moved each score most: up, or down for who is only reminded."""
    at = columns(NOTEBOOK_FEATURE_NAMES)
    full, parts = np.zeros((2, len(rows), len(ROW_NAMES)))
    full[:, at] = rows
    parts[:, at] = trained.forest.contributions(rows)[1]
    explained = zip(full.tolist(), parts.tolist(), chosen, strict=True)
    return [
        "; ".join(reason.text for reason in top_reasons(row, part, risk_fell=strategy is Strategy.REMINDER, most=2))
        for row, part, strategy in explained
    ]


def _page(
    frame: pd.DataFrame, name: str, trained: TrainedModel, table: pd.DataFrame, strategies: str, seed: int
) -> str:
    templates = Environment(
        loader=PackageLoader("monitoring.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["words"] = figures.words
    rows = loan_rows(frame)
    segments = trained.segmenter.assign(rows)
    _, test = held_out_borrowers(frame["Borrower_ID"].to_numpy(dtype=str))
    flag = high_risk_flag(trained.segmenter, rows)
    unrecovered = not_recovered(frame)
    trials = try_ks(rows, seed)
    counts = Counter(table["Strategy"])
    numbers = [column for column, kind in SNAPSHOT_COLUMNS.items() if kind in (Kind.NUMBER, Kind.COUNT)]
    report = trained.report
    pictures = {
        "distributions": figures.histograms(frame, numbers),
        "history": figures.outcome_by_history(frame),
        "income": figures.income_and_recovery(frame, unrecovered),
        "choice_of_k": figures.choice_of_k(trials),
        "segment_map": figures.segment_map(rows, segments),
        "discrimination": figures.discrimination(flag[test], trained.forest.predict(rows[test]), report.test),
        "importance": figures.importance(report.importance),
        "costs": figures.cost_curve(report.costs),
        "fairness": figures.group_rates(report.fairness),
        "strategies": figures.strategies({strategy: counts[strategy.value] for strategy in figures.STRATEGY_COLOUR}),
    }
    return templates.get_template("report.html.j2").render(
        name=name,
        written=datetime.now(UTC),
        plotly=Markup(get_plotlyjs()),
        pictures={key: _drawn(key, figure) for key, figure in pictures.items()},
        borrowers=len(frame),
        columns=_columns(frame),
        numbers=_numbers(frame[numbers]),
        trials=trials,
        k=SEGMENTS,
        high_risk=float(flag.mean()),
        segments=_segments(trained, segments, unrecovered),
        report=report,
        counts={strategy.value: counts[strategy.value] for strategy in figures.STRATEGY_COLOUR},
        table=table.head(_MOST_ROWS_SHOWN).to_dict("records"),
        strategies=strategies,
    )


def _drawn(key: str, figure: go.Figure) -> Markup:
    html = to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        div_id=f"picture-{key}",
        config={"displayModeBar": False, "responsive": True},
    )
    return Markup(html)


def _columns(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": kind.name.lower(),
            "filled": int(frame[name].notna().sum()),
            "different": frame[name].nunique(),
        }
        for name, kind in SNAPSHOT_COLUMNS.items()
    ]


def _numbers(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Descriptive statistics by column, and how many values lie beyond Tukey's fences."""
    described = frame.describe().T
    reach = _TUKEY * (described["75%"] - described["25%"])
    far = (frame < described["25%"] - reach) | (frame > described["75%"] + reach)
    return [
        {"name": name, "far": int(far[name].sum()), **{str(key): float(value) for key, value in row.items()}}
        for name, row in described.iterrows()
    ]


def _segments(
    trained: TrainedModel, segments: Sequence[Segment], unrecovered: NDArray[np.int64]
) -> list[dict[str, Any]]:
    of = np.array([str(segment) for segment in segments])
    return [
        {
            "name": found.name,
            "meaning": _MEANING[found.name],
            "high_risk": found.name in HIGH_RISK,
            "loans": found.loans,
            "typical": found.typical,
            "not_recovered": float(unrecovered[of == found.name].mean()) if found.loans else 0.0,
        }
        for found in trained.report.segments
    ]
