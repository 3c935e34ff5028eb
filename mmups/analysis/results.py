"""Measured rows in a file that a second run goes on with."""
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from .conditions import VERSIONS
from .latency import quartiles

#: What tells one row from another.
KEYS = ('preset', 'backend', 'memory_format', 'pass', 'channels', 'size')


@dataclass
class Results:
    """Rows that were measured under the same conditions.

    Attributes:
        path: Their file.
        conditions: JSON-ready.
        rows: As of :func:`mmups.analysis.measure`.
    """
    path: Path
    conditions: dict
    rows: list[dict] = field(default_factory=list)

    @classmethod
    def load(cls, path: Union[str, Path]) -> 'Results':
        """What a file holds.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding='utf-8'))
            return cls(Path(path), dict(content['conditions']), [dict(r) for r in content['rows']])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path} holds no results of tools/benchmark.py '
                             f'({type(error).__name__}: {error})') from None

    @classmethod
    def resume(cls, path: Union[str, Path], conditions: Mapping) -> 'Results':
        """The rows that a file has, to go on with; none, where there is no file.

        Raises:
            ValueError: They were measured under other conditions, or as in :meth:`load`.
        """
        if not Path(path).exists():
            return cls(Path(path), dict(conditions))
        there = cls.load(path)
        if changed := differences(there.conditions, conditions):
            raise ValueError(f'{path} was measured under other conditions, {"; ".join(changed)}; '
                             'choose another folder for these')
        return there

    def has(self, **key: object) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(name) == value for name, value in key.items()) for row in self.rows)

    def add(self, rows: Iterable[dict]) -> None:
        """Append rows and write the file; an interruption leaves the old file or the new one."""
        self.rows += rows
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + '.part')
        part.write_text(json.dumps(dict(conditions=self.conditions, rows=self.rows), indent=1),
                        encoding='utf-8')
        os.replace(part, self.path)


def differences(before: Mapping, after: Mapping) -> list[str]:
    """What two sets of conditions do not have in common, in words.

    >>> differences(dict(threads=1, torch='2.1'), dict(threads=2, torch='2.1'))
    ['threads: 1 and 2']
    """
    return [f'{name}: {before.get(name)} and {after.get(name)}'
            for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]


def compare(before: Results, after: Results) -> Iterator[tuple[dict, float, str]]:
    """What became slower or faster from one measurement to another.

    Each side's time is its ratio to bilinear interpolation in its own run.

    Yields:
        The row of ``after``, the ratio of the two ratios, and 'slower' or 'faster', or 'same'
        where the middle halves of the rounds of both overlap.

    Raises:
        ValueError: Their conditions differ in more than versions, or they have no row in common.
    """
    if changed := [text for text in differences(before.conditions, after.conditions)
                   if text.split(':')[0] not in VERSIONS]:
        raise ValueError(f'{before.path} and {after.path} cannot be compared, they were measured '
                         f'under different conditions: {"; ".join(changed)}')
    known = {_key(row): row for row in before.rows if 'ratios' in row}
    pairs = [(known[_key(row)], row) for row in after.rows
             if 'ratios' in row and _key(row) in known]
    if not pairs:
        raise ValueError(f'{before.path} and {after.path} have no row in common')
    for old, new in pairs:
        old_low, old_middle, old_high = quartiles(old['ratios'])
        low, middle, high = quartiles(new['ratios'])
        verdict = 'slower' if low > old_high else 'faster' if high < old_low else 'same'
        yield new, middle / old_middle, verdict


def _key(row: Mapping) -> tuple:
    return tuple(str(row.get(name)) for name in KEYS)
