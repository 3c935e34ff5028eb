"""A config's model with another upsampler, or as it is, or with other settings."""
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from mmengine.config import Config

from mmups.preset_files import upsampler_named
from mmups.swap import swap_upsampler

#: Stands for no upsampler: the model as its config has it.
STOCK = 'stock'


@dataclass(frozen=True)
class Variant:
    """One of the forms of a model that are compared.

    Attributes:
        upsampler: The method in its sites; None: what the config has there.
        settings: Of the config, as of ``--cfg-options``.
    """
    upsampler: Optional[dict]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str, settings: Optional[Mapping[str, Any]] = None) -> 'Variant':
        """The one of a preset, of a type, or of :data:`STOCK`.

        Raises:
            ValueError: There is no upsampler of this name.
        """
        return cls(None if name == STOCK else upsampler_named(name), settings or {})

    def set_in(self, cfg: Config) -> Config:
        """A copy of a config with the settings, before the upsampler is put into it."""
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(dict(self.settings))
        return cfg

    def put_into(self, cfg: Config, sites: Union[str, Iterable[str]] = 'default') -> Config:
        """A copy of a config with this variant of its model.

        Args:
            cfg: Of a model with upsampling sites.
            sites: As of :func:`mmups.swap.swap_upsampler`, which also says what is raised.
        """
        cfg = self.set_in(cfg)
        return cfg if self.upsampler is None else swap_upsampler(cfg, self.upsampler, sites)


#: What upsamplers are compared with, and takes its weights from nobody.
BILINEAR = Variant(dict(type='Interpolate', mode='bilinear'))
