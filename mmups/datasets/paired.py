"""Pairs of images, degraded and true, in two folders: the layout of GoPro and of most others."""
from pathlib import Path
from typing import Any, Optional

from mmengine.dataset import BaseDataset
from PIL import Image

from mmups.registry import DATASETS

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


@DATASETS.register_module()
class PairedImageDataset(BaseDataset):
    """Images of a folder, each with its truth in a file of the same name in another folder.

    The names and sizes of all files are compared at the start, before anything is computed.
    Subfolders are not looked into. A sample of the list has ``img_path`` and ``gt_path``.

    Args:
        data_root: The folder of both.
        data_prefix: The folder of the degraded images and that of the true ones; None: those of
            GoPro, ``dict(img='blur', gt='sharp')``.
        kwargs: As in mmengine's BaseDataset.

    Raises:
        ValueError: A file has no partner, or one of another size; a file is no image; there are
            none; ``data_prefix`` is not that.
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, data_root: str = '', data_prefix: Optional[dict] = None, **kwargs: Any):
        data_prefix = data_prefix or dict(img='blur', gt='sharp')
        if set(data_prefix) != {'img', 'gt'}:
            raise ValueError("data_prefix must be dict(img=FOLDER, gt=FOLDER), got "
                             f'{data_prefix!r}')
        super().__init__(data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """A dict of both paths per pair, in the order of their names."""
        folders = {key: Path(self.data_prefix[key]) for key in ('img', 'gt')}
        names = {key: _images_in(folder) for key, folder in folders.items()}
        for key, other in (('img', 'gt'), ('gt', 'img')):
            if alone := sorted(names[key] - names[other]):
                raise ValueError(
                    f'{folders[key] / alone[0]} has no partner: there is no '
                    f'{folders[other] / alone[0]} ({len(alone)} of the {len(names[key])} images of '
                    f'{folders[key]} have none)')
        pairs = [tuple(folder / name for folder in folders.values())
                 for name in sorted(names['img'])]
        for image, truth in pairs:
            if _size(image) != _size(truth):
                raise ValueError(f'{image} has {_size(image)} pixels, and its partner {truth} has '
                                 f'{_size(truth)}: the images of a pair must be of one size')
        if not pairs:
            raise ValueError(f'there are no images in {folders["img"]}; files of images end in '
                             f'{", ".join(SUFFIXES)}')
        return [dict(img_path=str(image), gt_path=str(truth)) for image, truth in pairs]


def _images_in(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f'there is no folder {folder}; docs/restoration.md says how data '
                                'sets of pairs are laid out and made')
    return {path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}


def _size(path: Path) -> str:
    """Width and height, from the head of the file."""
    try:
        with Image.open(path) as image:
            return f'{image.width} x {image.height}'
    except OSError as error:
        raise ValueError(f'{path} cannot be read as an image: {error}') from error
