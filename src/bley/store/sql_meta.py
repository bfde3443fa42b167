"""The table `meta`: the version of the schema, and values that all nodes share."""

import sqlalchemy as sa

from bley.core.errors import StoreError
from bley.store.dialects import Dialect
from bley.store.sql_schema import VERSION, meta

__all__ = ["SqlMeta"]


class SqlMeta:
    """Values by name; 0 stands for a value that was never set."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        insert = dialect.insert(meta)
        self._set = dialect.upsert(insert, {"value": dialect.inserted(insert).value})
        self._add = dialect.upsert(insert, {"value": meta.c.value + dialect.inserted(insert).value})

    def exists(self, connection: sa.Connection) -> bool:
        """Return whether bley has prepared this database."""
        return sa.inspect(connection).has_table(meta.name)

    def get(self, connection: sa.Connection, name: str) -> int:
        """Return the value."""
        return connection.scalar(sa.select(meta.c.value).where(meta.c.name == name)) or 0

    def set(self, connection: sa.Connection, name: str, value: int) -> None:
        """Replace the value."""
        self._dialect.write(connection, self._set, [{"name": name, "value": value}])

    def add(self, connection: sa.Connection, name: str, number: int) -> None:
        """Add to the value in one statement: of two nodes that both find no row, neither would wait for the other's."""
        self._dialect.write(connection, self._add, [{"name": name, "value": number}])

    def version(self, connection: sa.Connection) -> int:
        """Return the version of the schema, 0 if there is none. Raises StoreError if it is newer than this bley."""
        version = self.get(connection, "schema") if self.exists(connection) else 0
        if version > VERSION:
            raise StoreError(
                f"{self._dialect.place}: its schema is {version}, of a newer bley; this bley supports {VERSION}: "
                "upgrade bley"
            )
        return version
