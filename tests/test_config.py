"""Settings trees: errors that name the field and not everything around it."""

import pytest

from vctool.config import Config, build
from vctool.errors import ConfigError


class Inner(Config):
    """One field that must be given."""

    rate: int


class Outer(Config):
    """A tree of settings."""

    inner: Inner
    width: int = 1


def test_a_missing_field_is_named_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, {"inner": {}, "width": 12345}, "recipes/x.yaml")
    assert str(caught.value) == "recipes/x.yaml: inner.rate is missing"
