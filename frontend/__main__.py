"""``python -m frontend``: serve one model; everything is said by environment variables (see settings.py)."""

from __future__ import annotations

import os
import sys

import uvloop

from frontend.engines import connect
from frontend.server import serve
from frontend.settings import SettingsError, read_settings
from frontend.tokenizer import Tokenizer, TokenizerError


def main() -> int:
    """Run the server; the exit status is 2 for wrong settings."""
    try:
        settings = read_settings(os.environ)
        tokenizer = Tokenizer(settings.tokenizer_dir)
    except (SettingsError, TokenizerError) as error:
        print(f"frontend: {error}", file=sys.stderr)
        return 2
    try:
        uvloop.run(serve(settings, tokenizer, connect(settings, tokenizer)))
    except OSError as error:
        print(f"frontend: cannot listen on {settings.host}:{settings.port} ({error.strerror}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
