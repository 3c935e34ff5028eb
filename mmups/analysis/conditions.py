"""Under which conditions something was measured: machine, versions, code."""
import hashlib
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Optional

import torch

from mmups.ops.backend import AUTO, AUTOMATIC, BACKENDS, use_backend
from mmups.version import __version__

PACKAGE = Path(__file__).parents[1]
#: Conditions that two measurements may differ in and still be compared: in what
#: is to be compared.
VERSIONS = ('mmups', 'code', 'backends', 'torch', 'mmcv', 'python')


def machine(device: torch.device, threads: int) -> dict:
    """Device, threads, versions, the fingerprint of the code, the backends that 'auto' has here;
    JSON-ready."""
    return dict(
        device=device.type, device_name=device_name(device), threads=threads,
        vectors=_vectors() if device.type == 'cpu' else None, mmups=__version__, code=fingerprint(),
        backends=[name for name in AUTOMATIC if _computes(name, device)], torch=torch.__version__,
        mmcv=_version('mmcv') or _version('onedl-mmcv'), python=platform.python_version())


def device_name(device: torch.device) -> str:
    """Model of the GPU or the processor."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        text = ''
    found = re.search(r'^model name\s*:\s*(.+)$', text, re.M)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def check_backend(name: str, device: torch.device) -> None:
    """Refuse a backend that would measure another one's operators under its own name.

    Raises:
        ValueError: There is no such backend, it is missing, or computes nothing on this device.
    """
    with use_backend(name):  # raises for the first two
        pass
    if name != AUTO:
        module, x = BACKENDS[name], torch.empty(0, device=device)
        if not any(module.serves(operator, x) for operator in vars(module)
                   if operator in vars(BACKENDS['reference'])):
            raise ValueError(f'the backend {name!r} computes nothing on {device.type}')


def _computes(name: str, device: torch.device) -> bool:
    try:
        check_backend(name, device)
    except ValueError:
        return False
    return True


def fingerprint() -> str:
    """Eight digits that change with the code of operators and models, compiled ones included."""
    digest = hashlib.sha256()
    for path in sorted([*PACKAGE.glob('ops/**/*.py'), *PACKAGE.glob('models/**/*.py'),
                        *PACKAGE.glob('_C*')]):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def file_stem(kind: str, subject: str, conditions: Mapping) -> str:
    """Name of the file of a measurement, without its ending.

    Args:
        kind: What was measured, 'speed'.
        subject: On what, '256x120x120'.
        conditions: As :func:`machine` gives them.
    """
    words = (kind, subject, conditions['device_name'], f'threads-{conditions["threads"]}',
             f'torch-{conditions["torch"]}', f'mmups-{conditions["mmups"]}-{conditions["code"]}')
    return '_'.join(re.sub(r'[^\w.+]+', '-', word).strip('-').lower() for word in words)


def _version(package: str) -> Optional[str]:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _vectors() -> Optional[str]:
    """The instruction set that PyTorch uses."""
    capability = getattr(getattr(torch.backends, 'cpu', None), 'get_cpu_capability', None)
    return capability() if capability else None
