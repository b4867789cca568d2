"""The one exception tree of Crispcast.

Every message says what was wrong, where, and what to do. `kernels` is the lowest room, so the tree
lives here and every room above imports it.
"""


class CrispcastError(Exception):
    """Anything Crispcast refuses or fails at, with a sentence a user can act on."""


class PlanError(CrispcastError):
    """A plan, a graph or a call of the runtime is not valid."""


class PackageError(CrispcastError):
    """A package, its manifest or a patch map is missing, damaged or of another version."""


class VideoError(CrispcastError):
    """A video cannot be read or written."""


class StreamError(CrispcastError):
    """A stream cannot be opened, or the other side broke the protocol."""
