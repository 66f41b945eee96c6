"""What stands in for vLLM: a package whose server takes the requests that are sent, and counts words."""

from __future__ import annotations

from pathlib import Path

_SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

given = sys.argv[1:]
open("vllm.json", "w").write(json.dumps({"arguments": given, "pid": os.getpid()}))
if os.path.exists("vllm-is-broken"):
    sys.exit("there is no GPU")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        assert self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = body["messages"][-1]["content"].split()[: body["max_tokens"]]
        if words == ["refuse"]:
            self.send_response(400)
            self.end_headers()
            self.wfile.write(b"no such thing")
            return
        self.send_response(200)
        self.end_headers()
        for number in range(body["n"]):
            for word in words:
                self.send(index=number, delta={"content": word + " "}, finish_reason=None)
            if words == ["cut"]:
                return
            reason = "length" if len(words) == body["max_tokens"] else "stop"
            self.send(index=number, delta={}, finish_reason=reason)
        usage = {"prompt_tokens": 7, "completion_tokens": body["n"] * len(words)}
        self.data({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\\n\\n")

    def send(self, **choice):
        self.data({"choices": [choice]})

    def data(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\\n\\n")


port = int(given[given.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def install(folder: Path) -> None:
    """Write the package into a folder of Python's."""
    place = folder / "vllm" / "entrypoints" / "cli"
    place.mkdir(parents=True)
    for package in (folder / "vllm", folder / "vllm" / "entrypoints", place):
        (package / "__init__.py").touch()
    (place / "main.py").write_text(_SERVER)
