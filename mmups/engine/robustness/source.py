"""Another model, on which attacks are made that this one is then shown."""
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import read_config


def load_source(config: str, checkpoint: str, like: nn.Module) -> nn.Module:
    """The model of a config with the weights of a checkpoint, frozen.

    Args:
        config: Path or name of a config.
        checkpoint: File.
        like: The model to attack, for its device.

    Raises:
        ValueError: The config or the checkpoint cannot be read, or they do not fit.
    """
    cfg = read_config(config)
    with MODELS.switch_scope_and_registry(cfg.get('default_scope', 'mmengine')) as registry:
        model = revert_sync_batchnorm(registry.build(cfg.model))
    check_weights(model, checkpoint)
    return model.to(next(like.parameters()).device).eval().requires_grad_(False)
