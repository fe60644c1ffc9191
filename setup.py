"""With COMPILE_RISKMON=1 the pure core is compiled to C by mypyc, for speed alone (docs/performance.md)."""

import os

from setuptools import setup

CORE = ["account", "calendar", "engine", "features", "reasons", "strategy", "watch"]

if os.environ.get("COMPILE_RISKMON") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify([f"streams/{module}.py" for module in CORE], opt_level="3", debug_level="0"))
else:
    setup()
