"""The errors of a correction, whose texts are for the operator."""

from bley.core.errors import BleyError

__all__ = ["CorrectionError", "InvalidEntryError"]


class CorrectionError(BleyError):
    """A correction that cannot be made. Nothing was changed."""


class InvalidEntryError(CorrectionError):
    """An entry that a list file cannot have."""
