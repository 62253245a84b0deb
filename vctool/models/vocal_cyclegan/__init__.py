"""Speech and an accompaniment to singing, and back, without paired recordings."""
