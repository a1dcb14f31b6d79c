"""A receiver of webhooks that stores requests and responds as configured."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Keeps what was posted, and answers each request with the next of its answers, then 204.

    An answer is a status, a status with headers, or seconds of silence as a float.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    @contextmanager
    def at(self):
        """Its address, while it listens."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                if isinstance(answer, float):
                    time.sleep(answer)
                    self.close_connection = True
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def do_GET(self):
                receiver.requests.append((self.path, dict(self.headers), b""))

            def log_message(self, *_):
                pass

        return Handler


def ids(receiver):
    """The `webhook-id` of each request."""
    return [
        {name.lower(): value for name, value in headers.items()}["webhook-id"]
        for _, headers, _ in receiver.requests
    ]
