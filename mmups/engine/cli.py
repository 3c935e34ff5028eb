"""What the command-line tools share: their common arguments, and a runner from them."""
import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .cpu import CPURunner, join_processes, keep_freed_memory
from .families import refuse_code
from .forks import refuse_forks


class KeyValues(DictAction):
    """``key=value`` words, collected in a dict; others end the tool with its usage."""

    def __call__(self, parser, namespace, values, option_string=None):
        for word in values:
            if not word.partition('=')[0] or '=' not in word:
                raise argparse.ArgumentError(self, f'{word!r} is not KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def common_parser(description: str) -> argparse.ArgumentParser:
    """Parser with the arguments that OpenMMLab users know from every tool."""
    return add_common_arguments(argparse.ArgumentParser(description=description))


def add_common_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The same for a parser that is there already, of a subcommand; returns it."""
    add_config_arguments(parser)
    parser.add_argument('--work-dir', help='where logs, checkpoints and results go (default: '
                        "the config's, else work_dirs/<name of the config>)")
    parser.add_argument('--seed', type=int, help='random seed (default: the config\'s, else drawn '
                        'and logged)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help='set by older PyTorch launchers')
    return parser


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """A config, and what is overridden in it."""
    parser.add_argument('config', help='path of a config, or a name such as '
                        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues, default={},
                        help='settings to override, key=value; e.g. model.neck.type=mmups.FPN '
                        'model.neck.upsampler.type=DySample; lists: key="[a,b]" or key=a,b')


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the tool with the message alone on a mistake in its arguments, config or checkpoint.

    Not for training itself, whose tracebacks are needed. ``python -X dev`` shows them here, too.
    """
    try:
        yield
    except Exception as error:  # whatever a config, a package or a host may raise
        if sys.flags.dev_mode:
            raise
        sys.exit(f'{Path(sys.argv[0]).name}: {message_of(error)}')


def message_of(error: BaseException) -> str:
    """What an error says, and what it says of its cause; its type where it says a word or less."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if ' ' not in text.strip():
        text = f'{type(error).__name__}: {text}'.removesuffix(': ')
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    reason = '' if cause is None else message_of(cause)
    return text if reason in text else f'{text}: {reason}'


def read_config(name: str) -> Config:
    """The config at a path, or a stock one by its name.

    Raises:
        FileNotFoundError: There is no such file; the message says how stock configs are named.
        ValueError: It cannot be read, for whatever reason.
    """
    if '::' not in name and not Path(name).is_file():
        raise FileNotFoundError(f'there is no config {name!r}; give a path, or '
                                'mmdet::FOLDER/NAME.py, mmseg::FOLDER/NAME.py or '
                                'mmups::FOLDER/NAME.py for a stock one')
    try:
        if '::' not in name:
            return Config.fromfile(name)
        path, _ = Config._get_cfg_path(name, '')
        if Config._is_lazy_import(path):
            return Config.fromfile(path)
        # As _base_, so that its types are looked up in its package.
        cfg = Config.fromstring(f'_base_ = {name!r}', '.py')
        return Config(cfg.to_dict(), cfg_text=cfg.text, filename=path,
                      env_variables=cfg.env_variables)
    except RecursionError:
        raise ValueError(f'{name} cannot be read: it inherits itself') from None
    except Exception as error:  # of the code in it, of what it imports, of its packages
        kind, reason = type(error).__name__, message_of(error)
        raise ValueError(f'{name} cannot be read: {kind}: {reason.removeprefix(f"{kind}: ")}'
                         ) from error


def overridden_config(args: argparse.Namespace) -> Config:
    """The config of :func:`add_config_arguments`.

    Raises:
        FileNotFoundError: As in :func:`read_config`.
        ValueError: As in :func:`read_config`, or the config has no model, or one of a fork.
    """
    cfg = read_config(args.config)
    cfg.merge_from_dict(args.cfg_options)
    if cfg.get('model') is None:
        raise ValueError(f'{args.config} has no model')
    refuse_forks(cfg)
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """The config that ``args`` name, with their overrides in it.

    Raises:
        FileNotFoundError, ValueError: As in :func:`overridden_config`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = overridden_config(args)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config.split('::')[-1]).stem)
    cfg.randomness = {'seed': None, **(cfg.get('randomness') or {})}
    if args.seed is not None:
        cfg.randomness.seed = args.seed
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The config's runner, ready to train or test. The checkpoints it reads run no code.

    On a machine without a GPU the batch norms that synchronise over GPUs become plain ones: in
    one process they compute the same; and the process keeps the memory that it frees.

    Raises:
        ValueError: A launcher that needs GPUs, and there is none.
    """
    refuse_code()
    launcher = cfg.get('launcher', 'none')
    on_cpu = get_device() == 'cpu'
    if on_cpu and launcher not in ('none', 'pytorch'):
        raise ValueError(f'--launcher {launcher} needs GPUs; several processes without one are '
                         'started by torchrun and --launcher pytorch')
    if on_cpu:
        keep_freed_memory()
    if on_cpu and launcher != 'none':
        join_processes()
    if 'runner_type' in cfg:
        runner = RUNNERS.build(cfg)
    else:
        runner = (CPURunner if on_cpu and launcher != 'none' else Runner).from_cfg(cfg)
    if isinstance(runner.model, dict):  # FlexibleRunner would build it when it starts
        runner.model = runner.strategy.build_model(runner.model)
    if on_cpu and not runner.distributed:
        runner.model = revert_sync_batchnorm(runner.model)
    return runner
