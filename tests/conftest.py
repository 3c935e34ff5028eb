"""What all tests share: names, one thread, a fixed seed, an oracle of bilinear sampling."""
import math
import re

import pytest
import torch
from mmengine.registry import DefaultScope

import mmups.engine  # noqa: F401  finds the hosts' configs, whatever brought the hosts
from mmups.ops import use_backend
from mmups.ops.backend import missing

torch.set_num_threads(1)


def pytest_make_parametrize_id(val):
    """A config is called by its type and its arguments, so that ``-k CARAFE`` finds it."""
    if isinstance(val, dict) and 'type' in val:
        name = getattr(val['type'], '__name__', val['type'])
        return '-'.join([str(name), *(f'{key}={value}' for key, value in val.items()
                                      if key != 'type')])
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """``-k PixelShuffle`` finds ``pixel-shuffle`` and ``pixel_shuffle``, too."""
    for item in items:
        item.extra_keyword_matches.add(re.sub('[-_]', '', item.name))


@pytest.fixture(autouse=True)
def no_default_scope():
    """A runner that a test builds sets the scope of its process; the next test has none."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(autouse=True)
def seed():
    """Every test draws the same numbers, alone or in any order."""
    torch.manual_seed(0)


@pytest.fixture
def bilinear_at():
    """Value of maps (..., h, w) at one real position, the border's beyond the border."""

    def value(maps, row, column):
        h, w = maps.shape[-2:]
        row, column = row.clamp(0, h - 1), column.clamp(0, w - 1)
        top, left = math.floor(row.item()), math.floor(column.item())
        below, right = min(top + 1, h - 1), min(left + 1, w - 1)
        v, u = row - top, column - left
        return ((1 - v) * ((1 - u) * maps[..., top, left] + u * maps[..., top, right])
                + v * ((1 - u) * maps[..., below, left] + u * maps[..., below, right]))

    return value


@pytest.fixture(params=['reference', 'native'])
def every_backend(request):
    """Each backend that computes on a CPU, in force."""
    if reason := missing(request.param):
        pytest.skip(reason)
    with use_backend(request.param):
        yield request.param
