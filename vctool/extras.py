"""Packages that only some commands need: which extra brings them, told where one is missing."""

from importlib.util import find_spec

from vctool.errors import DataError


def remedy(extra: str) -> str:
    """Say how the packages of an extra of pyproject.toml are installed."""
    file = f"requirements-{extra}.txt"
    return f"install vctool with its extra {extra}, or: pip install -r {file} -c constraints.txt"


def require(package: str, extra: str, purpose: str) -> None:
    """See that a package can be imported, before work begins that needs it.

    Args:
        package: its name for `import`.
        extra: the extra of pyproject.toml that brings it.
        purpose: what it does here, such as `MIDI is read with it`.

    Raises:
        DataError: it is not installed.
    """
    if find_spec(package) is None:
        raise DataError(f"{package}: not installed, and {purpose}; {remedy(extra)}")
