"""The error of a reader of another greylister's records."""

from bley.core.errors import BleyError

__all__ = ["PredecessorError"]


class PredecessorError(BleyError):
    """Records that are missing or cannot be read; the operator must act."""
