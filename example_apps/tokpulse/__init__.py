"""tokpulse: webhooks and storefront widgets of many shops, on FastAPI."""
