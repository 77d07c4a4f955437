"""The dashboards as code: `python -m monitoring.dashboards` renders them."""
