"""The routes of fine-tuning jobs."""

from __future__ import annotations

from graders_engine.server.jobs import description
from graders_engine.server.jobs.context import Context, refusing
from graders_engine.server.jobs.handlers import JobHandlers
from graders_engine.server.routes import Body, Handler, Operation, Route

JOBS = "/fine_tuning/jobs"
JOB = f"{JOBS}/{{job_id}}"


def job_routes(context: Context) -> list[Route]:
    """The entries of the table of routes.

    Args:
        context: what their handlers need.
    """
    jobs = JobHandlers(context)

    def entry(method: str, pattern: str, handler: Handler, operation: Operation) -> Route:
        body = Body.NONE
        if method == "POST":
            body = Body.JSON if operation.request else Body.OPTIONAL
        return Route(method, pattern, refusing(handler), body=body, operation=operation)

    return [
        entry("POST", JOBS, jobs.create, description.CREATE_JOB),
        entry("GET", JOBS, jobs.list, description.LIST_JOBS),
        entry("GET", JOB, jobs.retrieve, description.RETRIEVE_JOB),
        entry("POST", f"{JOB}/cancel", jobs.cancel, description.CANCEL_JOB),
        entry("POST", f"{JOB}/pause", jobs.pause, description.PAUSE_JOB),
        entry("POST", f"{JOB}/resume", jobs.resume, description.RESUME_JOB),
        entry("GET", f"{JOB}/events", jobs.events, description.LIST_EVENTS),
        entry("GET", f"{JOB}/checkpoints", jobs.checkpoints, description.LIST_CHECKPOINTS),
    ]
