"""The operator's session in a browser: a signed cookie, and forms that only its pages can send.

Nothing of it is stored. The signing key comes from the operator's token, so all workers have the
same one, and whoever changes the token ends every session. Logging out forgets the cookie in that
browser; one that was copied elsewhere lives on until it expires or the token is changed.
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from flask import Response, request
from itsdangerous import BadData, URLSafeTimedSerializer

from cairn.config import Config
from cairn.web.bodies import read_form
from cairn.web.operator import operator_token
from cairn.web.problems import ApiProblem
from cairn.web.security import check_origin

SESSION_SECONDS = 8 * 3_600
"""From the login on, whatever happens meanwhile."""
FLASH_SECONDS = 60
COOKIE_PATH = "/operator"
CSRF_FIELD = "form_token"
MAX_FORM_BYTES = 8_192
_MAX_FLASH_CHARACTERS = 600
_KEY_LABEL = b"cairn:operator-session:v1"


@dataclass(frozen=True, slots=True)
class Flash:
    """What came of the last action, shown once."""

    good: bool
    text: str


class Sessions:
    """Makes and reads the cookies of one operator's token."""

    def __init__(self, config: Config) -> None:
        """Raises ApiProblem `operator-disabled` where there is no token."""
        token = operator_token(config).encode()
        self._key = hmac.digest(token, _KEY_LABEL, "sha256")
        # Browsers send cookies to every port of a host: each node there has a name of its own.
        name = hmac.digest(self._key, b"cookie name", "sha256").hex()[:8]
        self.cookie = f"cairn-operator-{name}"
        self.flash_cookie = f"cairn-said-{name}"

    # -- the session -------------------------------------------------------------------------

    def begin(self, response: Response) -> None:
        """Logs the browser in that gets this response."""
        self._set(response, self.cookie, secrets.token_hex(16), SESSION_SECONDS)

    def end(self, response: Response) -> None:
        """Logs it out."""
        response.delete_cookie(self.cookie, path=COOKIE_PATH)

    def current(self) -> str | None:
        """What names the session of the current request; None: it has none that is good."""
        nonce = self._get(self.cookie, SESSION_SECONDS)
        return nonce if isinstance(nonce, str) else None

    def form_token(self, session: str) -> str:
        """What every form of this session's pages carries."""
        return hmac.digest(self._key, b"form:" + session.encode(), "sha256").hex()

    def check_form(self) -> dict[str, str]:
        """The fields of a form that one of the session's own pages sent.

        Raises ApiProblem `origin-refused`, `unauthorized` without a session, or `form-expired`.
        """
        check_origin()
        session = self.current()
        if session is None:
            raise ApiProblem("unauthorized", "log in as the operator first, at /operator")
        fields = read_form(MAX_FORM_BYTES)
        given = fields.pop(CSRF_FIELD, "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.form_token(session).encode()):
            raise ApiProblem("form-expired", "this form is not of your session; load it again")
        return fields

    # -- what came of it ---------------------------------------------------------------------

    def tell(self, response: Response, flash: Flash) -> None:
        """Has the next page say it."""
        value = [flash.good, flash.text[:_MAX_FLASH_CHARACTERS]]
        self._set(response, self.flash_cookie, value, FLASH_SECONDS)

    def told(self) -> Flash | None:
        """What the page before left to say.

        Nothing to the fresh copy that an open page fetches of itself: the person sees only parts
        of that, and it may cross the form that the page sends at the same moment.
        """
        if request.headers.get("X-Requested-With") == "XMLHttpRequest":
            return None
        value = self._get(self.flash_cookie, FLASH_SECONDS)
        return Flash(bool(value[0]), str(value[1])) if isinstance(value, list) else None

    def forget_told(self, response: Response) -> None:
        """It was said."""
        response.delete_cookie(self.flash_cookie, path=COOKIE_PATH)

    # -- cookies -----------------------------------------------------------------------------

    def _signer(self, cookie: str) -> URLSafeTimedSerializer:
        options = {"key_derivation": "hmac", "digest_method": sha256}
        return URLSafeTimedSerializer(self._key, salt=cookie, signer_kwargs=options)

    def _set(self, response: Response, cookie: str, value: object, seconds: int) -> None:
        response.set_cookie(
            cookie,
            self._signer(cookie).dumps(value),
            max_age=seconds,
            path=COOKIE_PATH,
            secure=request.is_secure,  # by a proxy's word too, where gunicorn trusts it
            httponly=True,
            samesite="Strict",
        )

    def _get(self, cookie: str, seconds: int) -> object:
        try:
            return self._signer(cookie).loads(request.cookies.get(cookie, ""), max_age=seconds)
        except BadData:
            return None
