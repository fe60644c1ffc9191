"""Model quality: do the models still predict."""

from __future__ import annotations

from monitoring.dashboards.panels import Dashboard, Kind, Panel
from monitoring.dashboards.queries import WORKER, rate

_BAD_LABELS = 'riskmon_learner_labels_total{outcome="true"}'

MODELS = Dashboard(
    "riskmon-models",
    "riskmon: model quality",
    "Do the models still predict: losses on outcomes as they become known, learning, and what each worker serves.",
    {
        "Quality": [
            Panel(
                "Log loss",
                "Recent prequential log loss: each prediction was made before its outcome was known. Lower is better.",
                "short",
                {"{{model}}": "max by (model) (riskmon_model_log_loss)"},
            ),
            Panel(
                "Share of the online model",
                "The online model's weight in the blended score; 0 until it is trusted.",
                "percentunit",
                {"{{instance}}": f"riskmon_online_model_weight_ratio{WORKER}"},
            ),
            Panel(
                "Outcomes that were bad",
                "Share of labels that reached 30 days past due: the base rate that the models predict.",
                "percentunit",
                {"bad": f"{rate(_BAD_LABELS)} / {rate('riskmon_learner_labels_total')}"},
            ),
            Panel("Loans scored", "Loans scored by all workers.", "ops", {"scores": rate("riskmon_scores_total")}),
        ],
        "Learning": [
            Panel(
                "Labels",
                "Outcomes that became known, and those the learner took; the lines should lie together.",
                "ops",
                {
                    "published": rate("riskmon_labels_total"),
                    "learnt": rate("riskmon_learner_labels_total"),
                    "repeated": rate("riskmon_learner_repeated_labels_total"),
                },
            ),
            Panel(
                "Labels in the online model served",
                "How far the model is that each worker scores with.",
                "short",
                {"{{instance}}": f"riskmon_online_model_labels{WORKER}"},
            ),
            Panel(
                "Forests in use",
                "Workers by version of the forest; more than one version is a rollout or a mistake.",
                "short",
                {"workers": "count by (version) (riskmon_forest_info == 1)"},
                Kind.TABLE,
                24,
            ),
        ],
    },
    "now-6h",
)
