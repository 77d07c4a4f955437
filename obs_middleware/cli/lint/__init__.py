"""`lint`: dashboards and rules against the metrics that the code declares."""
