"""A PostgreSQL server of our own: in a temporary folder, on loopback, and gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import psycopg

from tests.serverkit.waiting import until

ACCOUNTS = ("postgres", "nobody")
"""PostgreSQL refuses to run as root: where the tests do, it runs as the first of these that is there."""
_NUMBERS = count(1)


def programs() -> Path:
    """Return the folder of PostgreSQL's programs; fails where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    assert initdb is not None, "PostgreSQL is not installed: scripts/tools.sh installs it (Debian package postgresql)"
    return Path(initdb).parent


class Postgres:
    """One server, which may be stopped and started again."""

    def __init__(self) -> None:
        """Make the cluster and start it."""
        self._bin = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="fairlead-postgres-"))
        self._account: dict[str, object] = {}
        self._emptied: str | None = None
        if os.geteuid() == 0:
            account = next(one for one in map(_account, ACCOUNTS) if one is not None)
            self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._run("initdb", "--username=fairlead", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")
        self.start()

    def start(self) -> None:
        """Start it and return once it takes connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 200,
        }
        flags = " ".join(f"-c {name}={value}" for name, value in options.items())
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder / 'words.log'}", f"--options={flags}")

    def stop(self) -> None:
        """Stop it at once, as if somebody had pulled it from under its clients."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def emptied_database(self) -> str:
        """Return the URL of a database that is empty again: cheaper than a new one, for one user at a time."""
        if self._emptied is None:
            self._emptied = self.new_database()
        with psycopg.connect(self._emptied, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self._emptied

    def close(self) -> None:
        """Stop it and remove everything."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, name: str) -> str:
        return f"postgresql://fairlead@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), f"--pgdata={self._folder / 'data'}", *arguments]
        done = subprocess.run(  # type: ignore[call-overload]
            command,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **self._account,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def wait_until_gone(url: str) -> None:
    """Return once nothing takes connections at `url`."""

    def gone() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return True
        return False

    until(gone, "PostgreSQL is gone")
