"""The results of a robustness run on disk, from which an interrupted one goes on."""
import csv
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import nn

from .plan import Entry

#: Of a dataloader, and without influence on numbers.
SPEED = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')
COLUMNS = ('kind', 'name', 'norm', 'eps', 'alpha', 'steps', 'severity')


def conditions_of(cfg: Config, model: nn.Module, **others: Any) -> dict:
    """What a record holds for: the config's model, data and metrics, and the weights.

    Args:
        cfg: The runner's config.
        model: With its weights.
        others: What counts besides.
    """
    parts = {key: cfg.get(key) for key in ('model', 'test_dataloader', 'test_evaluator')}
    parts = Config(parts).to_dict()
    for key in SPEED:
        (parts['test_dataloader'] or {}).pop(key, None)
    return json.loads(json.dumps(dict(parts, weights=checksum(model), **others), default=str))


def checksum(model: nn.Module) -> str:
    """A number that tells the weights of two models apart."""
    total = 0
    for name, value in sorted(model.state_dict().items()):
        data = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        total = zlib.crc32(data.tobytes(), zlib.crc32(name.encode(), total))
    return f'{total:08x}'


class Record:
    """Metrics by entry, written after each.

    Args:
        path: The json file.
        conditions: Of this run.

    Raises:
        ValueError: The file holds a record of other conditions.
    """

    def __init__(self, path: Union[str, Path], conditions: dict):
        self.path = Path(path)
        self.data: dict = dict(conditions=conditions, clean=None, entries={})
        if self.path.is_file():
            self.data = json.loads(self.path.read_text(encoding='utf-8'))
            changes = list(differences(self.data['conditions'], conditions))
            if changes:
                key, before, now = changes[0]
                raise ValueError(
                    f'{self.path} was measured with {key} = {before}, and now it is {now} '
                    f'({len(changes)} differences): choose another --work-dir, or delete the file')

    def __contains__(self, entry: Entry) -> bool:
        return entry.key in self.data['entries']

    @property
    def clean(self) -> dict:
        """Metrics without a perturbation; None: not measured yet."""
        return self.data['clean']

    @clean.setter
    def clean(self, metrics: dict) -> None:
        self.data['clean'] = metrics

    def add(self, entry: Entry, metrics: Mapping[int, dict]) -> None:
        """Keep the metrics of an entry after each number of steps."""
        about = asdict(entry)
        self.data['entries'][about.pop('key')] = dict(
            about, metrics={str(steps): values for steps, values in metrics.items()})

    def rows(self) -> list[dict]:
        """One row for the clean metrics and one for each entry and number of steps."""
        rows = [dict(dict.fromkeys(COLUMNS), kind='clean', name='clean', metrics=self.clean)]
        for entry in self.data['entries'].values():
            for steps, metrics in entry['metrics'].items():
                row = {key: entry[key] for key in COLUMNS}
                rows.append(dict(row, steps=int(steps) or None, metrics=metrics))
        return rows

    def write(self) -> None:
        """Write the json file; it is whole whenever the process ends."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix('.tmp')
        new.write_text(json.dumps(self.data, indent=1), encoding='utf-8')
        new.replace(self.path)

    def write_csv(self, path: Union[str, Path]) -> None:
        """Write :meth:`rows` as a table."""
        rows = self.rows()
        metrics = list(dict.fromkeys(key for row in rows for key in row['metrics']))
        with open(path, 'w', newline='', encoding='utf-8') as file:
            table = csv.writer(file)
            table.writerow([*COLUMNS, *metrics])
            for row in rows:
                table.writerow([row[key] for key in COLUMNS]
                               + [row['metrics'].get(key) for key in metrics])


def differences(before: Any, now: Any, key: str = '') -> Iterator[tuple[str, Any, Any]]:
    """Where two nested values differ: key, one value, the other."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            yield from differences(before.get(name), now.get(name), f'{key}.{name}'.strip('.'))
    elif before != now:
        yield key, before, now
