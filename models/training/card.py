"""The model card: what the model is for, what it was trained on, how good it is and where it ends, in Markdown."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.serving.targets import CONTRACTS, Target
from models.training.forest import TrainingReport


def model_card(report: TrainingReport, digest: str) -> str:
    """The card of a trained model (Mitchell et al., 2019), from its training report and its digest."""
    # The card is Markdown for people and holds nothing but our own numbers and a file's name.
    templates = Environment(
        loader=PackageLoader("models.training"), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    return templates.get_template("MODEL_CARD.md.j2").render(
        report=report,
        digest=digest,
        test=report.test,
        costs=report.costs,
        features=CONTRACTS[report.target],
        drops={found.feature: found for found in report.importance},
        segment_features=CONTRACTS[Target.NOTEBOOK],
    )
