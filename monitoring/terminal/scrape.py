"""Reading a riskmon process's own /metrics, as the terminal view does."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int, token: SecretStr | None) -> Samples:
    """All samples by name and sorted labels; empty while nothing answers there."""
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return {}
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
