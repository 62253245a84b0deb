"""What `vctool.inference` offers to scripts."""

import subprocess
import sys

import pytest

from vctool import inference
from vctool.models.base import Reference


def test_every_name_is_there_and_nothing_else() -> None:
    assert set(inference._HOMES) == set(inference.__all__)
    for name in set(inference.__all__) - {"Reference"}:
        assert getattr(inference, name).__name__ == name
    assert inference.Reference is Reference
    with pytest.raises(AttributeError, match="no attribute 'convrter'"):
        _ = inference.convrter


def test_naming_the_package_imports_nothing_heavy() -> None:
    code = "import sys, vctool.inference; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
