"""Write the dashboards as files, which Grafana is provisioned with."""

from __future__ import annotations

from pathlib import Path

from docs.generate.dashboards.actions import ACTIONS
from docs.generate.dashboards.every_metric import every_metric
from docs.generate.dashboards.models import MODELS
from docs.generate.dashboards.portfolio import PORTFOLIO
from docs.generate.dashboards.stream import STREAM

FOLDER = Path(__file__).parents[3] / "monitoring" / "grafana" / "dashboards"


def dashboard_files() -> dict[str, str]:
    """File name and content of every dashboard."""
    dashboards = (STREAM, PORTFOLIO, MODELS, ACTIONS, every_metric())
    return {f"{each.uid}.json": each.to_json() for each in dashboards}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, content in dashboard_files().items():
        (FOLDER / file).write_text(content)
