"""The Grafana dashboards as code; `python -m docs.generate.dashboards` writes monitoring/grafana/dashboards."""
