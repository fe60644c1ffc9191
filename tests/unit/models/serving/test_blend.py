"""The blend of two probabilities."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.serving.blend import combine


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_blend_lies_between_its_models(p_forest: float, p_online: float, share: float) -> None:
    mixed = float(combine(np.array([p_forest]), np.array([p_online]), share)[0])
    assert min(p_forest, p_online) - 1e-12 <= mixed <= max(p_forest, p_online) + 1e-12
