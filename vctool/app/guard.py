"""Who may ask the server anything: checks that come before every route, and headers of all answers.

    Host       a name of this machine, or 421: a foreign name that was rebound to 127.0.0.1 is none
    Origin     the page itself, or 403; the same for what a browser calls a cross-site fetch
    path       plain, or 404: no `..`, no NUL, no encoded slash
    cookie     or 401, whatever the path; the address that was printed gives it, once per browser

Tokens have 256 bits and live as long as the server. Cookies of 127.0.0.1 are shared by all its
ports, so that the port is part of the cookie's name.
"""

import hmac
import re
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of all but reports."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-store",
}
"""Headers of every answer; a route's own win."""

HOSTS = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?")
"""Names by which a browser on this machine, or at the end of an ssh tunnel, may ask."""

SITES = ("same-origin", "none")
"""Values of Sec-Fetch-Site: the page's own requests, and an address that a user opened."""

FORBIDDEN = re.compile(rb"%2f|%5c|%00|\\|//|(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
"""What no plain path has in it, as sent."""


class Guard:
    """The checks, around an application.

    Args:
        app: is asked what passes.
        token: what the printed address and the cookie hold.
        port: of the server.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.cookie = f"vctool-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return  # no websockets here

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, sent)
        else:
            await self.app(scope, receive, sent)

    def _refused(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not pass."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or HOSTS.fullmatch(hosts[0]) is None:
            return refusal(421, "This server answers to names of this machine alone.")
        origins = headers.getlist("origin")
        if any(one != f"http://{hosts[0]}" for one in origins):
            return refusal(403, "Another page may not ask this server.")
        if headers.get("sec-fetch-site", "none") not in SITES:
            return refusal(403, "Another page may not ask this server.")
        given = QueryParams(scope["query_string"]).getlist("token")
        if scope["path"] == "/" and given:
            if len(given) > 1 or not self._known(given[0]):
                return refusal(401, "This address is of an earlier start; the terminal has a new.")
            told = RedirectResponse("/", 303)
            told.set_cookie(self.cookie, self.token, path="/", httponly=True, samesite="strict")
            return told
        if not self._known(self._cookie(headers)):
            return refusal(401, "Open the address that vctool app printed in the terminal.")
        if FORBIDDEN.search(scope["raw_path"]) or "\0" in scope["path"]:
            return refusal(404, "There is nothing here.")
        return None

    def _known(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value


def refusal(status: int, why: str) -> JSONResponse:
    """Return an answer that says in one sentence why there is no other."""
    # A body may still be coming in that nobody will read.
    return JSONResponse({"error": why}, status, headers={"connection": "close"})
