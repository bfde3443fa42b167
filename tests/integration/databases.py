"""Real PostgreSQL and MariaDB servers of the tests, and their possible faults.

    with PostgresqlServer(tmp_path) as server, TcpProxy(server.port) as proxy:
        url = proxy.url(server.new_database())
        server.kill()
        server.start()

Each starts in less than a second. It needs root, to run as another user.
"""

import signal
import subprocess
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.integration.database_server import (
    AS_SERVER_USER,
    WAIT_SECONDS,
    Command,
    DatabaseServer,
    RefusedError,
    database_of,
    run_client,
    wait_until,
)
from tests.integration.servers import require
from tests.integration.tcp_proxy import TcpProxy

__all__ = ["MariadbServer", "PostgresqlServer", "RefusedError", "SqlServer", "TcpProxy"]


_MOST_DEADLOCKS = 10


class SqlServer(DatabaseServer):
    """The common parts of PostgreSQL and MariaDB."""

    @abstractmethod
    def sql(self, statement: str, database: str | None = None) -> str:
        """Return the answer to the superuser, who has all rights; raises RefusedError."""

    @abstractmethod
    def session(self, database: str) -> Command:
        """Return the superuser's client, which runs statements from stdin."""

    @abstractmethod
    def lock_statement(self, database: str, readers: bool) -> str:
        """Return the statement that locks all tables of this database until its session ends."""

    @contextmanager
    def lock_tables(self, url: str, *, readers: bool = False) -> Iterator[None]:
        """Hold a lock of another session on every table of this database: writers wait, and optionally `readers`.

        The tables are locked one after the other, so a transaction of bley can make a deadlock, which the server ends.
        """
        database = database_of(url)
        statement = f"{self.lock_statement(database, readers)};\nSELECT 'locked';\n".encode()
        for _ in range(_MOST_DEADLOCKS):
            with subprocess.Popen(self.session(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
                assert holder.stdin
                assert holder.stdout
                holder.stdin.write(statement)
                holder.stdin.flush()
                if holder.stdout.readline() == b"locked\n":
                    yield
                    return
        raise AssertionError("the tables cannot be locked")


def sql_text(text: str) -> str:
    """Return a literal; it has no backslash, which is MariaDB's escape character."""
    assert "\\" not in text
    return "'" + text.replace("'", "''") + "'"


class PostgresqlServer(SqlServer):
    """The newest PostgreSQL of this machine. Clients use the folder of its socket as its host."""

    scheme = "postgresql"
    ready = "database system is ready to accept connections"
    # Fast shutdown: it does not wait for its clients to disconnect.
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
        require(found[-1] if found else "/usr/lib/postgresql/*/bin/postgres", "postgresql")
        self._programs = found[-1].parent
        super().__init__(folder, tls=tls)

    @property
    def socket_path(self) -> Path:
        return self.socket_folder / f".s.PGSQL.{self.port}"

    def prepare(self) -> None:
        options = ("--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8")
        run_client([*AS_SERVER_USER, self._programs / "initdb", *options, "-D", self.data])
        settings: dict[str, object] = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.socket_folder,
            # Only the machine's own crash would show it: what is committed is still handed to the kernel.
            "fsync": "off",
            "full_page_writes": "off",
            # Otherwise files stay in /dev/shm when it is killed.
            "dynamic_shared_memory_type": "mmap",
            "shared_buffers": "16MB",
        }
        if self.tls:
            settings |= {"ssl": "on", "ssl_cert_file": self.certificate_file, "ssl_key_file": self.key_file}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        remote = "hostssl" if self.tls else "host"
        (self.data / "pg_hba.conf").write_text(
            "local all postgres peer map=administrator\n"
            "local all all scram-sha-256\n"
            f"{remote} all all 127.0.0.1/32 scram-sha-256\n"
        )
        (self.data / "pg_ident.conf").write_text("administrator root postgres\n")

    def command(self) -> Command:
        return [self._programs / "postgres", "-D", self.data]

    def create_user(self) -> None:
        self.sql(f"CREATE ROLE {self.user} LOGIN PASSWORD {sql_text(self.password)}")
        self._create(self.database)

    def new_database(self) -> str:
        name = f"{self.database}_{next(self.counter)}"
        self._create(name)
        return self.url_of(name)

    def sql(self, statement: str, database: str | None = None) -> str:
        # It may write while others must not.
        options = "-c default_transaction_read_only=off"
        return run_client([*self.session(database or "postgres"), "-c", statement], PGOPTIONS=options)

    def session(self, database: str) -> Command:
        return [*self._psql(), "-h", self.socket_folder, "-p", str(self.port), "-U", "postgres", "-d", database]

    def ask(self, statement: str, url: str | None = None, seconds: float = WAIT_SECONDS) -> str:
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(self.ca_file)} if self.tls else {"PGSSLMODE": "disable"}
        return run_client([*self._psql(), "-d", url or self.url, "-c", statement], seconds, **tls)

    def set_read_only(self, read_only: bool) -> None:
        wanted = "on" if read_only else "off"
        self.sql(f"ALTER SYSTEM SET default_transaction_read_only = {wanted}")
        self.sql("SELECT pg_reload_conf()")
        # Who sees it connected after the server had told the others.
        show = [*self.session("postgres"), "-c", "SHOW default_transaction_read_only"]
        wait_until(lambda: run_client(show) == wanted, f"default_transaction_read_only = {wanted}")

    def change_password(self, new: str) -> None:
        self.sql(f"ALTER ROLE {self.user} PASSWORD {sql_text(new)}")
        self.password = new
        self.disconnect()

    def disconnect(self) -> None:
        self.sql(f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = '{self.user}'")

    def lock_statement(self, database: str, readers: bool) -> str:
        tables = "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables"
        found = self.sql(f"{tables} WHERE schemaname NOT IN ('pg_catalog', 'information_schema')", database)
        return f"BEGIN; LOCK TABLE {found} IN {'ACCESS ' * readers}EXCLUSIVE MODE"

    def _psql(self) -> Command:
        return [self._programs / "psql", "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]

    def _create(self, database: str) -> None:
        self.sql(f"CREATE DATABASE {database} OWNER {self.user} ENCODING 'UTF8' TEMPLATE template0")


class MariadbServer(SqlServer):
    """A MariaDB whose databases are latin1 unless a client asks for more."""

    scheme = "mysql"
    ready = "ready for connections"

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        require("/usr/sbin/mariadbd", "mariadb-server-core")
        require("mariadb", "mariadb-client-core")
        super().__init__(folder, tls=tls)

    @property
    def socket_path(self) -> Path:
        return self.socket_folder / "mariadb"

    def prepare(self) -> None:
        # At the socket root needs no password.
        root = ("--auth-root-authentication-method=socket", "--auth-root-socket-user=root")
        options = ("--no-defaults", f"--datadir={self.data}", *self._sizes(), "--skip-test-db", "--skip-name-resolve")
        run_client([*AS_SERVER_USER, "mariadb-install-db", *options, *root])

    def command(self) -> Command:
        command = [
            *("/usr/sbin/mariadbd", "--no-defaults", *self._sizes(), f"--datadir={self.data}"),
            *(f"--socket={self.socket_path}", f"--port={self.port}", f"--bind-address={self.host}"),
            *(f"--tmpdir={self.data}", f"--pid-file={self.data}/pid", "--skip-name-resolve"),
            *("--character-set-server=latin1", "--collation-server=latin1_swedish_ci"),
            # Only the machine's own crash would show it: what is committed is still handed to the kernel.
            "--innodb-flush-log-at-trx-commit=2",
        ]
        if self.tls:
            command += [f"--ssl-cert={self.certificate_file}", f"--ssl-key={self.key_file}"]
            command += [f"--ssl-ca={self.ca_file}", "--require-secure-transport"]
        return command

    def create_user(self) -> None:
        self.sql(f"CREATE USER {self.user} IDENTIFIED BY {sql_text(self.password)}")
        self.sql(f"GRANT ALL ON `{self.database}%`.* TO {self.user}")
        self.sql(f"CREATE DATABASE {self.database}")

    def new_database(self) -> str:
        name = f"{self.database}_{next(self.counter)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def sql(self, statement: str, database: str | None = None) -> str:
        return run_client([*self.session(database or "mysql"), f"--execute={statement}"])

    def session(self, database: str) -> Command:
        return [*self._mariadb(), f"--socket={self.socket_path}", "--user=root", database]

    def ask(self, statement: str, url: str | None = None, seconds: float = WAIT_SECONDS) -> str:
        parts = urlsplit(url or self.url)
        place = [f"--host={parts.hostname}", f"--port={parts.port}", f"--user={parts.username}"]
        secret = f"--password={unquote(parts.password or '')}"
        tls = [f"--ssl-ca={self.ca_file}", "--ssl-verify-server-cert"] if self.tls else ["--skip-ssl"]
        command = [*self._mariadb(), *place, secret, *tls, f"--execute={statement}", database_of(url or self.url)]
        return run_client(command, seconds)

    def set_read_only(self, read_only: bool) -> None:
        self.sql(f"SET GLOBAL read_only = {int(read_only)}")

    def change_password(self, new: str) -> None:
        self.sql(f"ALTER USER {self.user} IDENTIFIED BY {sql_text(new)}")
        self.password = new
        self.disconnect()

    def disconnect(self) -> None:
        self.sql(f"KILL USER {self.user}")

    def lock_statement(self, database: str, readers: bool) -> str:
        lock = "WRITE" if readers else "READ"
        tables = f"SELECT GROUP_CONCAT('`', table_name, '` {lock}') FROM information_schema.tables"
        return "LOCK TABLES " + self.sql(f"{tables} WHERE table_schema = '{database}'")

    def _mariadb(self) -> Command:
        return ["mariadb", "--no-defaults", "--batch", "--raw", "--skip-column-names", "--unbuffered"]

    def _sizes(self) -> Command:
        # The default log has 96 MB.
        return ["--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M"]
