"""The services: worker, learner and web console. Each runs until a signal ends it."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.command.flags import Bootstrap, ConsolePort, MetricsPort, settings_with
from streams.command.process import log_to_stderr, ready_topics, say, wait_for_signal

if TYPE_CHECKING:
    from models.serving.store import Model
    from streams.config.settings import Settings

app = typer.Typer()
_log = logging.getLogger(__name__)


@app.command()
def worker(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Run a stream worker: events in, state kept, strategy changes out. Start as many as there are partitions."""
    from monitoring.health.health import Health, serving_health
    from streams.kafka.broker_watch import BrokerWatch
    from streams.score import ModelSet
    from streams.worker.app import Worker

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port)
    log_to_stderr(settings)
    health, watch, has_model = Health(), BrokerWatch(settings.kafka), threading.Event()
    health.not_ready_while("model missing", lambda: not has_model.is_set())
    health.not_ready_while("broker away", lambda: watch.away)
    with serving_health(settings, health) as url:
        _log.info("metrics and health at %s", url)
        model = served_model(settings)
        model_set = ModelSet(model.forest, model.segmenter)
        has_model.set()
        running = Worker(settings, model_set, ready_topics(settings, wait=True), watch)
        health.not_ready_while("recovering", lambda: not running.is_loaded)
        longest = settings.stuck_seconds
        health.broken_while("the worker has failed", lambda: running.failed)
        health.broken_while("a batch stands still", lambda: watch.stands_still(running.standing_since, longest))
        health.broken_while("the recovery stands still", lambda: watch.stands_still(running.loading_since, 5 * longest))
        running.run()


@app.command()
def learner(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Run the learner of the online model. A second one stands by until the first is gone."""
    import asyncio

    from monitoring.health.health import Health, serving_health
    from streams.kafka.broker_watch import BrokerWatch
    from streams.learner.app import Learner

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port)
    log_to_stderr(settings)
    health, watch = Health(), BrokerWatch(settings.kafka)
    running = Learner(settings)
    health.not_ready_while("broker away", lambda: watch.away)
    health.not_ready_while("starting", lambda: not running.started)
    health.broken_while(
        "the learner stands still", lambda: watch.stands_still(running.turned_at, settings.stuck_seconds)
    )
    with serving_health(settings, health) as url:
        _log.info("metrics and health at %s", url)
        ready_topics(settings, wait=True)
        asyncio.run(_until_signal(watch, running))


@app.command(name="console")
def web_console(
    bootstrap: Bootstrap = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine a token is needed.")
    ] = None,
    port: ConsolePort = None,
) -> None:
    """Serve the live web console until Ctrl-C. It only reads, and any number may run."""
    from monitoring.console.app import serving_console

    settings = settings_with(bootstrap=bootstrap, console_host=host, console_port=port)
    log_to_stderr(settings)
    with serving_console(settings) as url:
        say(f"the console is at {url}; Ctrl-C stops it")
        wait_for_signal()


def served_model(settings: Settings) -> Model:
    """The model in the settings' folder. Where there is none, and none is pinned, train one first.

    Training happens in a process of its own: what it imports and allocates would stay with the worker for life.
    """
    from models.serving import store

    if not store.exists(settings.forest_dir) and settings.model_sha256 is None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Not a fork: the web server's thread is running.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            child.submit(_train_first, settings).result()
    return store.load(settings.forest_dir, settings.model_sha256)


def _train_first(settings: Settings) -> None:
    from models.training.forest_file import train_first

    train_first(settings, say)


async def _until_signal(*services: Any) -> None:
    import asyncio

    together = asyncio.gather(*(service.run() for service in services))
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, together.cancel)
    try:
        await together
    except asyncio.CancelledError:
        _log.info("stopped")
