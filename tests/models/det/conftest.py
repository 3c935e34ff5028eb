"""The tests of the slots in mmdet need mmdet."""
from importlib.util import find_spec

collect_ignore_glob = [] if find_spec('mmdet') else ['test_*.py']
