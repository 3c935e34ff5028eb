"""Glue to mmengine, in force as soon as any type of mmups is looked up."""
from .checkpoint import allow_training_state
from .families import name_hosts, name_own_configs

allow_training_state()
name_hosts()
name_own_configs()
