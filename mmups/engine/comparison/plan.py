"""What a comparison compares, kept in its folder."""
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from ..robustness.record import differences
from ..variant import BILINEAR, Variant
from .ledger import held
from .measures import with_boundaries

#: Of a config, and another matter of each run.
OF_A_RUN = ('work_dir', 'launcher', 'resume', 'experiment_name')


@dataclass(frozen=True)
class Run:
    """One upsampler, trained from one seed.

    Attributes:
        upsampler: Its name.
        seed: Not negative.
        folder: Its mmengine work directory.
    """
    upsampler: str
    seed: int
    folder: Path

    def __str__(self) -> str:
        return f'{self.upsampler}, seed {self.seed}'

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the others."""
        return self.upsampler, self.seed


@dataclass
class Comparison:
    """What is compared.

    Attributes:
        folder: Where everything goes.
        config: As the user called it.
        cfg: The config as it is without a swap, with all overrides.
        upsamplers: Name -> config; None: the model stays as its config has it. The first is the
            baseline.
        seeds: A run for each, of each upsampler.
        sites: Where the upsamplers are put.
        robustness: Arguments of :class:`mmups.engine.robustness.RobustnessTestLoop`, and
            ``images``, how many of the test images are attacked, where not all are; None: none.
        checkpoints: Name of each upsampler -> its trained weights; None: they are to be trained.
        settings: Name -> what is overridden in the config beside that upsampler, where something
            is.
    """
    folder: Path
    config: str
    cfg: Config
    upsamplers: dict[str, Optional[dict]]
    seeds: list[int]
    sites: list[str]
    robustness: Optional[dict] = None
    checkpoints: Optional[dict[str, str]] = None
    settings: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> 'Comparison':
        """The one that :meth:`settle` left in a folder.

        Raises:
            FileNotFoundError: There is none.
        """
        folder = Path(folder)
        path = folder / 'comparison.json'
        if not path.is_file():
            raise FileNotFoundError(f'there is no comparison in {folder}: it has no {path.name}')
        about = json.loads(path.read_text(encoding='utf-8'))
        about['cfg'] = Config.fromfile(folder / 'config.py')
        del about['baseline']
        return cls(folder, **about)

    @property
    def runs(self) -> list[Run]:
        """All of them, seed by seed."""
        return [self.run(name, seed) for seed in self.seeds for name in self.upsamplers]

    def attacking(self, run: Run) -> Config:
        """The config that attacks a run's model."""
        cfg, loop = self.config_of(run), dict(self.robustness)
        if (images := loop.pop('images', None)) is not None:
            cfg.test_dataloader.dataset.indices = images
        cfg.test_cfg = dict(loop, type='mmups.RobustnessTestLoop', seed=run.seed,
                            fp16=(cfg.get('test_cfg') or {}).get('fp16', False))
        return cfg

    @property
    def variants(self) -> dict[str, Variant]:
        """Name -> what is compared under it."""
        return {name: Variant(upsampler, self.settings.get(name, {}))
                for name, upsampler in self.upsamplers.items()}

    def run(self, upsampler: str, seed: int) -> Run:
        """One of the runs.

        Raises:
            KeyError: It is none of them.
        """
        if upsampler not in self.upsamplers or seed not in self.seeds:
            raise KeyError(f'{upsampler} with seed {seed} is no run of {self.folder}')
        return Run(upsampler, seed, self.folder / 'runs' / upsampler / f'seed_{seed}')

    def config_of(self, run: Run) -> Config:
        """The config that a run trains and tests."""
        return self._own(self.variants[run.upsampler].put_into(self.cfg, self.sites), run)

    def baseline_of(self, run: Run) -> Config:
        """The same with bilinear interpolation, from whose weights all runs of a seed start."""
        return self._own(BILINEAR.put_into(self.cfg, self.sites), run)

    def _own(self, cfg: Config, run: Run) -> Config:
        cfg.work_dir = str(run.folder)
        cfg.launcher, cfg.resume = 'none', False
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=run.seed)
        cfg.test_evaluator = with_boundaries(cfg.test_evaluator)
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        for key in ('out_dir', 'save_optimizer', 'save_param_scheduler'):  # by default: all of it,
            hook.pop(key, None)  # in the run's own folder
        if hook.get('max_keep_ckpts') == 1:  # mmengine removes the old one before the new is whole
            hook['max_keep_ckpts'] = 2
        return cfg

    @property
    def about(self) -> dict:
        """What stands in ``comparison.json``."""
        return plain(dict(
            config=self.config, cfg=without(self.cfg), baseline=next(iter(self.upsamplers)),
            upsamplers=self.upsamplers, seeds=self.seeds, sites=self.sites,
            robustness=self.robustness, checkpoints=self.checkpoints, settings=self.settings))

    def settle(self) -> None:
        """Write ``comparison.json`` and ``config.py``, from which runs are made. More upsamplers
        and more seeds are added to those that are there.

        Raises:
            ValueError: The folder holds another comparison, with the differences.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with held(self.folder / 'comparison.lock'):
            about, there = self.about, self.there()
            if there is not None:
                self.refuse_another(there)
                about['upsamplers'] = {**there['upsamplers'], **about['upsamplers']}
                about['settings'] = {**there['settings'], **about['settings']}
                about['seeds'] = list(dict.fromkeys([*there['seeds'], *about['seeds']]))
                if about['checkpoints'] is not None:
                    about['checkpoints'] = {**there['checkpoints'], **about['checkpoints']}
            else:
                write(self.folder / 'config.py', Config(without(self.cfg)).pretty_text)
            write(self.folder / 'comparison.json', json.dumps(about, indent=1))

    def there(self) -> Optional[dict]:
        """What stands in ``comparison.json`` already."""
        path = self.folder / 'comparison.json'
        if not path.is_file():
            return None
        return {'settings': {}, **json.loads(path.read_text(encoding='utf-8'))}

    def refuse_another(self, there: dict) -> None:
        """See that a comparison is this one, or a part of it.

        Raises:
            ValueError: It is not; the message has the differences.
        """
        now = self.about
        common = set(there['upsamplers']) & set(now['upsamplers'])
        there, now = ({**each, 'settings': {name: each['settings'].get(name) for name in common}}
                      for each in (there, now))
        for key in ('upsamplers', 'checkpoints'):  # what both have must agree
            common = set(there[key] or ()) & set(now[key] or ())
            if there[key] and now[key]:
                there, now = ({**each, key: {name: each[key][name] for name in common}}
                              for each in (there, now))
        changes = list(differences({**there, 'seeds': None}, {**now, 'seeds': None}))
        if changes:
            lines = [f'  {key}: {_short(before)} there, {_short(value)} now'
                     for key, before, value in changes]
            raise ValueError('\n'.join([
                f'{self.folder} holds another comparison; choose another --out, or go back to what '
                'it holds:', *lines]))


def without(cfg: Config, keys: Sequence[str] = OF_A_RUN) -> dict:
    """A config as a dict, without what each run has for itself, its seed too."""
    values = {key: value for key, value in cfg.to_dict().items() if key not in keys}
    values['randomness'] = {key: value for key, value in (values.get('randomness') or {}).items()
                            if key != 'seed'}
    return values


def plain(value: Any) -> Any:
    """As json gives it back: tuples are lists, classes and functions their dotted names."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = getattr(value, '__qualname__', None)
    return f'{value.__module__}.{name}' if name else str(value)


def write(path: Path, text: str) -> None:
    """Write a file that is whole at any moment."""
    part = path.with_name(f'{path.name}.{os.getpid()}')
    part.write_text(text, encoding='utf-8')
    part.replace(path)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f'{text[:97]}...'
