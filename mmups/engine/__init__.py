"""Glue to mmengine, in force as soon as any type of mmups is looked up."""
from .checkpoint import allow_training_state

allow_training_state()
