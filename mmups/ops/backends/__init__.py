"""Implementations of the operators, one module each; :mod:`mmups.ops.backend` chooses.

A module has a function for each operator that it implements, ``missing()``, which says why it
cannot be used here, and ``serves(operator, x)``.
"""
