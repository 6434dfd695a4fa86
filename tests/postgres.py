"""A real PostgreSQL of our own: a private cluster in a temporary folder, on a Unix socket, never the system's service."""

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from voice_rl_plugin.learning.postgres import StoreServer

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_NUMBERS = itertools.count()


def find_programs() -> Path | None:
    """Return the folder of the server's programs; None where no server is installed."""
    folders = [Path(found).parent for found in (shutil.which("initdb"),) if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += sorted(Path("/usr").glob("pgsql-*/bin"), reverse=True)
    return next((one for one in folders if all((one / name).is_file() for name in _PROGRAMS)), None)


class PostgresCluster:
    """One cluster, which can be killed and started again; PostgreSQL refuses to run as root, so root lends it another user."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = _other_user() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="voice_rl_pg_", dir="/tmp"))
        """Its own, and short: the name of a Unix socket has at most 107 bytes."""
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", "voice", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\nshared_buffers = 32MB\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash of the server."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop it, and take its files away."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"postgresql://voice@/postgres?host={self.folder}"

    def fresh(self) -> StoreServer:
        """Return the place of a store that is not there yet."""
        return StoreServer(url=self.url, schema=f"home_{next(_NUMBERS)}")

    def _run(self, program: str, *arguments: str) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        subprocess.run(
            [self._programs / program, *arguments], check=True, cwd=self.folder, user=self._user, env=environment, stdout=subprocess.DEVNULL
        )


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresCluster]:
    """Run a cluster for the length of a block."""
    cluster = PostgresCluster(programs)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise OSError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
