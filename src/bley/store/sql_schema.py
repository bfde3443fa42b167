"""The tables of the SQL engines, the same on all.

`triplets`: one row for each record. Its primary key is (client, sender, recipient); `status` is 0 greylisted, 1 clean,
  2 trusted, and from 3 on a kind of relation (core.relations); `attempts` counts early retries; `cause` is the reason
  of the first deferral.
`verified_domains`: one row for each registered domain of the verified names that a network lately had, at most
  MOST_DOMAINS of a network: a triplet with the network is looked up with these domains too.
`decisions`: one row for each decision: `outcome`, `reason`, the attributes from Postfix, all findings as JSON in
  `details`, the `node` that decided, and the key `mail` by which the attempts of a mail are found.
`counts`: the events in a span of `seconds` that starts at `start`, by kind and name (core.history.statistics).
`audit`: one row for each act of an administrator or of bley itself (core.history.audit).
`meta`: the version of the schema, and values that all nodes share.
`writers`: the last number of each writer, a process (engine.Mark).

Instants are microseconds since 1970-01-01 UTC; `start` is in seconds. Text is UTF-8, compared byte by byte.
"""

import sqlalchemy as sa

from bley.core.triplet import LONGEST_PART
from bley.store.rows import LONGEST_TEXT

__all__ = [
    "DECISION_TEXT",
    "METADATA",
    "VERSION",
    "audit",
    "counts",
    "decisions",
    "meta",
    "triplets",
    "verified_domains",
    "writers",
]

VERSION = 5
"""Version 1 had columns `outcome` and `reason` in `counts`, now `kind` and `name`. Version 2 had no `writers`, and
version 3 no `verified_domains`. Version 4 had no `cause`, `node` and `audit`, and shorter names of counts.
"""

METADATA = sa.MetaData()


def _text(longest: int, charset: str = "utf8mb4") -> sa.Text:
    """Return a type for text that is compared byte by byte, whatever the collation of the database."""
    on_mysql = sa.String(longest, collation=f"{charset}_bin")
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql").with_variant(on_mysql, "mysql", "mariadb")


_SERVERS = ("postgresql", "mysql", "mariadb")
"""The dialects of database servers."""

_Part, _Text, _Word, _Name = _text(LONGEST_PART), _text(LONGEST_TEXT), _text(32, "ascii"), _text(255, "ascii")
_Json = sa.Text().with_variant(sa.Text(2**22 - 1, collation="utf8mb4_bin"), "mysql", "mariadb")  # it makes MEDIUMTEXT
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # the only type that SQLite increments automatically

triplets = sa.Table(
    "triplets",
    METADATA,
    sa.Column("client", _Part, primary_key=True),
    sa.Column("sender", _Part, primary_key=True),
    sa.Column("recipient", _Part, primary_key=True),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("first_seen", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("cause", _Name, nullable=False, server_default=""),
    sa.Index("triplets_by_age", "status", "last_seen"),
    sqlite_with_rowid=False,
)

verified_domains = sa.Table(
    "verified_domains",
    METADATA,
    sa.Column("network", _Part, primary_key=True),
    sa.Column("domain", _Part, primary_key=True),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Index("verified_domains_by_age", "last_seen"),
    sqlite_with_rowid=False,
)

decisions = sa.Table(
    "decisions",
    METADATA,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("outcome", _Word, nullable=False),
    sa.Column("reason", _Word, nullable=False),
    *(
        sa.Column(name, _Text, nullable=False)
        for name in ("client_address", "client_name", "helo_name", "sender", "recipient", "instance", "queue_id")
    ),
    sa.Column("details", _Json, nullable=False),
    sa.Column("node", _Text, nullable=False, server_default=""),
    sa.Column("mail", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("decisions_by_age", "at").ddl_if(dialect=_SERVERS),  # type: ignore[arg-type] # the type lacks tuples
    sa.Index("decisions_by_mail", "mail"),
)

_SEARCHED = (
    *("client_address", "client_name", "helo_name", "sender", "recipient"),
    *("instance", "queue_id", "node", "outcome", "reason"),
)
_is_ascii = " AND ".join(
    f"length(CAST({name} AS BLOB)) = length({name})" for name in ("client_name", "helo_name", "sender", "recipient")
)
DECISION_TEXT: sa.ColumnElement[str | None] = sa.literal_column(
    f"CASE WHEN {_is_ascii} THEN printf('{' '.join(['%s'] * len(_SEARCHED))}', {', '.join(_SEARCHED)}) END", sa.Text
)
"""All texts of a decision that are searched, in the SQL of SQLite; NULL if its names or addresses are not all ASCII."""

sa.Index("decisions_by_text", decisions.c.at, decisions.c.id, DECISION_TEXT).ddl_if(dialect="sqlite")
"""Of SQLite, in place of decisions_by_age: a search reads it instead of the table, which takes a fifth of the time.

A decision takes 147 bytes more, and 5 us of SQLite. The other databases limit the length of a key.
"""

counts = sa.Table(
    "counts",
    METADATA,
    sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", _Word, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("node", _Text, nullable=False),
    sa.Column("kind", _Word, nullable=False),
    sa.Column("who", _Text, nullable=False),
    sa.Column("what", _Json, nullable=False),
    sa.Column("settings", _Json),
    sa.Index("audit_by_age", "at"),
)

meta = sa.Table(
    "meta",
    METADATA,
    sa.Column("name", _Word, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

writers = sa.Table(
    "writers",
    METADATA,
    sa.Column("writer", _Word, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Index("writers_by_age", "number"),
)
