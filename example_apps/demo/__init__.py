"""Start the four example services, send them real traffic, and show what their telemetry says.

Run it with `python -m example_apps.demo`. `__main__` and `preflight` import nothing that may be missing.
"""
