"""The comment on GitHub: made once, written anew ever after, only on the pull request that was previewed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ci import post
from ci.comment import MARKER

HEAD = "a" * 40


class Api(BaseHTTPRequestHandler):
    """As much of GitHub's API as a comment needs."""

    comments: dict[int, dict[str, Any]]
    tokens: set[str]

    def answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self.tokens.add(self.headers["Authorization"])
        if self.path == "/repos/o/r/pulls/7":
            self.answer(200, {"head": {"sha": HEAD}})
        elif self.path.startswith("/repos/o/r/issues/7/comments?"):
            page = int(self.path.rpartition("page=")[2])
            self.answer(200, list(self.comments.values())[(page - 1) * 100 : page * 100])
        else:
            self.answer(404, {"message": "Not Found"})

    def do_POST(self) -> None:
        number = max(self.comments, default=0) + 1
        self.comments[number] = {"id": number, "user": {"type": "Bot"}, **self.body()}
        self.answer(201, {"id": number})

    def do_PATCH(self) -> None:
        self.comments[int(self.path.rpartition("/")[2])].update(self.body())
        self.answer(200, {})

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    api = type("OneApi", (Api,), {"comments": {}, "tokens": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    yield api
    server.shutdown()
    server.server_close()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "comment.md"
    file.write_text(f"{MARKER}\nfirst")
    return file


def run(text: Path, number: str = "7", commit: str = HEAD) -> int:
    return post.main([str(text), "--pull-request", number, "--commit", commit])


def test_a_second_preview_updates_the_first_comment(github: type[Api], text: Path) -> None:
    people = {n: {"id": n, "user": {"type": "User"}, "body": f"{MARKER} quoted"} for n in range(1, 151)}
    github.comments.update(people)
    assert run(text) == 0
    text.write_text(f"{MARKER}\nsecond")
    assert run(text) == 0
    assert len(github.comments) == 151
    assert github.comments[151]["body"] == f"{MARKER}\nsecond"
    assert github.comments[1]["body"] == f"{MARKER} quoted"
    assert github.tokens == {"Bearer t"}


def test_another_pull_requests_number_is_not_believed(
    github: type[Api], text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(text, commit="b" * 40) == 1
    assert "the preview is of bbbbbbbbbbbb" in capsys.readouterr().err
    assert github.comments == {}


def test_the_number_may_stand_in_a_file_and_nothing_else_may(github: type[Api], text: Path, tmp_path: Path) -> None:
    number = tmp_path / "pull-request"
    number.write_text("7\n")
    assert run(text, str(number)) == 0
    number.write_text("7/../8")
    assert run(text, str(number)) == 1


def test_a_refusal_of_github_is_one_sentence(github: type[Api], text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(text, "8") == 1
    assert "GitHub answers GET /pulls/8 with 404" in capsys.readouterr().err
