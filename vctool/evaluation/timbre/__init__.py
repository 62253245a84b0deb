"""Scores of recordings whose notes are to be heard with the sound of another recording."""

from vctool.evaluation.inputs import Input

INPUTS = (
    Input("reference", "Recordings of the target."),
    Input("source", "What was converted."),
    Input("style", "Recordings whose sound was asked for."),
)
