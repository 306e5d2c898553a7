"""Transactions, on SQLite and PostgreSQL alike, and what may go wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from fairlead.errors import BadInputError, StoreError

BUSY_MS = 10_000
"""How long a writer waits for another one."""
CONNECT_SECONDS = 5
POOL = 20
WRITER_LOCK = 0x6661_6972
"""PostgreSQL's advisory lock for changes of the desired state."""
_BEGIN = "fairlead_begin"


class now_us(FunctionElement[int]):  # noqa: N801 - it is an SQL function
    """The database's own time in microseconds: the only clock that several processes share."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_us, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    return (
        "(CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000)"
    )


@compiles(now_us, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


@dataclass(frozen=True)
class Transaction:
    """One transaction; `session` is for the modules of this package only."""

    session: Session = field(repr=False)

    @cached_property
    def now_us(self) -> int:
        """The database's time when it was first asked for in this transaction."""
        return int(self.session.execute(select(now_us())).scalar_one())

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.session.get_bind().dialect.name


class Database:
    """A pool of connections. Every method raises `StoreError` where the database does not answer."""

    def __init__(self, url: str) -> None:
        """Take an SQLAlchemy URL (`sqlite:////path`, `postgresql://...`); nothing is connected yet."""
        self._engine = _engine(_url(url))

    @property
    def url(self) -> str:
        """The address, without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    def migrate(self) -> None:
        """Bring the tables to what this version knows; several processes may do it at once."""
        from fairlead.store.state.migrate import upgrade

        with _translated(), self._engine.connect() as connection:
            upgrade(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a transaction that sees one state and changes nothing."""
        with self._transaction("BEGIN", isolation="REPEATABLE READ") as transaction:
            yield transaction

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give a transaction for rows that stand for themselves (reports, leases, deliveries)."""
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def change(self) -> Iterator[Transaction]:
        """Give a transaction that may change the desired state; there is one at a time, over all processes."""
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            _lock_writers(transaction)
            yield transaction

    @contextmanager
    def trial(self) -> Iterator[Transaction]:
        """Give a transaction as `change` does, and take back all that was done in it."""
        with self._transaction("BEGIN IMMEDIATE", keep=False) as transaction:
            _lock_writers(transaction)
            yield transaction

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, begin: str, isolation: str | None = None, *, keep: bool = True) -> Iterator[Transaction]:
        with _translated(), self._engine.connect() as connection:
            options: dict[str, Any] = {_BEGIN: begin}
            if isolation is not None and connection.dialect.name == "postgresql":
                options["isolation_level"] = isolation
            bound = connection.execution_options(**options)
            with bound.begin() as work, Session(bind=bound, autoflush=False) as session:
                yield Transaction(session)
                session.flush()
                if not keep:
                    work.rollback()


def _lock_writers(transaction: Transaction) -> None:
    if transaction.dialect == "postgresql":
        transaction.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})


def _url(text_url: str) -> URL:
    try:
        url = make_url(text_url)
    except ArgumentError:
        raise BadInputError(
            "the database URL cannot be read", hint="sqlite:////path or postgresql://host/name"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise BadInputError(f"no database of kind {url.drivername!r}", hint="sqlite or postgresql")
    return url


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return _postgresql(url)
        engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000}, pool_size=POOL)
    except ModuleNotFoundError as error:
        raise StoreError(f"{error.name} is not installed", hint="pip install 'fairlead[postgres]'") from None
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: URL) -> Engine:
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "fairlead",
        # A server that is gone without a word must not hold a request for minutes.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "options": "-c statement_timeout=30000 -c lock_timeout=15000 -c idle_in_transaction_session_timeout=60000",
    }
    return create_engine(url, connect_args=arguments, pool_size=POOL, max_overflow=POOL, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so (`_begin_sqlite`)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what says that the database is away, or too busy, into `StoreError`."""
    try:
        yield
    except PoolTimeoutError:
        raise _away("all connections are in use") from None
    except (OperationalError, InterfaceError) as error:
        raise _away(_first_line(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _away(_first_line(error)) from error
        raise


def _away(why: str) -> StoreError:
    return StoreError(f"the state database does not answer: {why}", code="database_unavailable")


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
