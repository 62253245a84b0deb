"""Direct waveform modification: the source's own wave, with pitch and spectral envelope changed.

Kobayashi and Toda, "sprocket: open-source voice conversion software" (2018), whose DIFFVC filters
the source's wave by the difference between converted and source spectral envelope. Nothing is
synthesised from parameters, so breath, phase and fine structure stay those of a recording. Pitch is
moved on the wave before (`psola`), then the difference is applied (`shaping`).

    changed = modify(wave, rate, hop_length, source_f0, target_f0, gain_db)
"""

from vctool.vocoders.direct.modification import modify

__all__ = ["modify"]
