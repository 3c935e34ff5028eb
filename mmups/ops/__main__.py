"""``python -m mmups.ops``: which backends compute the operators here, and why the others do not."""
import torch

from .backend import AUTO, AUTOMATIC, BACKENDS, current_backend, missing
from .backends import native


def main() -> None:
    print(f'torch {torch.__version__}; CPU threads: {torch.get_num_threads()}; '
          f'CUDA: {torch.version.cuda or "no"}')
    for name in BACKENDS:
        reason = missing(name)
        if reason is None and name == 'native':
            state = f'yes, vector code: {native.instruction_set()}'
        else:
            state = 'yes' if reason is None else f'no: {reason}'
        print(f'{name:13} {state}')
    print(f'in force:     {current_backend()}')
    if current_backend() == AUTO:
        print(f'              the first that has the operator: {", ".join(AUTOMATIC)}, reference')


if __name__ == '__main__':
    main()
