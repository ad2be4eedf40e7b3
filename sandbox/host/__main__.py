"""`pulumi-language-python ENGINE_ADDRESS`: the engine starts it, reads the port from standard output, and calls it."""

import sys

from sandbox.host.server import serve

if __name__ == "__main__":
    serve(sys.argv[1:])
