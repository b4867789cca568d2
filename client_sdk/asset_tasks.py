"""What a session wants done, and everybody does alike: cache, pictures, bases, signatures."""

from __future__ import annotations

from client_sdk.cache import AssetCache
from client_sdk.contract.plate import decode_plate
from client_sdk.contract.signing import is_signed
from client_sdk.core import Session, Task, TaskKind
from kernels import bases
from kernels.errors import CrispcastError


class AssetTasks:
    """Does the tasks for the assets of one session, and for whether they are to be trusted.

    `cache`: of a session that was made with one.
    """

    def __init__(self, session: Session, cache: AssetCache | None = None) -> None:
        self._session = session
        self._cache = cache

    def do(self, task: Task) -> bool:
        """Do it and answer; False where it is another kind of task.

        Raises CrispcastError where it brings something that is no good; the session knows that.
        """
        if task.kind == TaskKind.DECODE:
            self._decode(task)
        elif task.kind == TaskKind.BASE:
            self._session.base(task.id, bases.find(bytes.fromhex(task.id)))
        elif task.kind == TaskKind.VERIFY:
            key, signature, message = task.data[:32], task.data[32:96], task.data[96:]
            self._session.verified(task.count, is_signed(key, signature, message))
        elif task.kind == TaskKind.LOOK and self._cache is not None:
            self._look(task.sha256, self._cache)
        elif task.kind == TaskKind.STORE and self._cache is not None:
            self._cache.put(task.sha256, task.data)
        else:
            return False
        return True

    def _decode(self, task: Task) -> None:
        try:
            samples = decode_plate(task.data, task.width, task.height)
        except CrispcastError as why:
            try:
                self._session.picture(task.sha256, None)
            except CrispcastError:
                raise why from None
        else:
            self._session.picture(task.sha256, samples)

    def _look(self, sha256: str, cache: AssetCache) -> None:
        data = cache.get(sha256)
        if data is None:
            self._session.lacks(sha256)
        else:
            self._session.asset(sha256, data)
