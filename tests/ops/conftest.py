"""Every test of the operators runs on every backend that computes on a CPU."""
import pytest


@pytest.fixture(autouse=True)
def backend(every_backend):
    return every_backend
