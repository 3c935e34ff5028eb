"""The tests of the slots in mmseg need mmseg."""
from importlib.util import find_spec

collect_ignore_glob = [] if find_spec('mmseg') else ['test_*.py']
