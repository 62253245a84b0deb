"""Errors caused by the user's input or environment, as opposed to bugs.

Every message names the value, the place it came from and the remedy. The command line prints it
as one line and exits with status 2; a traceback always means a bug.
"""


class VctoolError(Exception):
    """A user error, described in one line: value, place, remedy."""


class ConfigError(VctoolError):
    """A recipe, conf file or `--set` names an unknown field or an impossible value."""


class DataError(VctoolError):
    """A data dir, corpus folder or feature dump is missing, inconsistent or unusable."""


class AudioError(DataError):
    """An audio file is missing, empty, truncated, silent where sound is needed, or not audio."""


class CheckpointError(VctoolError):
    """A checkpoint is missing, half written, of another family, or of a changed config."""


class TrainingError(VctoolError):
    """Training cannot go on: losses stay non-finite, or processes and batch do not fit."""


class ClusterError(VctoolError):
    """A Dask cluster cannot be reached, has lost its workers, or runs other versions."""


class Cancelled(VctoolError):
    """A conversion ended because its caller no longer wants it; no mistake, and no output."""

    exit_code = 130


class ExportError(VctoolError):
    """A model cannot be exported, or what was exported is not what it says that it is."""
