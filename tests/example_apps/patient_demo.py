"""The demo, with patience for a machine on which processes stand still for seconds; all else is as it is.

python -m tests.example_apps.patient_demo [--once] [--scenario NAME] [--port-base N]
"""

from __future__ import annotations

import sys

from example_apps.demo import drain, routes, scenario, scenarios, waiting
from example_apps.demo.__main__ import main

waiting.until.__defaults__ = (60.0,)
drain.BEFORE_SECONDS, drain.DRAIN_SECONDS, drain.LONGEST_SECONDS = 4.0, 6.0, 60.0
routes.QUEUE_SECONDS = scenario.END_SECONDS = scenarios.WAIT_SECONDS = 60.0

if __name__ == "__main__":
    sys.exit(main())
