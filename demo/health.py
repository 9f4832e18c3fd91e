"""Whether the app is alive and ready, for a balancer before it: `/healthz` and `/readyz`."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.models import PAGE_MODELS, ModelServer

NOT_KEPT = {"Cache-Control": "no-store"}


def health_routes(server: ModelServer) -> list[Route]:
    """Return the two routes; neither asks for a login, and neither tells more than its answer.

    `/healthz` is answered by 200 as soon as the process answers. `/readyz` is answered by 200 where
    each of the page's models has a version loaded, also while the registry is silent, and
    otherwise by 503 with the reason.

    Args:
        server: The versions that answer.
    """

    async def alive(_request: Request) -> JSONResponse:
        return JSONResponse({"alive": True}, headers=NOT_KEPT)

    async def ready(_request: Request) -> JSONResponse:
        missing = [name for name in PAGE_MODELS if server.loaded(name) is None]
        if not missing:
            return JSONResponse({"ready": True}, headers=NOT_KEPT)
        reason = f"No version is loaded yet of {', '.join(missing)}."
        content = {"ready": False, "reason": reason}
        return JSONResponse(content, HTTPStatus.SERVICE_UNAVAILABLE, NOT_KEPT)

    return [Route("/healthz", alive), Route("/readyz", ready)]
