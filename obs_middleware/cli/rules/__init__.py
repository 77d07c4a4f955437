"""SLO rules for Prometheus: objectives in, recording rules, burn-rate alerts and their tests out."""
