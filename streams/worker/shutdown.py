"""The way down: every wait on it has a bound, and the last resort ends the process if something hangs all the same."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback

import faust

_log = logging.getLogger(__name__)
# A batch in flight waits for Kafka, which may be away; leaving it half written is what a kill does, which is safe.
FINISH_SECONDS = 10.0
# Offsets that are not committed are read again, so a stop need not wait for them.
COMMIT_SECONDS = 3.0
_SIGNAL_SECONDS = 20.0
_FAILURE_SECONDS = 10.0
_EXIT_CODE = 70


class LastResort:
    """Ends the process some seconds after it was told to end; `step` says what it is at."""

    def __init__(self) -> None:
        self.step = "working"
        self._timer: threading.Timer | None = None

    def after_signal(self) -> None:
        """A signal asked for an orderly end."""
        self._arm(_SIGNAL_SECONDS)

    def after_failure(self) -> None:
        """A batch failed, nothing is left to be finished."""
        self._arm(_FAILURE_SECONDS)

    def _arm(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._end, (seconds,))
            self._timer.daemon = True
            self._timer.start()

    def _end(self, seconds: float) -> None:
        main = sys._current_frames().get(threading.main_thread().ident or 0)
        where = traceback.extract_stack(main)[-1] if main else None
        _log.critical(
            "the worker did not end in %.0f s (%s; main thread at %s); it is ended now, nothing is lost by that",
            seconds,
            self.step,
            f"{where.filename}:{where.lineno}" if where else "its end",
        )
        logging.shutdown()
        os._exit(_EXIT_CODE)


class BoundedWorker(faust.Worker):  # type: ignore[misc]
    """Faust's process, with the last resort from the moment a signal comes, wherever its start or stop may hang."""

    last_resort: LastResort

    def _schedule_shutdown(self, signal: object) -> None:
        self.last_resort.after_signal()
        super()._schedule_shutdown(signal)
