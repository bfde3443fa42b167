"""The errors of a correction, whose texts are for the operator."""

from bley.core.errors import BleyError, StoreError

__all__ = ["CorrectionError", "InvalidEntryError", "NoStoreError", "NotAuditedError"]


class CorrectionError(BleyError):
    """A correction that cannot be made; nothing was changed."""


class InvalidEntryError(CorrectionError):
    """An entry that a list file cannot have."""


class NotAuditedError(CorrectionError):
    """A correction that was made, but that the store did not add to the audit."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(f"the change is made, but the audit has no entry of it: {error}")


class NoStoreError(StoreError):
    """There is no store yet: no bley has run with these settings."""
