"""Pictures as tensors: (height, width, channels), or (n, height, width, channels)."""

from __future__ import annotations

from .. import _names
from .boxes import *  # noqa: F403
from .brightness import *  # noqa: F403
from .colours import *  # noqa: F403
from .files import *  # noqa: F403
from .filters import *  # noqa: F403
from .flips import *  # noqa: F403
from .framing import *  # noqa: F403
from .measures import *  # noqa: F403
from .pixels import convert_image_dtype as convert_image_dtype

__all__ = _names.defined(__name__)
__getattr__ = _names.missing(__name__)
