"""Model quality: do the models still predict."""

from __future__ import annotations

from docs.generate.dashboards.panels import Dashboard, Kind, Panel
from docs.generate.dashboards.queries import WORKER, rate

_BAD_LABELS = 'riskmon_learner_labels_total{outcome="true"}'

MODELS = Dashboard(
    "riskmon-models",
    "riskmon: model quality",
    "Do the models still predict: losses on outcomes as they become known, learning, and what each worker serves.",
    {
        "Quality": [
            Panel(
                "Log loss",
                "Over the last 1,000 outcomes, of the predictions made at the time. Lower is better.",
                "short",
                {"{{model}}": "max by (model) (riskmon_model_log_loss)"},
            ),
            Panel(
                "Area under the ROC curve",
                "Over the same outcomes: how well each model ranks borrowers. 0.5 is chance, 1 perfect.",
                "short",
                {"{{model}}": "max by (model) (riskmon_model_auc_ratio)"},
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
        "Drift": [
            Panel(
                "Feature stability",
                "Population stability index of each feature's last month of labels; an alert is raised above 0.25.",
                "short",
                {"{{feature}}": "max by (feature) (riskmon_feature_stability_index_ratio)"},
            ),
            Panel(
                "Drift alerts and changes of champion",
                "What the learner found in the last hour, by model or feature.",
                "short",
                {
                    "{{kind}} {{subject}}": "sum by (kind, subject) (increase(riskmon_drift_alerts_total[1h]))",
                    "champion changed": "sum(increase(riskmon_champion_switches_total[1h]))",
                },
            ),
            Panel(
                "Champion",
                "The online model that is served beside the forest: 1 for the champion.",
                "short",
                {"{{model}}": "max by (model) (riskmon_champion)"},
            ),
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
                "Snapshots not served",
                "Held back, since they would move the scores too far at once, and passed over, since they are stale.",
                "short",
                {
                    "held back {{instance}}": "riskmon_snapshots_held_back",
                    "stale": "sum(increase(riskmon_stale_snapshots_total[1h]))",
                },
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
