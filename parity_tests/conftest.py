"""What the suites against TFLite Micro share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parity_tests.tflm_child import TFLiteMicro


@pytest.fixture(scope="module")
def oracle() -> Iterator[TFLiteMicro]:
    """Return TFLite Micro in a child process, which is started at its first question."""
    child = TFLiteMicro()
    yield child
    child.close()
