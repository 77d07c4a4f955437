"""What the dashboards of tokpulse have in common: their variables, and the series that these choose."""

from __future__ import annotations

from monitoring.dashboards.promql import Scope
from monitoring.dashboards.variables import INSTANCE, JOB, SCOPE, instance, job, values

ANY = "tokpulse_api_requests_total"
STORES = Scope((JOB, INSTANCE, 'storeId=~"$store"'))
SERVICE = (job(ANY), instance(ANY))
STORE = values(
    "storeId", "Store", "A shop whose webhooks and widgets these are.", SCOPE.series(ANY), name="store"
)
