"""Any voice from seconds of it, in real time: the source's own sound under predicted envelopes."""
