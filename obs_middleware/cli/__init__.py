"""The commands of `python -m obs_middleware`; nothing that serves a request imports them."""
