"""Any voice from minutes of its recordings, by nearest frames; nothing is trained."""
