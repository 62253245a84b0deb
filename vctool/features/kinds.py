"""What features of an utterance are: arrays by kind."""

import numpy as np

Features = dict[str, np.ndarray]
"""Features of one utterance by kind, each (F, D) float32, all with the same F."""
