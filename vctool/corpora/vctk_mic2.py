"""VCTK 0.92, recorded by the second microphone (Sennheiser MKH 800); see `vctk`.

Speaker p280 was recorded by the first microphone only.
"""

from dataclasses import replace
from pathlib import Path

from vctool.acquisition.report import Report
from vctool.corpora import vctk

INFO = replace(vctk.INFO, shares="vctk", name="vctk_mic2", title="VCTK 0.92 (microphone 2)")

find = vctk.find


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by the same speakers as those of microphone 1.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    return vctk.one_microphone(source, out, INFO, microphone="2", seed=seed, nj=nj)
