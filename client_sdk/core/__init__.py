"""The SDK core in Python: sessions of `include/crispcast_session.h` (docs/sdk-core.md).

A session takes what comes (control messages, pieces of assets, LR frames) and says what is to be
done, without any I/O of its own. What it refuses raises `kernels.errors.StreamError`, or
`PackageError` where the package or a frame does not fit, with a sentence that says what to do.
"""

from client_sdk.core._session import Result, Session, Task, sentence
from client_sdk.core.tasks import Delivery, TaskKind

__all__ = ["Delivery", "Result", "Session", "Task", "TaskKind", "sentence"]
