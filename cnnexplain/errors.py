"""TensorFlow's exceptions. Here they are Python's own, so that `except tf.errors.InvalidArgumentError`
catches what is raised: a ValueError.
"""

from __future__ import annotations

from . import _names

OpError = Exception
InvalidArgumentError = ValueError
OutOfRangeError = StopIteration
NotFoundError = FileNotFoundError
AlreadyExistsError = FileExistsError
PermissionDeniedError = PermissionError
ResourceExhaustedError = MemoryError
UnimplementedError = NotImplementedError
DeadlineExceededError = TimeoutError
FailedPreconditionError = RuntimeError
InternalError = RuntimeError
UnknownError = RuntimeError
AbortedError = RuntimeError
CancelledError = RuntimeError
UnavailableError = RuntimeError
DataLossError = RuntimeError
UnauthenticatedError = RuntimeError

__all__ = sorted(name for name in globals() if name.endswith("Error"))
__getattr__ = _names.missing(__name__)
