"""Scores of vocoders on recordings' own features (copy-synthesis)."""

from vctool.evaluation.inputs import Input

INPUTS = (Input("reference", "What a vocoder was given the features of."),)
