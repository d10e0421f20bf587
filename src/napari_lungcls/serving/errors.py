"""Errors of a server: one JSON document with what is wrong and what to do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteError

from napari_lungcls.errors import InputError, Wording
from napari_lungcls.utils.printable import printable

CODES = {
    400: "ValidationError",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationError",
    424: "ModelError",
    499: "Cancelled",
    500: "InternalError",
    503: "Busy",
    504: "Timeout",
}
"""Names of the statuses; those of SageMaker's where it has one."""


class Refusal(HTTPException):
    """An answer that is an error, with the remedy.

    Parameters
    ----------
    status
        HTTP status.
    problem, remedy
        What is wrong, and what to do.
    retry_after
        Seconds after which to try again, or None.
    """

    def __init__(
        self, status: int, problem: str, remedy: str = "", *, retry_after: int | None = None
    ) -> None:
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(status, problem, headers)
        self.remedy = remedy


class ApiWording(Wording):
    """Names settings as the fields of a request."""

    def use(self, setting: str, value: Any) -> str:
        """Ask for a value of a field."""
        if value is None:
            return f"leave {setting} out"
        return f"give {setting}" if value is ... else f"give {setting} as {value}"


def refusal(error: InputError, status: int = 400) -> Refusal:
    """Turn an error of the input into an answer."""
    problem, _, remedy = error.told(ApiWording()).partition("; ")
    return Refusal(status, problem, remedy)


def error_response(
    status: int, problem: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """Write an error; `Message` is where clients of SageMaker look."""
    code = CODES.get(status, "Error")
    problem, remedy = printable(problem), printable(remedy)  # They may quote the request.
    message = f"{problem}; {remedy}" if remedy else problem
    document = {
        "error": {"code": code, "problem": problem, "remedy": remedy},
        "ErrorCode": code,
        "Message": message,
    }
    return JSONResponse(document, status, {"x-amzn-errortype": code, **(headers or {})})


def install(app: FastAPI) -> None:
    """Answer all errors of an app in this form."""

    @app.exception_handler(StarletteError)
    def known(_: Request, error: StarletteError) -> JSONResponse:
        remedy = getattr(error, "remedy", "")
        return error_response(error.status_code, str(error.detail), remedy, error.headers)  # type: ignore[arg-type]

    @app.exception_handler(InputError)
    def wrong(_: Request, error: InputError) -> JSONResponse:
        found = refusal(error)
        return error_response(400, str(found.detail), found.remedy)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body") or "the request"
        return error_response(400, f"{where}: {first['msg']}", "see /openapi.json")

    @app.exception_handler(Exception)
    def defect(_: Request, error: Exception) -> JSONResponse:
        return error_response(500, "a defect of the server", "tell who runs it; its log says more")
