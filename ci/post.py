"""`python -m ci.post`: the comment on a pull request, made once and written anew ever after.

Runs where a token may write to pull requests, on what a run without any rights has left: nothing of that is
believed. The pull request's number is only used when its head is the commit that was previewed.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ci.comment import MARKER

PER_PAGE = 100
WITHIN = 30.0  # seconds for one answer


class PostError(Exception):
    """The comment cannot be written; the text says why."""


class GitHub:
    """One repository through GitHub's REST API (version 2022-11-28)."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self.base, self.token = f"{api.rstrip('/')}/repos/{repository}", token

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call's answer. Raises PostError."""
        request = urllib.request.Request(
            f"{self.base}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "llmops-preview",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise PostError(f"GitHub answers {method} {path} with {error.code}: {error.reason}.") from None
        except (OSError, ValueError) as error:
            raise PostError(f"GitHub does not answer {method} {path}: {error}.") from None

    def head(self, pull_request: int) -> str:
        """The commit that a pull request asks to merge."""
        return str(self.request("GET", f"/pulls/{pull_request}")["head"]["sha"])

    def mine(self, pull_request: int) -> int | None:
        """The id of the comment with our marker, written by an app or an action; None where there is none."""
        page = 1
        while True:
            path = f"/issues/{pull_request}/comments?per_page={PER_PAGE}&page={page}"
            found: list[dict[str, Any]] = self.request("GET", path)
            for entry in found:
                if str(entry.get("body", "")).startswith(MARKER) and entry.get("user", {}).get("type") == "Bot":
                    return int(entry["id"])
            if len(found) < PER_PAGE:
                return None
            page += 1


def post(github: GitHub, pull_request: int, text: str, commit: str) -> str:
    """Write the comment; what was done. Raises PostError for a pull request that is not the commit's."""
    head = github.head(pull_request)
    if head != commit:
        raise PostError(
            f"pull request {pull_request} is at {head[:12]}, the preview is of {commit[:12]}; nothing is said."
        )
    mine = github.mine(pull_request)
    if mine is None:
        github.request("POST", f"/issues/{pull_request}/comments", {"body": text})
        return "written"
    github.request("PATCH", f"/issues/comments/{mine}", {"body": text})
    return "updated"


def main(arguments: Sequence[str] | None = None) -> int:
    """Post one file; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ci.post", description=__doc__)
    parser.add_argument("comment", type=Path)
    parser.add_argument("--pull-request", required=True, help="a number, or a file that holds one")
    parser.add_argument("--commit", required=True, help="the commit that was previewed")
    given = parser.parse_args(arguments)
    environment = os.environ
    try:
        file = Path(given.pull_request)
        number = (file.read_text() if file.is_file() else given.pull_request).strip()
        if not number.isdigit():
            raise PostError(f"{given.pull_request!r} is no pull request's number.")
        github = GitHub(
            environment.get("GITHUB_API_URL", "https://api.github.com"),
            environment["GITHUB_REPOSITORY"],
            environment["GITHUB_TOKEN"],
        )
        print(f"comment on {number} {post(github, int(number), given.comment.read_text(), given.commit)}")
    except KeyError as missing:
        print(f"post: {missing.args[0]} is not set; run this in a workflow.", file=sys.stderr)
        return 2
    except (PostError, OSError) as error:
        print(f"post: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
