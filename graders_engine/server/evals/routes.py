"""The routes of the Evals API."""

from __future__ import annotations

from graders_engine.server.evals import description
from graders_engine.server.evals.context import Context, refusing
from graders_engine.server.evals.evals import EvalHandlers
from graders_engine.server.evals.output_items import ItemHandlers
from graders_engine.server.evals.reports import ReportHandler
from graders_engine.server.evals.runs import RunHandlers
from graders_engine.server.routes import Body, Handler, Operation, Route

EVAL = "/evals/{eval_id}"
RUN = f"{EVAL}/runs/{{run_id}}"
ITEMS = f"{RUN}/output_items"


def eval_routes(context: Context) -> list[Route]:
    """The entries of the table of routes.

    Args:
        context: what their handlers need.
    """
    evals, runs, items = EvalHandlers(context), RunHandlers(context), ItemHandlers(context)
    reports = ReportHandler(context)

    def entry(method: str, pattern: str, handler: Handler, operation: Operation) -> Route:
        body = Body.NONE
        if method == "POST":
            body = Body.JSON if operation.request else Body.OPTIONAL
        return Route(method, pattern, refusing(handler), body=body, operation=operation)

    return [
        entry("POST", "/evals", evals.create, description.CREATE_EVAL),
        entry("GET", "/evals", evals.list, description.LIST_EVALS),
        entry("GET", EVAL, evals.retrieve, description.RETRIEVE_EVAL),
        entry("POST", EVAL, evals.update, description.UPDATE_EVAL),
        entry("DELETE", EVAL, evals.delete, description.DELETE_EVAL),
        entry("POST", f"{EVAL}/runs", runs.create, description.CREATE_RUN),
        entry("GET", f"{EVAL}/runs", runs.list, description.LIST_RUNS),
        entry("GET", RUN, runs.retrieve, description.RETRIEVE_RUN),
        entry("POST", RUN, runs.cancel, description.CANCEL_RUN_SHORT),
        entry("POST", f"{RUN}/cancel", runs.cancel, description.CANCEL_RUN),
        entry("DELETE", RUN, runs.delete, description.DELETE_RUN),
        entry("GET", ITEMS, items.list, description.LIST_ITEMS),
        entry("GET", f"{ITEMS}/{{item_id}}", items.retrieve, description.RETRIEVE_ITEM),
        Route("GET", "/reports/{run_id}", refusing(reports.show), versioned=False, browsed=True),
    ]
