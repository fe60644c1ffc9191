"""Where the time of a worker at work goes: `python -m benchmarks.profile --out docs/performance/profile.svg`.

py-spy samples the whole process, native code included in its Python callers; `--raw` writes the sampled stacks as text.
The worker is the one of this folder, not the compiled one, whose functions have no Python frames to sample.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import RISKMON, kafka_with_topics, progress, publish_all, running
from benchmarks.material import base_events, copies, prepare


def main() -> None:
    """Sample one run, from the first committed records to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--copies", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        with kafka_with_topics(material, 4) as broker:
            published = asyncio.run(publish_all(broker.connection, copies(base_events(), options.copies)))
            with running(replace(RISKMON, code=Path()), broker, material) as at_work:

                async def sample() -> None:
                    async with progress(broker.connection) as seen:
                        await seen.until(published // 5, at_work)
                        command = ["py-spy", "record", "--pid", str(at_work.children[0].pid), "--rate", "200"]
                        command += ["--format", "raw" if options.raw else "flamegraph", "--output", str(options.out)]
                        sampler = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                        await seen.until(published, at_work)
                        sampler.send_signal(2)
                        sampler.wait(60)

                asyncio.run(sample())


if __name__ == "__main__":
    main()
