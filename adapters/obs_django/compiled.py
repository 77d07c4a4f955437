"""The compiled ways of this adapter, where they could be built (see `obs_middleware.native`)."""

from __future__ import annotations

from obs_middleware import Exchange, RequestInfo
from obs_middleware.cgi import request_info
from obs_middleware.exchange import CARRIED_AS
from obs_middleware.native import Native

django = Native("obs_django._native")
django.laid_out(Exchange)
django.laid_out(RequestInfo)
django.learn(CARRIED_AS=CARRIED_AS, request_info=request_info)
