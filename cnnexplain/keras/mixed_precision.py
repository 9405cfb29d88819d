"""`keras.mixed_precision`: the names that set a policy. Nothing is computed in 16 bits, and they say so."""

from __future__ import annotations

from .config import dtype_policy, set_dtype_policy
from .config import dtype_policy as global_policy
from .config import set_dtype_policy as set_global_policy
from .dtype_policies import DTypePolicy
from .dtype_policies import DTypePolicy as Policy

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]
