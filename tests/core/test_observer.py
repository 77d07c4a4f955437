"""What a user hands in is checked when the Observer is made."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import ConfigError, Observer, Settings


def test_settings_by_name_and_at_once_are_an_error() -> None:
    with pytest.raises(ConfigError, match="either settings or single ones"):
        Observer(Settings(), service_name="shop", registry=CollectorRegistry())


def test_settings_that_are_none_are_named() -> None:
    wrong: Any = "shop"
    with pytest.raises(ConfigError, match=r"settings must be Settings, got 'shop'.*service_name"):
        Observer(wrong, registry=CollectorRegistry())


@pytest.mark.parametrize("wrong", ["shop", Observer])
def test_observer_that_is_none_is_named(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="observer must be an Observer, got"):
        Observer.given_or_new(wrong, {})


@pytest.mark.parametrize("registry", [3, 0, "REGISTRY", object()])
def test_what_is_no_registry_is_an_error(registry: Any) -> None:
    with pytest.raises(ConfigError, match="registry must be a CollectorRegistry of prometheus-client, got"):
        Observer(registry=registry)
