"""An identity provider of OpenID Connect for tests: it asks nobody anything and says what the test wants said.

Discovery, authorization code with PKCE, and RS256-signed identity tokens, as in OpenID Connect Core 1.0, section 3.1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "retail-seg", "the client's secret"


class Provider:
    """What the provider says of whoever comes: `claims`, with `seconds` to go until the token expires.

    `honest` False signs with a key that the provider does not publish. `seen` holds the paths that were asked for.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.seconds = 600
        self.honest = True
        self.seen: list[str] = []
        self.address = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.keys = {name: RSAKey.generate_key(2048, {"kid": "the key"}) for name in ("published", "stolen")}

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def published(self) -> dict[str, Any]:
        return {"keys": [self.keys["published"].as_dict(private=False) | {"use": "sig", "alg": "RS256"}]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Whereto the browser goes on, with a code that can be used once."""
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and "openid" in asked["scope"].split()
        code = uuid.uuid4().hex
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, given: dict[str, str], credentials: str) -> dict[str, Any]:
        asked = self.codes.pop(given["code"])
        assert base64.b64decode(credentials.removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"
        assert given["redirect_uri"] == asked["redirect_uri"]
        proof = hashlib.sha256(given["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(proof).rstrip(b"=").decode() == asked["code_challenge"]
        key = self.keys["published" if self.honest else "stolen"]
        now = int(time.time())
        about = {"iss": self.address, "aud": CLIENT, "sub": "1", "iat": now - 60, "exp": now + self.seconds}
        claims = {**about, "nonce": asked.get("nonce", ""), **self.claims}
        signed = jwt.encode({"alg": "RS256", "kid": "the key"}, claims, key)
        return {"access_token": uuid.uuid4().hex, "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port of this computer, until the block ends."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            provider.seen.append(asked.path)
            if asked.path == "/authorize":
                self.send_response(302)
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
            elif asked.path == "/.well-known/openid-configuration":
                self._json(provider.discovery())
            elif asked.path == "/keys":
                self._json(provider.published())
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            provider.seen.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
            self._json(provider.token(given, self.headers["Authorization"]))

        def _json(self, values: dict[str, Any]) -> None:
            data = json.dumps(values).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
