"""What serving imports: numpy and our contracts, so that a worker starts fast and small."""

import subprocess
import sys

import pytest

HEAVY = {"pandas", "scipy", "sklearn", "river", "faust", "aiokafka", "pyarrow", "plotly", "prometheus_client"}
MODULES = ("blend", "contenders", "forest", "linear", "reasons", "segments", "soundness", "store", "targets")


@pytest.mark.parametrize(("modules", "more"), [(MODULES, set()), (("store", "forest", "segments"), {"pydantic"})])
def test_serving_imports_nothing_heavy(modules: tuple[str, ...], more: set[str]) -> None:
    imports = "; ".join(f"import models.serving.{name}" for name in modules)
    code = f"import sys; {imports}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "numpy" in loaded
    assert set(loaded) & (HEAVY | more) == set()
