"""Every setting: its name, its type, its default and where its value comes from."""

from obs_middleware.settings.fields import Settings

__all__ = ["Settings"]
