"""Four small services, one per framework, that use obs-middleware as its users would."""
