"""Fetch jars with jgo, which jars.py has put on this process's path; what to fetch comes as JSON on standard input."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext, PythonResolver
from requests.exceptions import RequestException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_AT_ONCE = 4
_PATIENCE_SECONDS = 60


def main() -> int:
    """Fetch what is asked for; 1 with the reason on standard error if a jar cannot be had."""
    # Ctrl-C reaches this process and its parent: this one ends at once, the parent says what it means.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    order: dict[str, Any] = json.load(sys.stdin)
    with _Shown(len(order["jars"])) as shown, ThreadPoolExecutor(_AT_ONCE) as pool:
        context = MavenContext(
            PythonResolver(progress_callback=shown.file),
            repo_cache=Path(order["repository"]),
            local_repos=[],
            # None means jgo's own default, as Maven's is.
            remote_repos=order["repositories"],
            timeout=_PATIENCE_SECONDS,
        )

        def fetch(jar: list[str]) -> None:
            group, artifact, version = jar
            file = context.project(group, artifact).at_version(version).artifact().resolve()
            file.rename(Path(order["folder"]) / file.name)
            shown.jar()

        try:
            list(pool.map(fetch, order["jars"]))
        except (RequestException, RuntimeError, OSError) as error:
            pool.shutdown(cancel_futures=True)
            shown.failed(str(error))
            return 1
    return 0


class _Shown:
    """A bar of how many jars have come, with the bytes, on standard error."""

    def __init__(self, jars: int) -> None:
        size = TextColumn("{task.fields[mb]:.1f} MB")
        console = Console(stderr=True, markup=False)
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), size, console=console)
        self._task = self._bar.add_task("Kafka's jars", total=jars, mb=0.0)
        self._bytes = 0

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def jar(self) -> None:
        """One more is there."""
        self._bar.advance(self._task)

    def failed(self, reason: str) -> None:
        """Say why, without the password that a mirror's address may hold."""
        self._bar.console.print(re.sub(r"//[^/@\s]*@", "//…@", reason))

    @contextmanager
    def file(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        """What jgo calls for each file, to be told of its bytes."""

        def more(count: int) -> None:
            self._bytes += count
            self._bar.update(self._task, mb=self._bytes / 1e6)

        yield more


if __name__ == "__main__":
    sys.exit(main())
