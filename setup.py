"""With COMPILE_RISKMON=1 the pure core is compiled to C by mypyc, for speed alone (docs/performance.md)."""

import os

from setuptools import setup

CORE = [
    "models/serving/reasons",
    "streams/account/admission",
    "streams/account/billing",
    "streams/account/closing",
    "streams/account/holds",
    "streams/account/ledger",
    "streams/account/memory",
    "streams/account/obligations",
    "streams/account/payments",
    "streams/account/standing",
    "streams/account/status",
    "streams/account/terms",
    "streams/account/tolerance",
    "streams/decide_block",
    "streams/contracts/due_dates",
    "streams/decide",
    "streams/evolve",
    "streams/features",
    "streams/strategy",
]

if os.environ.get("COMPILE_RISKMON") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify([f"{module}.py" for module in CORE], opt_level="3", debug_level="0"))
else:
    setup()
