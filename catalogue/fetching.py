"""Pictures from web addresses named in an import: limited in size and time, and never from inside one's own network.

A name is resolved once, its addresses are checked, and the connection goes to an address that was checked, so that a
second answer of the name server cannot lead elsewhere (DNS rebinding). Redirects are followed by the same rules.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from catalogue.errors import PictureRefused

MAX_BYTES = 20 * 2**20
SECONDS = 20.0
MAX_REDIRECTS = 5
CHUNK = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, also when IPv6 wraps an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True)
class Fetcher:
    """Called with an address it returns the bytes found there, or raises PictureRefused with the reason.

    `allowed` decides about the IP addresses that may be connected to.
    """

    max_bytes: int = MAX_BYTES
    seconds: float = SECONDS
    allowed: Callable[[Address], bool] = is_public

    def __call__(self, url: str) -> bytes:
        deadline = time.monotonic() + self.seconds
        for _ in range(MAX_REDIRECTS + 1):
            data, onward = self._get(_checked_url(url), deadline)
            if onward is None:
                return data
            url = urljoin(url, onward)
        raise PictureRefused(f"is redirected more than {MAX_REDIRECTS} times; give the final address")

    def _get(self, parts: SplitResult, deadline: float) -> tuple[bytes, str | None]:
        """One request: (bytes, None), or (b"", where it is redirected to)."""
        connection = self._connect(parts, deadline)
        # The socket's own timeout starts anew with each byte; this one ends a server that drips.
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [connection])
        timer.daemon = True
        timer.start()
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": "retail-seg", "Accept": "image/*"})
            response = connection.getresponse()
            onward = response.getheader("Location")
            if response.status in REDIRECTS and onward:
                return b"", onward
            if response.status != 200:
                raise PictureRefused(f"the server answers {response.status} {response.reason}")
            return self._body(response, deadline), None
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # AttributeError: http.client reads on from a socket that the timer has closed
            if time.monotonic() >= deadline:
                raise PictureRefused(f"takes longer than {self.seconds:g} s") from None
            raise PictureRefused(f"cannot be fetched ({error or type(error).__name__})") from None
        finally:
            timer.cancel()
            connection.close()

    def _body(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        too_large = PictureRefused(f"is larger than {self.max_bytes / 2**20:g} MB")
        if int(response.getheader("Content-Length") or 0) > self.max_bytes:
            raise too_large
        parts, size = [], 0
        while chunk := response.read1(CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > self.max_bytes:
                raise too_large
        if time.monotonic() >= deadline:
            raise TimeoutError
        expected = response.getheader("Content-Length")
        if expected and size < int(expected):
            raise PictureRefused(f"broke off after {size} of {expected} bytes; import again")
        return b"".join(parts)

    def _connect(self, parts: SplitResult, deadline: float) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        secure = parts.scheme.lower() == "https"
        port = parts.port or (443 if secure else 80)
        address = self._resolve(host, port)
        timeout = max(0.1, deadline - time.monotonic())
        try:
            plain = socket.create_connection((str(address), port), timeout=timeout)
            if secure:
                plain = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except OSError as error:
            raise PictureRefused(f"{host} cannot be reached ({error})") from None
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        if secure and port == 443:
            connection.default_port = port  # else the Host header would name it
        connection.sock = plain
        return connection

    def _resolve(self, host: str, port: int) -> Address:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PictureRefused(f"{host} is not known to the name server; check the address") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            if not self.allowed(address):
                raise PictureRefused(f"{host} lies in a private network ({address}); give the picture as a file")
        return addresses[0]


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise PictureRefused("is no web address") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise PictureRefused("is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise PictureRefused("has a name and password in it; give an address without them")
    if any(ord(char) <= 32 or ord(char) > 126 for char in parts.path + parts.query + parts.hostname):
        raise PictureRefused("has blanks or special characters; write them percent-encoded")
    return parts


def _cut(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed meanwhile, which is all that is wanted
