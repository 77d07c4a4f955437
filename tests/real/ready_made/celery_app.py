"""An app of Celery on the broker that `BROKER` names, for a worker in a process of its own."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("tests", broker=os.environ.get("BROKER", "memory://"))
