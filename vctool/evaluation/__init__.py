"""Scores of converted recordings beside their baselines: stage 6 and `vctool evaluate`."""
