"""Scores of one speaker's recordings that were turned into another's."""

from vctool.evaluation.inputs import Input

INPUTS = (
    Input("reference", "Recordings of the target."),
    Input("source", "What was converted."),
    Input("unpaired", "The reference holds other sentences.", required=False, flag=True),
)
