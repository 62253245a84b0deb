"""Scores of speech that was turned into singing."""

from vctool.evaluation.inputs import Input

INPUTS = (
    Input("reference", "Real singing, of any words."),
    Input("source", "The speech that was converted."),
    Input("accomp", "Accompaniments, called like the speech and the reference.", required=False),
)
