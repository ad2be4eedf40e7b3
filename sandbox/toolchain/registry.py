"""The package registries this machine is set up with, for tools that do not read pip's configuration (uv).

Standard library only: bootstrap.sh runs this file before there is an environment.
"""

import configparser
import os
import shlex
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
DEFAULT_GOPROXY = "https://proxy.golang.org"


def _pip_setting(name: str) -> str | None:
    """One of pip's global settings; the environment wins over the files, and later files over earlier ones."""
    if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
        return value
    home = Path(os.environ.get("HOME") or "~").expanduser()
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", configuration / "pip/pip.conf"]
    if chosen := os.environ.get("PIP_CONFIG_FILE"):
        files = [Path(chosen)]
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(files)
    except configparser.Error:
        return None  # pip itself will complain about its file
    for section in ("install", "global"):
        if value := parser.get(section, name, fallback=None):
            return value
    return None


def package_index() -> str:
    """The URL of the Python package index."""
    chosen = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    return chosen or _pip_setting("index-url") or DEFAULT_INDEX


def go_proxy() -> str:
    """The URL of the first Go module proxy (GOPROXY is a list separated by commas or bars)."""
    first = os.environ.get("GOPROXY", "").replace("|", ",").split(",")[0]
    return first or DEFAULT_GOPROXY


def uv_environment() -> dict[str, str]:
    """What uv must be told to use the index, the extra indexes and the certificates that pip would use."""
    found: dict[str, str] = {}
    if not os.environ.get("UV_DEFAULT_INDEX") and not os.environ.get("UV_INDEX_URL"):
        index = _pip_setting("index-url")
        if index:
            found["UV_DEFAULT_INDEX"] = index
    if not os.environ.get("UV_INDEX"):
        extra = _pip_setting("extra-index-url")
        if extra:
            found["UV_INDEX"] = " ".join(extra.split())
    if not os.environ.get("SSL_CERT_FILE"):
        certificates = _pip_setting("cert")
        if certificates and Path(certificates).is_file():
            found["SSL_CERT_FILE"] = certificates
    return found


if __name__ == "__main__":
    for name, value in uv_environment().items():
        print(f"export {name}={shlex.quote(value)}")
