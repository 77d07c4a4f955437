"""The compiled ways of this adapter, where they could be built (see `obs_middleware.native`)."""

from __future__ import annotations

from obs_middleware import Exchange, RequestInfo
from obs_middleware.exchange import CARRIED_AS
from obs_middleware.native import Native

asgi = Native("obs_asgi._native")
asgi.laid_out(Exchange)
asgi.laid_out(RequestInfo)
asgi.learn(CARRIED_AS=CARRIED_AS)
