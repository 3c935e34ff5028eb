"""A thin config that inherits another one: in mmengine's text style, or its pure-Python style."""
import keyword
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmengine.config import Config
from mmengine.utils import get_installed_path
from yapf.yapflib.yapf_api import FormatCode

from .config_values import Imports, expression, plain, same

STYLE = dict(based_on_style='pep8', blank_line_before_nested_class_or_def=True,
             split_before_expression_after_opening_paren=True)  # mmengine's own
MISSING = object()


def is_lazy(cfg: Config) -> bool:
    """Whether a config is written in the pure-Python style, which only its like can inherit."""
    return cfg.filename is not None and Config._is_lazy_import(cfg.filename)


def base_of(name: str, cfg: Config, out: Path) -> str:
    """How a config at ``out`` calls its base.

    Args:
        name: The base as the user calls it: a path, or ``mmdet::FOLDER/NAME.py``.
        cfg: The base.
        out: Path of the new config.

    Returns:
        What :func:`child_config` takes: ``_base_`` or, of a pure-Python config, its module.

    Raises:
        ValueError: No import statement leads from ``out`` to a pure-Python config.
    """
    if is_lazy(cfg):
        return _module(Path(cfg.filename), out)
    if '::' in name:
        return name
    folder = os.path.dirname(os.path.abspath(out))
    base = os.path.relpath(name, folder)
    if not os.path.exists(os.path.join(folder, base)) and os.path.isdir(folder):  # a link
        base = os.path.abspath(name)
    return Path(base).as_posix()


def _module(base: Path, out: Path) -> str:
    """Name by which ``read_base`` finds ``base``: relative to ``out``, or in a package."""
    folder = Path(os.path.realpath(base.parent))  # import statements follow folders as they are
    path = os.path.relpath(folder / base.stem, os.path.realpath(out.parent)).split(os.sep)
    up = path.count(os.pardir)
    if base.suffix == '.py' and all(map(_importable, path[up:])):
        return '.' * (up + 1) + '.'.join(path[up:])
    parts = (*folder.parts, base.stem)
    for start in range(len(parts) - 2, 0, -1):
        if not _importable(parts[start + 1]):
            break
        try:
            package = get_installed_path(parts[start])
        except Exception:  # no package of this name, or none with a place
            continue
        if _importable(parts[start]) and os.path.realpath(package) == str(Path(*parts[:start + 1])):
            return '.'.join(parts[start:])
    wrong = next((part for part in path[up:] if not _importable(part)), base.name)
    way_out = ('rename the file' if not _importable(base.stem) else
               f'choose an --out in {os.path.relpath(base.parent)}')
    raise ValueError(f'{base} is a pure-Python config, which is inherited by an import statement, '
                     f'and {wrong!r} is no name that can be imported: {way_out}')


def _importable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def child_config(base: str, cfg: Config, swapped: Config) -> str:
    """Text of a config that inherits ``cfg`` and has the model of ``swapped``.

    Args:
        base: What :func:`base_of` returned.
        cfg: What was swapped.
        swapped: What :func:`mmups.swap_upsampler` made of it.

    Raises:
        ValueError: ``swapped`` has a value that no config can say.
    """
    old, new = plain(cfg.model), plain(swapped.model)
    if is_lazy(cfg):
        imports = Imports(cfg)
        edits = [f'{place} = {expression(value, imports, place)}'
                 for place, value in _edits(old, new, 'model')]
        lines = ['from mmengine.config import read_base', 'with read_base():',
                 f'    from {base} import *', *imports.lines, *edits]
    else:
        lines = [f'_base_ = {base!r}', f'model = {expression(difference(old, new))}']
    return FormatCode('\n'.join(lines) + '\n', style_config=STYLE)[0]


def difference(old: dict, new: dict) -> dict:
    """What a child config says to turn ``old`` into ``new``: mmengine merges dicts and replaces
    everything else, lists as a whole."""
    if old.keys() - new.keys():
        return dict(new, _delete_=True)
    changes = {}
    for key, value in new.items():
        if isinstance(value, dict) and key in old:
            if not isinstance(old[key], dict):
                changes[key] = dict(value, _delete_=True)
            elif change := difference(old[key], value):
                changes[key] = change
        elif key not in old or not same(old[key], value):
            changes[key] = value
    return changes


def _edits(old: Any, new: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Places below ``place`` and what is to stand there, to turn ``old`` into ``new``."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() <= new.keys():
        for key in sorted(new, key=str):
            yield from _edits(old.get(key, MISSING), new[key], f'{place}[{key!r}]')
    elif (isinstance(old, (list, tuple)) and type(old) is type(new) and len(old) == len(new)
          and all(same(a, b) or isinstance(a, dict) and isinstance(b, dict)
                  for a, b in zip(old, new))):
        for index, (a, b) in enumerate(zip(old, new)):
            yield from _edits(a, b, f'{place}[{index}]')
    elif not same(old, new):
        yield place, new


def files_of(read) -> set[str]:
    """The files that ``read()`` opens: those of a config and of everything that it inherits."""
    files = set()

    def opened(file, *args, **kwargs):
        files.add(file)
        return plainly(file, *args, **kwargs)

    plainly = open
    with patch('builtins.open', opened):
        read()
    return {str(file) for file in files if isinstance(file, (str, os.PathLike))}


def write_config(out: Path, text: str, swapped: Config) -> None:
    """Write a config, if what is read back has the model of ``swapped``.

    Otherwise there is no new file, and an old one at ``out`` stays as it is.

    Raises:
        ValueError: It cannot be read, or has another model.
        OSError: It cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f'{out.stem}_{os.getpid()}.py')
    try:
        draft.write_text(text, encoding='utf-8')
        try:
            model = Config.fromfile(draft).model
        except Exception as error:  # as in read_config
            raise ValueError(f'{out} is not written: it could not be read') from error
        if not same(plain(model), plain(swapped.model)):
            raise ValueError(f'{out} is not written: its model would not be the one that was '
                             'swapped; does the base hold values that change when it is read '
                             'again?')
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)
