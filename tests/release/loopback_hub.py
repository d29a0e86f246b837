"""A hub on this machine: as much of the protocol as publishing and loading a data set takes. For tests.

Repositories live in memory. Shards and pictures go through the protocol of Git LFS, as they do on the hub; a
client that would use Xet has to be told not to (`HF_HUB_DISABLE_XET=1`). With `lfs` off, all comes in commits.
"""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"  # the tokens that are known
_LARGE = (".tar", ".png", ".safetensors")


def blob_id(data: bytes) -> str:
    """The name that git gives to the contents of a file."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()


@dataclass
class Repo:
    """A repository: branches with their files, and every commit by its number."""

    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b""}})
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def sha(self, branch: str) -> str:
        """The name of a branch's last commit."""
        files = self.branches[branch]
        name = hashlib.sha1(
            repr(sorted((path, blob_id(data)) for path, data in files.items())).encode()
        ).hexdigest()
        self.commits[name] = dict(files)
        return name

    def files(self, revision: str) -> dict[str, bytes] | None:
        """The files of a branch or commit."""
        return self.branches.get(revision, self.commits.get(revision))


class Stall:
    """Lets some requests of a kind pass; the next one waits until it is released, and gets no answer."""

    def __init__(self, kind: str, passing: int) -> None:
        self.kind, self.passing = kind, passing
        self.lock = threading.Lock()
        self.reached, self.released = threading.Event(), threading.Event()

    def meet(self, kind: str) -> bool:
        """Whether the request has to be dropped."""
        if kind != self.kind or self.released.is_set():
            return False
        with self.lock:
            self.passing -= 1
            if self.passing >= 0:
                return False
        self.reached.set()
        self.released.wait(300)
        return True


class LoopbackHub:
    """The state of the hub, and what was asked of it."""

    def __init__(self, lfs: bool) -> None:
        self.lfs = lfs
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # large files by SHA-256
        self.requests: list[str] = []  # METHOD PATH
        self.stored: list[str] = []  # SHA-256 of each large file, every time it came
        self.tokens: set[str] = set()  # that came with requests
        self.stall: Stall | None = None
        self.status: dict[str, int] = {}  # path prefix: what to answer in place of doing anything
        self.endpoint = ""

    def is_large(self, path: str) -> bool:
        """Whether a file goes through the protocol of large files."""
        return self.lfs and path.endswith(_LARGE)


@contextmanager
def loopback_hub(lfs: bool = True) -> Iterator[LoopbackHub]:
    """A hub that answers at `endpoint` as long as the block runs."""
    hub = LoopbackHub(lfs)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        if hub.stall is not None:
            hub.stall.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or are killed, are no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", **more: str) -> None:
        self.status, self.code, self.message, self.more = status, code, message, more


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.hub.requests.append(f"{self.command} {path}")
        body = self._body()
        try:
            for prefix, status in self.hub.status.items():
                if path.startswith(prefix):
                    raise _Refusal(status, message="as the test asked for")
            self._route(path, body)
        except _Refusal as refusal:
            headers = {"X-Error-Message": refusal.message or f"status {refusal.status}"}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self._json({"error": headers["X-Error-Message"], **refusal.more}, refusal.status, headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _route(self, path: str, body: bytes) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        match self.command, parts:
            case "POST", ["api", "repos", "create"]:
                self._create(json.loads(body))
            case "POST", ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            case _, ["api", "datasets", owner, name, *rest]:
                self._api(f"{owner}/{name}", rest, body)
            case "POST", ["datasets", owner, name, "info", "lfs", "objects", "batch"] if name.endswith(".git"):
                self._writable(f"{owner}/{name.removesuffix('.git')}")
                self._batch(json.loads(body))
            case "PUT", ["objects", sha256]:
                self._store(sha256, body)
            case _, ["datasets", owner, name, "resolve", revision, *rest]:
                self._resolve(f"{owner}/{name}", revision, "/".join(rest))
            case _:
                raise _Refusal(404, message=f"no such place: {path}")

    def _api(self, repo_id: str, rest: list[str], body: bytes) -> None:
        match self.command, rest:
            case "GET", []:
                self._info(repo_id, "main")
            case "GET", ["revision", revision]:
                self._info(repo_id, revision)
            case "GET", ["tree", revision, *folder]:
                files = self._files(repo_id, revision)
                self._tree(files, "/".join(folder), self.query.get("recursive", "").lower() == "true")
            case "POST", ["paths-info", revision]:
                files = self._files(repo_id, revision)
                wanted = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
                self._json([self._entry(name, files[name]) for name in wanted if name in files])
            case "POST", ["branch", branch]:
                repo = self._writable(repo_id)
                if branch in repo.branches:
                    raise _Refusal(409)
                repo.branches[branch] = dict(repo.branches["main"])
                self._json({})
            case "POST", ["preupload", branch]:
                repo = self._writable(repo_id)
                files = self._branch(repo, branch)
                self._json({"files": [self._mode(item["path"], files) for item in json.loads(body)["files"]]})
            case "POST", ["commit", branch]:
                repo = self._writable(repo_id)
                self._commit(repo, repo_id, branch, [json.loads(line) for line in body.splitlines()])
            case _:
                raise _Refusal(404, message=f"no such place: {rest}")

    def _token(self) -> str:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if token:
            self.hub.tokens.add(token)
        if token and (scheme != "Bearer" or token not in (WRITER, READER)):
            raise _Refusal(401, message="Invalid username or password.")
        return token

    def _readable(self, repo_id: str) -> Repo:
        repo = self.hub.repos.get(repo_id)
        token = self._token()
        if repo is None or (repo.private and not token):
            raise _Refusal(404 if token else 401, "RepoNotFound", "Repository not found")
        return repo

    def _writable(self, repo_id: str) -> Repo:
        if self._token() != WRITER:
            raise _Refusal(403, message="You have read access but not the required permissions for this operation")
        return self._readable(repo_id)

    def _branch(self, repo: Repo, branch: str) -> dict[str, bytes]:
        if branch not in repo.branches:
            raise _Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        return repo.branches[branch]

    def _files(self, repo_id: str, revision: str) -> dict[str, bytes]:
        files = self._readable(repo_id).files(revision)
        if files is None:
            raise _Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return files

    def _create(self, value: dict[str, Any]) -> None:
        if self._token() != WRITER:
            status = 403 if self._token() else 401
            raise _Refusal(status, message="You don't have the rights to create a dataset under this namespace")
        assert value["type"] == "dataset"
        repo_id = f"{value['organization']}/{value['name']}"
        if value["organization"] != "org":
            raise _Refusal(403, message="You don't have the rights to create a dataset under this namespace")
        if repo_id in self.hub.repos:
            url = f"{self.hub.endpoint}/datasets/{repo_id}"
            raise _Refusal(409, message="You already created this dataset repo", url=url)
        private = value.get("visibility") == "private" or value.get("private", False)
        self.hub.repos[repo_id] = Repo(bool(private))
        self._json({"url": f"{self.hub.endpoint}/datasets/{repo_id}"})

    def _info(self, repo_id: str, revision: str) -> None:
        repo, files = self._readable(repo_id), self._files(repo_id, revision)
        sha = repo.sha(revision) if revision in repo.branches else revision
        siblings = [{"rfilename": name} for name in files]
        value = {"id": repo_id, "sha": sha, "private": repo.private, "siblings": siblings, "tags": []}
        self._json({**value, "gated": False, "disabled": False, "downloads": 0, "likes": 0})

    def _tree(self, files: dict[str, bytes], folder: str, recursive: bool) -> None:
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for name, data in files.items():
            if not name.startswith(prefix):
                continue
            parts = name.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                above = prefix + "/".join(parts[:depth])
                entries[above] = {"type": "directory", "path": above, "oid": blob_id(above.encode()), "size": 0}
            if recursive or len(parts) == 1:
                entries[name] = self._entry(name, data)
        if folder and not entries:
            raise _Refusal(404, "EntryNotFound", f"{folder} does not exist")
        self._json([entries[name] for name in sorted(entries)])

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "oid": blob_id(data), "size": len(data)}
        if self.hub.is_large(name):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def _mode(self, name: str, files: dict[str, bytes]) -> dict[str, Any]:
        entry = self._entry(name, files[name]) if name in files else {}
        oid = entry.get("lfs", {}).get("oid", entry.get("oid"))
        mode = "lfs" if self.hub.is_large(name) else "regular"
        return {"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _batch(self, value: dict[str, Any]) -> None:
        assert value["operation"] == "upload"
        objects = []
        for item in value["objects"]:
            upload = {"href": f"{self.hub.endpoint}/objects/{item['oid']}", "header": {}}
            there = item["oid"] in self.hub.objects
            objects.append({**item} if there else {**item, "actions": {"upload": upload}})
        self._json({"transfer": "basic", "objects": objects})

    def _store(self, sha256: str, body: bytes) -> None:
        if self._stalled("object"):
            return
        assert "Authorization" not in self.headers  # stores of large files belong to others, who see no tokens
        if hashlib.sha256(body).hexdigest() != sha256:
            raise _Refusal(400, message="other bytes than announced")
        self.hub.stored.append(sha256)
        self.hub.objects[sha256] = body
        self._json({})

    def _commit(self, repo: Repo, repo_id: str, branch: str, lines: list[dict[str, Any]]) -> None:
        if self._stalled("commit"):
            return
        files = dict(self._branch(repo, branch))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "header":
                repo.messages.append(value["summary"])
            else:
                raise _Refusal(400, message=f"not understood: {line['key']}")
        repo.branches[branch] = files
        sha = repo.sha(branch)
        url = f"{self.hub.endpoint}/datasets/{repo_id}/commit/{sha}"
        self._json({"success": True, "commitUrl": url, "commitOid": sha})

    def _stalled(self, kind: str) -> bool:
        if self.hub.stall is None or not self.hub.stall.meet(kind):
            return False
        self.close_connection = True
        return True

    def _resolve(self, repo_id: str, revision: str, name: str) -> None:
        repo, files = self._readable(repo_id), self._files(repo_id, revision)
        if name not in files:
            raise _Refusal(404, "EntryNotFound", "Entry not found")
        data, entry = files[name], self._entry(name, files[name])
        etag = entry.get("lfs", {}).get("oid", entry["oid"])
        sha = repo.sha(revision) if revision in repo.branches else revision
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if "lfs" in entry:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
        if (asked := self.headers.get("Range")) is None:
            self._answer(200, data, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) if last else len(data) - 1, len(data) - 1)
        if start >= len(data):
            raise _Refusal(416)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        self._answer(206, data[start : end + 1], headers)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
