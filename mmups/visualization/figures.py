"""What all pictures share."""
from pathlib import Path
from typing import Union

from matplotlib.figure import Figure


def save(figure: Figure, out: Union[str, Path]) -> Path:
    """Write a figure; the folder is made if need be."""
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    return out
