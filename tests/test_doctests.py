"""The examples in the docstrings of all ops and upsamplers print what they say."""
import doctest
import inspect
import sys

import pytest
import torch

from mmups import ops
from mmups.models import BaseUpsampler, registered_upsamplers, upsamplers

DOCUMENTED = [*(getattr(ops, name) for name in ops.__all__),
              *(getattr(upsamplers, name) for name in upsamplers.__all__),
              *(cls for cls in registered_upsamplers().values()
                if cls.__module__.startswith('mmups.'))]


@pytest.mark.parametrize('documented', dict.fromkeys(DOCUMENTED), ids=lambda x: x.__name__)
def test_example(documented):
    """Methods of classes need no example of their own; ``torch`` counts as imported."""
    names = {**vars(sys.modules[documented.__module__]), 'torch': torch}
    example, = doctest.DocTestFinder(recurse=False).find(documented, documented.__name__,
                                                         globs=names)
    assert example.examples, f'{documented.__name__} has no example'
    report = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not result.failed, ''.join(report)
    if inspect.isclass(documented) and issubclass(documented, BaseUpsampler):
        assert 'torch.Size(' in ''.join(e.want for e in example.examples)
