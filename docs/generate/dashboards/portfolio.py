"""Portfolio risk: what an early-warning team looks at."""

from __future__ import annotations

from docs.generate.dashboards.panels import Dashboard, Kind, Panel

_WORSE = {"current": "1-29", "1-29": "30-59", "30-59": "60-89", "60-89": "90[+]"}


def _share(bucket: str) -> str:
    return f'sum(riskmon_borrowers{{bucket=~"{bucket}"}}) / sum(riskmon_borrowers{{bucket!="closed"}})'


def _rolled(start: str, end: str) -> str:
    moved = f'sum(increase(riskmon_bucket_rolls_total{{from_bucket="{start}",to_bucket=~"{end}"}}[$__range]))'
    return f'{moved} / sum(increase(riskmon_bucket_rolls_total{{from_bucket="{start}"}}[$__range]))'


PORTFOLIO = Dashboard(
    "riskmon-portfolio",
    "riskmon: portfolio risk",
    "How the borrowers stand: delinquency buckets, strategies, arrears and how borrowers roll between buckets.",
    {
        "At a glance": [
            Panel(
                "Borrowers",
                "Borrowers with an open loan.",
                "short",
                {"open": 'sum(riskmon_borrowers{bucket!="closed"})'},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "30 days and more past due",
                "Share of borrowers with an open loan.",
                "percentunit",
                {"30+": _share("30-59|60-89|90[+]")},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "90 days and more past due",
                "Share of borrowers with an open loan: the default bucket.",
                "percentunit",
                {"90+": _share("90[+]")},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "Arrears",
                "Sum of what is due and unpaid, in currency units.",
                "short",
                {"arrears": "sum(riskmon_arrears_currency_units)"},
                Kind.NUMBER,
                6,
            ),
        ],
        "Buckets and strategies": [
            Panel(
                "Borrowers by delinquency bucket",
                "Days past due of the borrower's worst loan.",
                "short",
                {"{{bucket}}": 'sum by (bucket) (riskmon_borrowers{bucket!="closed"})'},
                Kind.STACK,
            ),
            Panel(
                "Borrowers by strategy",
                "The recovery strategy in force.",
                "short",
                {"{{strategy}}": 'sum by (strategy) (riskmon_borrowers{bucket!="closed"})'},
                Kind.STACK,
            ),
            Panel(
                "Arrears by bucket",
                "Sum of arrears in currency units, by the borrower's bucket.",
                "short",
                {"{{bucket}}": "sum by (bucket) (riskmon_arrears_currency_units)"},
                Kind.STACK,
            ),
            Panel(
                "Borrowers by segment",
                "The kind of borrower by income, loan, instalment, missed payments and days past due.",
                "short",
                {"{{segment}}": "sum by (segment) (riskmon_segment_borrowers)"},
                Kind.STACK,
            ),
            Panel(
                "Bucket and strategy now",
                "Borrowers who are late and still only reminded stand out here.",
                "short",
                {"borrowers": "sum by (bucket, strategy) (riskmon_borrowers) > 0"},
                Kind.TABLE,
                24,
            ),
        ],
        "Roll rates": [
            Panel(
                "Roll forward",
                "Of the borrowers who left a bucket in the range shown, the share that got worse.",
                "percentunit",
                {f"{start} → {end.replace('[+]', '+')}": _rolled(start, end) for start, end in _WORSE.items()},
            ),
            Panel(
                "Roll back",
                "Of the borrowers who left a bucket in the range shown, the share that got current again.",
                "percentunit",
                {f"{start} → current": _rolled(start, "current") for start in [*list(_WORSE)[1:], "90+"]},
            ),
            Panel(
                "Rolls",
                "Borrowers who moved between buckets, in the range shown.",
                "short",
                {"rolls": "sum by (from_bucket, to_bucket) (increase(riskmon_bucket_rolls_total[$__range])) > 0"},
                Kind.TABLE,
                24,
            ),
        ],
    },
    "now-24h",
)
