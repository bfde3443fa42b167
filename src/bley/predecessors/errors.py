"""What is raised when another greylister's records cannot be had."""

from bley.core.errors import BleyError

__all__ = ["PredecessorError"]


class PredecessorError(BleyError):
    """There are no such records there, or they cannot be read; the operator must act."""
