"""What the command-line tools share: their common arguments, and a runner from them."""
import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import torch
from mmengine.config import Config, DictAction
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .families import refuse_code


def common_parser(description: str) -> argparse.ArgumentParser:
    """Parser with the arguments that OpenMMLab users know from every tool."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='path of a config, or a name such as '
                        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')
    parser.add_argument('--work-dir', help='where logs, checkpoints and results go (default: '
                        "the config's, else work_dirs/<name of the config>)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        help='settings to override, key=value; e.g. model.neck.type=mmups.FPN '
                        'model.neck.upsampler.type=DySample; lists: key="[a,b]" or key=a,b')
    parser.add_argument('--seed', type=int, help='random seed (default: the config\'s, else drawn '
                        'and logged)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help='set by older PyTorch launchers')
    return parser


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the tool in one line on a mistake in its arguments, its config or its checkpoint.

    Not for training itself, whose tracebacks are needed. ``python -X dev`` shows them here, too.
    """
    try:
        yield
    except (AssertionError, ImportError, LookupError, OSError, TypeError, UnpicklingError,
            ValueError) as error:
        if sys.flags.dev_mode:
            raise
        text = error.args[0] if isinstance(error, KeyError) else error  # whose str() is quoted
        sys.exit(f'{Path(sys.argv[0]).name}: {text or type(error).__name__}')


def read_config(name: str) -> Config:
    """The config at a path, or a stock one by its name.

    Raises:
        FileNotFoundError: There is no such file; the message says how stock configs are named.
    """
    if '::' in name:  # mmengine resolves such names in _base_ only
        return Config.fromstring(f'_base_ = {name!r}', '.py')
    if Path(name).is_file():
        return Config.fromfile(name)
    raise FileNotFoundError(f'no config {name!r}; give a path, or mmdet::FOLDER/NAME.py or '
                            'mmseg::FOLDER/NAME.py for a stock one')


def load_config(args: argparse.Namespace) -> Config:
    """The config that ``args`` name, with their overrides in it.

    Raises:
        FileNotFoundError: As in :func:`read_config`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config.split('::')[-1]).stem)
    if args.seed is not None:
        cfg.setdefault('randomness', {})['seed'] = args.seed
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The config's runner, ready to train or test. The checkpoints it reads run no code.

    On a machine without a GPU the batch norms that synchronise over GPUs become plain ones: in
    one process they compute the same.
    """
    refuse_code()
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if not torch.cuda.is_available() and not runner.distributed:
        runner.model = revert_sync_batchnorm(runner.model)
    return runner
