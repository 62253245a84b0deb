"""Scores of doubles: takes that are to sound beside the leads they belong to."""

from vctool.evaluation.inputs import Input

INPUTS = (
    Input("reference", "The leads that were doubled."),
    Input("second_takes", "Real second takes, called like the leads.", required=False),
)
