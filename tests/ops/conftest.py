"""Every test of the operators runs on every backend that computes on a CPU."""
import pytest

from mmups.ops import use_backend
from mmups.ops.backend import missing


@pytest.fixture(params=['reference', 'native'], autouse=True)
def backend(request):
    if reason := missing(request.param):
        pytest.skip(reason)
    with use_backend(request.param):
        yield request.param
