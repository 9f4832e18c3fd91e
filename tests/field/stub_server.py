"""A web server on this machine that answers every request in the same way."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep


@contextmanager
def stub_server(
    status: int, body: str = "", delay_seconds: float = 0
) -> Iterator[tuple[str, list[str]]]:
    """Give a server's address, and the list of the Authorization headers that it was sent."""
    logins: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            logins.append(self.headers.get("Authorization", ""))
            sleep(delay_seconds)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", logins
        finally:
            server.shutdown()
            thread.join()
