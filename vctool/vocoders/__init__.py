"""Features to waveforms, one vocoder per file."""
