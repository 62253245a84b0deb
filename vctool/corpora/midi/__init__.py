"""From MIDI files to recordings: scores, sound fonts, and FluidSynth."""
