"""Optional packages: an error for a missing one names the extra that installs it."""

from importlib.util import find_spec

from vctool.errors import DataError


def remedy(extra: str) -> str:
    """Return how to install the packages of an extra of pyproject.toml."""
    file = f"requirements-{extra}.txt"
    return f"install vctool with its extra {extra}, or: pip install -r {file} -c constraints.txt"


def require(package: str, extra: str, purpose: str) -> None:
    """Check that a package can be imported, before starting work that needs it.

    Args:
        package: its name for `import`.
        extra: the extra of pyproject.toml that installs it.
        purpose: what it is used for, such as `MIDI is read with it`.

    Raises:
        DataError: it is not installed.
    """
    if find_spec(package) is None:
        raise DataError(f"{package}: not installed, and {purpose}; {remedy(extra)}")
