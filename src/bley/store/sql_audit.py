"""The table `audit` (core.history.audit)."""

from collections.abc import Sequence

import sqlalchemy as sa

from bley.core.history.audit import MOST_ENTRIES, AuditEntry
from bley.store.dialects import Dialect
from bley.store.rows import audit_row
from bley.store.sql_schema import audit

__all__ = ["SqlAudit"]


class SqlAudit:
    """The audit in a database of this dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._write, self._insert = dialect.write, dialect.insert(audit)

    def add(self, connection: sa.Connection, entries: Sequence[AuditEntry]) -> None:
        """Insert the entries, and delete those beyond MOST_ENTRIES. Numbers grow, but not always by one."""
        self._write(connection, self._insert, list(map(audit_row, entries)))
        last = connection.scalar(sa.select(sa.func.max(audit.c.id))) or 0
        connection.execute(sa.delete(audit).where(audit.c.id <= last - MOST_ENTRIES))
