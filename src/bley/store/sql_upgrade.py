"""The upgrade of the tables of an older bley. Rows stay; a column that is added has its default value in them."""

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex

from bley.store.sql_schema import METADATA, counts

__all__ = ["create_or_upgrade_tables"]


def create_or_upgrade_tables(connection: sa.Connection) -> None:
    """Create missing tables, columns and indexes, and widen columns that are too narrow."""
    METADATA.create_all(connection)
    _rename_columns_of_version_1(connection)
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        existing = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
        if not existing.keys() >= set(table.primary_key.columns.keys()):
            continue  # another program's table
        for column in table.columns:
            specification = CreateColumn(column).compile(dialect=connection.dialect)
            if column.name not in existing:
                _alter(connection, table, f"ADD COLUMN {specification}")
            elif _is_too_narrow(existing[column.name], column.type.dialect_impl(connection.dialect)):
                _alter(connection, table, f"MODIFY COLUMN {specification}")  # only MySQL limits the length of texts
        for index in table.indexes:
            _create(connection, index)
    if connection.dialect.name == "sqlite":
        connection.execute(sa.text("DROP INDEX IF EXISTS decisions_by_age"))  # decisions_by_text has replaced it


def _create(connection: sa.Connection, index: sa.Index) -> None:
    """Create the index if it is missing and meant for this database."""
    if connection.dialect.name == "sqlite":  # of which SQLAlchemy cannot reflect an index of an expression
        CreateIndex(index, if_not_exists=True)(index, connection)
    else:
        index.create(connection, checkfirst=True)


def _rename_columns_of_version_1(connection: sa.Connection) -> None:
    existing = {column["name"] for column in sa.inspect(connection).get_columns(counts.name)}
    for old, new in (("outcome", "kind"), ("reason", "name")):
        if old in existing:
            _alter(connection, counts, f"RENAME COLUMN {old} TO {new}")


def _is_too_narrow(existing: sa.types.TypeEngine[object], wanted: sa.types.TypeEngine[object]) -> bool:
    lengths = getattr(existing, "length", None), getattr(wanted, "length", None)
    return lengths[0] is not None and lengths[1] is not None and lengths[0] < lengths[1]


def _alter(connection: sa.Connection, table: sa.Table, change: str) -> None:
    connection.execute(sa.text(f"ALTER TABLE {table.name} {change}"))
