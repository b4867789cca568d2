"""What machines ask of a server: does it live, is it ready, how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from server.access import Access
from server.metrics import CONTENT_TYPE
from server.whep import Viewers


def health_router(viewers: Viewers, access: Access) -> APIRouter:
    """`/healthz`, `/readyz` and, where the settings want it, `/metrics`."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def ready() -> dict[str, object]:
        """There is something to watch, and new viewers are taken; 503 where not.

        `room`: how many more there are places for. `replica`: the process that says so.
        """
        catalogue = viewers.catalogue
        if viewers.draining:
            raise HTTPException(503, "the server is about to stop and takes no new viewers")
        if not catalogue.packages:
            raise HTTPException(503, "no package is available")
        return {
            "status": "ok",
            "packages": len(catalogue.packages),
            "unavailable": len(catalogue.broken),
            "room": viewers.room,
            "replica": viewers.replicas.identity,
        }

    if viewers.settings.metrics:

        @router.get("/metrics")
        async def metrics(request: Request) -> Response:
            """Figures for Prometheus."""
            access.require_metrics(request.headers.get("authorization"))
            return Response(viewers.metrics.text(), media_type=CONTENT_TYPE)

    return router
