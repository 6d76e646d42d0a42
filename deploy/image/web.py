#!/usr/bin/env python3
"""A web server of files that knows ranges (RFC 9110, section 14), as every real one does and Python's own does not.

    web.py ADDRESS PORT FOLDER

Each answer is told on standard output: path, status, bytes.
"""

from __future__ import annotations

import functools
import http.server
import re
import sys
from pathlib import Path


class Ranges(http.server.SimpleHTTPRequestHandler):
    """One range a request: ``bytes=BEGIN-`` or ``bytes=BEGIN-END``; anything else gets the whole file."""

    def do_GET(self) -> None:
        """A file, or a part of it."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        length = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2]) + 1 if wanted and wanted[2] else length, length)
        if begin >= end:
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(end - begin))
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{length}")
        self.end_headers()
        print(path.name, 206 if wanted else 200, end - begin, flush=True)
        with path.open("rb") as file:
            file.seek(begin)
            for at in range(begin, end, 1 << 16):
                self.wfile.write(file.read(min(1 << 16, end - at)))

    def log_message(self, *_: object) -> None:
        """Not in Python's words."""


def main() -> None:
    """See the module."""
    address, port, folder = sys.argv[1:]
    handler = functools.partial(Ranges, directory=folder)
    http.server.ThreadingHTTPServer((address, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main()
