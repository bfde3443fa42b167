"""The statements of the SQL engine, built for each dialect."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bley.core.greylist import MAX_ATTEMPTS, RESTARTING
from bley.store.dialects import Dialect
from bley.store.sql_schema import counts, decisions, triplets, verified_domains

__all__ = ["Statements"]

_t = triplets.c
_KEY = (_t.client, _t.sender, _t.recipient)


class _Greatest(FunctionElement[int]):
    """The greatest of its arguments, `max` on SQLite."""

    inherit_cache = True


class _Least(FunctionElement[int]):
    """The least of its arguments, `min` on SQLite."""

    inherit_cache = True


for _function, _name, _name_on_sqlite in ((_Greatest, "greatest", "max"), (_Least, "least", "min")):

    def _compile(
        element: Any, compiler: Any, _names: tuple[str, str] = (_name, _name_on_sqlite), **options: Any
    ) -> str:
        name = _names[compiler.dialect.name == "sqlite"]
        return f"{name}({compiler.process(element.clauses, **options)})"

    compiles(_function)(_compile)


class Statements:
    """The statements for a database of this dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.delete = sa.delete(triplets).where(*(column == sa.bindparam(column.name) for column in _KEY))
        self.merge = cache(self._merge)
        insert = dialect.insert(triplets)
        new = dialect.inserted(insert)
        # MySQL evaluates assignments in order, so `first_seen`, which `cause` reads, is behind it.
        self.unite = dialect.upsert(
            insert,
            {
                "attempts": _Greatest(_t.attempts, new.attempts),
                "last_seen": _Greatest(_t.last_seen, new.last_seen),
                "cause": _cause(new),
                "first_seen": _Least(_t.first_seen, new.first_seen),
                "status": _Greatest(_t.status, new.status),
            },
        )
        insert = dialect.insert(verified_domains)
        seen = verified_domains.c.last_seen, dialect.inserted(insert).last_seen
        self.learn_domain = dialect.upsert(insert, {"last_seen": _Greatest(*seen)})
        self.add_decision = dialect.insert(decisions)
        insert = dialect.insert(counts)
        self.add_count = dialect.upsert(insert, {"count": counts.c["count"] + dialect.inserted(insert)["count"]})

    def _merge(self, lifetime_microseconds: int) -> sa.Executable:
        """Return core.greylist.merged as one statement.

        The lifetime is a literal: MySQL's driver puts many rows into one statement, which cannot have parameters after
        them. MySQL evaluates assignments in order, so `status` and `first_seen`, which the others read, are last.
        """
        insert = self._dialect.insert(triplets)
        new = self._dialect.inserted(insert)
        lifetime: sa.ColumnElement[int] = sa.literal_column(str(lifetime_microseconds), sa.BigInteger)
        restarting: list[sa.ColumnElement[int]] = [sa.literal_column(str(int(status))) for status in sorted(RESTARTING)]
        is_old = sa.and_(_t.status.in_(restarting), _t.first_seen < new.last_seen - lifetime)

        def unless_old(value: Any, column: str) -> sa.ColumnElement[int]:
            return sa.case((is_old, new[column]), else_=value)

        longest: sa.ColumnElement[int] = sa.literal_column(str(MAX_ATTEMPTS), sa.Integer)
        return self._dialect.upsert(
            insert,
            {
                "attempts": unless_old(_Least(_t.attempts + new.attempts, longest), "attempts"),
                "last_seen": unless_old(_Greatest(_t.last_seen, new.last_seen), "last_seen"),
                "cause": unless_old(_cause(new), "cause"),
                "first_seen": unless_old(_Least(_t.first_seen, new.first_seen), "first_seen"),
                "status": _Greatest(_t.status, new.status),  # a restart keeps GREYLISTED, the lowest, and POOL
            },
        )


def _cause(new: Any) -> sa.ColumnElement[str]:
    """Return the cause of the earlier first attempt; of two at one instant, the greater text."""
    return sa.case(
        (_t.first_seen < new.first_seen, _t.cause),
        (_t.first_seen > new.first_seen, new.cause),
        else_=_Greatest(_t.cause, new.cause),
    )
