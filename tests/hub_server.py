"""A Hugging Face Hub for tests, over HTTP on this machine, with what a push and a download of a model need.

Repositories live in memory. Large files go the way of LFS: preupload, batch, PUT to a signed address, verify, commit.
Clients must run with ``HF_HUB_DISABLE_XET=1``, because Xet is not spoken here.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LFS_FROM = 100_000
"""Files of so many bytes, and all safetensors, go by LFS."""


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status, self.message, self.code = status, message, code


@dataclass
class File:
    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        git = hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()
        return self.sha256 if self.lfs else git

    def entry(self, path: str) -> dict[str, Any]:
        lfs = {"lfs": {"oid": self.sha256, "size": len(self.content), "pointerSize": 134}} if self.lfs else {}
        return {"type": "file", "path": path, "oid": self.etag, "size": len(self.content), **lfs}


@dataclass
class Repository:
    name: str
    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    head: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    """Names of commits, or of the heads of other branches."""
    sdk: str | None = None
    """Of a Space."""

    def commit(self, files: dict[str, File]) -> str:
        self.head = hashlib.sha1(f"{self.name} {len(self.commits)}".encode()).hexdigest()
        self.commits[self.head] = files
        return self.head

    def at(self, revision: str) -> tuple[str, dict[str, File]]:
        sha = self.head if revision in ("main", "HEAD") else self.tags.get(revision, revision)
        if sha not in self.commits:
            raise Refusal(404, f"no revision {revision}", "RevisionNotFound")
        return sha, self.commits[sha]


class HubServer:
    """``with HubServer({"token": ("ada", "write")}) as hub:`` serves at ``hub.url`` until the block ends."""

    def __init__(self, tokens: dict[str, tuple[str, str]]) -> None:
        self.tokens = tokens
        self.repositories: dict[str, Repository] = {}
        self.lfs: dict[str, bytes] = {}
        self.log: list[tuple[str, str, bool]] = []
        """Method, path, and whether a token was sent, of each request."""
        self.key = secrets.token_bytes(16)
        self.refuses_spaces = 0
        """Status with which a new Space is refused."""

    def __enter__(self) -> "HubServer":
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self.app(), log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()

    def app(self) -> Starlette:
        repo = "/api/models/{user}/{name}"
        routes = [
            Route("/api/whoami-v2", self.whoami),
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/validate-yaml", self.validate_yaml, methods=["POST"]),
            Route(repo + "/preupload/{revision}", self.preupload, methods=["POST"]),
            Route("/{user}/{name}.git/info/lfs/objects/batch", self.lfs_batch, methods=["POST"]),
            Route("/lfs/{oid}", self.lfs_put, methods=["PUT"]),
            Route("/lfs-verify", self.lfs_verify, methods=["POST"]),
            Route(repo + "/commit/{revision}", self.commit, methods=["POST"]),
            Route(repo, self.info),
            Route(repo + "/revision/{revision}", self.info),
            Route(repo + "/tree/{revision}", self.tree),
            Route(repo + "/tree/{revision}/{path:path}", self.tree),
            Route("/{user}/{name}/resolve/{revision}/{path:path}", self.resolve),
            Route("/datasets/{user}/{name}/resolve/{revision}/{path:path}", self.resolve),
        ]
        data = repo.replace("models", "datasets")
        routes += [
            Route(data, self.info),
            Route(data + "/revision/{revision}", self.info),
            Route(data + "/tree/{revision}", self.tree),
            Route(data + "/tree/{revision}/{path:path}", self.tree),
            Route(data + "/paths-info/{revision}", self.paths_info, methods=["POST"]),
        ]
        space = repo.replace("models", "spaces")
        routes += [
            Route(space, self.info),
            Route(space + "/revision/{revision}", self.info),
            Route(space + "/preupload/{revision}", self.preupload, methods=["POST"]),
            Route(space + "/commit/{revision}", self.commit, methods=["POST"]),
            Route("/spaces/{user}/{name}/resolve/{revision}/{path:path}", self.resolve),
        ]
        return Starlette(routes=routes, exception_handlers={Refusal: self.refuse})  # type: ignore[dict-item]

    async def refuse(self, _: Request, error: Refusal) -> Response:
        headers = {"X-Error-Message": error.message, **({"X-Error-Code": error.code} if error.code else {})}
        return JSONResponse({"error": error.message}, error.status, headers)

    def caller(self, request: Request, write_to: str | None = None) -> str | None:
        """The user of the token sent, or None; refused where it may not write to ``write_to``."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.log.append((request.method, request.url.path, bool(token)))
        if token and token not in self.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        user, role = self.tokens.get(token, (None, None))
        if write_to is not None and user is None:
            raise Refusal(401, "Invalid username or password.")
        if write_to is not None and (role != "write" or user != write_to):
            raise Refusal(403, f"You don't have the rights to write to {write_to}")
        return user

    def repository(self, request: Request, write: bool = False) -> Repository:
        owner, name = request.path_params["user"], request.path_params["name"]
        user = self.caller(request, owner if write else None)
        kind = re.match("/(?:api/)?(datasets/|spaces/|)", request.url.path)
        found = self.repositories.get(f"{kind[1] if kind else ''}{owner}/{name}")
        if found is None or (found.private and user != owner):
            raise Refusal(404 if user else 401, "Repository not found", "RepoNotFound")
        return found

    async def whoami(self, request: Request) -> Response:
        user = self.caller(request)
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        role = self.tokens[request.headers["authorization"].removeprefix("Bearer ")][1]
        return JSONResponse({"type": "user", "name": user, "orgs": [], "auth": {"accessToken": {"role": role}}})

    async def create(self, request: Request) -> Response:
        asked = await request.json()
        owner = asked.get("organization") or self.caller(request) or ""
        self.caller(request, owner)
        space = asked.get("type") == "space"
        if space and (self.refuses_spaces or not asked.get("sdk")):
            raise Refusal(self.refuses_spaces or 400, "no Space")
        plain = f"{owner}/{asked['name']}"
        name = f"{'spaces/' if space else ''}{plain}"
        answer = {"url": f"{self.url}/{name}", "name": plain, "id": plain}
        if name in self.repositories:
            return JSONResponse({"error": "You already created this model repo", **answer}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.repositories[name] = Repository(name, private, sdk=asked.get("sdk"))
        self.repositories[name].commit({".gitattributes": File(b"*.safetensors filter=lfs\n", False)})
        return JSONResponse(answer)

    async def validate_yaml(self, request: Request) -> Response:
        self.caller(request)
        asked = await request.json()
        parts = re.split(r"^---\n", asked["content"], maxsplit=2, flags=re.MULTILINE)
        try:
            data = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
            errors = [] if isinstance(data, dict) else ["no metadata block"]
            if asked.get("repoType") == "space":
                errors += [f"{key} is missing" for key in ("sdk", "app_file") if not (data or {}).get(key)]
            for model in (data or {}).get("model-index", []):
                for result in model["results"]:
                    metrics = [(metric["type"], float(metric["value"])) for metric in result["metrics"]]
                    if not (metrics and result["task"]["type"] and result["dataset"]["type"] and model["name"]):
                        errors.append("a result of the model-index is empty")
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            errors = [f"{type(error).__name__}: {error}"]
        found = {"errors": [{"message": message} for message in errors], "warnings": []}
        return JSONResponse(found, 400 if errors else 200)

    async def preupload(self, request: Request) -> Response:
        old = self.repository(request, write=True).at(request.path_params["revision"])[1]
        files = []
        for asked in (await request.json())["files"]:
            path = asked["path"]
            mode = "lfs" if path.endswith(".safetensors") or asked["size"] >= LFS_FROM else "regular"
            oid = old[path].etag if path in old else None
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return JSONResponse({"files": files})

    def signature(self, oid: str) -> str:
        return hmac.new(self.key, oid.encode(), "sha256").hexdigest()

    async def lfs_batch(self, request: Request) -> Response:
        self.repository(request, write=True)
        objects = []
        for asked in (await request.json())["objects"]:
            oid = asked["oid"]
            upload = {"href": f"{self.url}/lfs/{oid}?signature={self.signature(oid)}"}
            actions = {"upload": upload, "verify": {"href": f"{self.url}/lfs-verify"}}
            objects.append({**asked, **({} if oid in self.lfs else {"actions": actions})})
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def lfs_put(self, request: Request) -> Response:
        self.caller(request)
        oid, content = request.path_params["oid"], await request.body()
        if not hmac.compare_digest(request.query_params.get("signature", ""), self.signature(oid)):
            raise Refusal(403, "bad signature")
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, "the content has another sha256")
        self.lfs[oid] = content
        return Response()

    async def lfs_verify(self, request: Request) -> Response:
        asked = await request.json()
        if len(self.lfs.get(asked["oid"], b"")) != asked["size"]:
            raise Refusal(404, "the object is missing")
        return JSONResponse({})

    async def commit(self, request: Request) -> Response:
        repository = self.repository(request, write=True)
        files = dict(repository.at(request.path_params["revision"])[1])
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.lfs:
                    raise Refusal(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = File(self.lfs[value["oid"]], True)
            elif entry["key"] != "header":
                raise Refusal(400, f"{entry['key']} is not known here")
        sha = repository.commit(files)
        url = f"{self.url}/{repository.name}/commit/{sha}"
        return JSONResponse({"success": True, "commitOid": sha, "commitUrl": url})

    async def info(self, request: Request) -> Response:
        repository = self.repository(request)
        sha, files = repository.at(request.path_params.get("revision", "main"))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        name = repository.name.removeprefix("datasets/").removeprefix("spaces/")
        known = {"id": name, "modelId": name, "sha": sha, "private": repository.private}
        siblings = [{"rfilename": path} for path in sorted(files)]
        fixed = {"lastModified": now, "createdAt": now, "tags": [], "downloads": 0, "likes": 0, "gated": False}
        return JSONResponse({**known, **fixed, "siblings": siblings})

    async def tree(self, request: Request) -> Response:
        files = self.repository(request).at(request.path_params["revision"])[1]
        folder = request.path_params.get("path", "").strip("/")
        under = {path: file for path, file in files.items() if not folder or path.startswith(f"{folder}/")}
        if folder and not under:
            raise Refusal(404, f"no folder {folder}", "EntryNotFound")
        listed = [file.entry(path) for path, file in sorted(under.items())]
        if request.query_params.get("recursive", "").lower() != "true":
            depth = len(folder.split("/")) if folder else 0
            deeper = {"/".join(path.split("/")[: depth + 1]) for path in under if path.count("/") > depth}
            listed = [entry for entry in listed if entry["path"].count("/") == depth]
            listed += [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(deeper)]
        return JSONResponse(listed)

    async def paths_info(self, request: Request) -> Response:
        files = self.repository(request).at(request.path_params["revision"])[1]
        sent = (await request.body()).decode()
        form = parse_qs(sent)
        asked = json.loads(sent)["paths"] if sent.startswith("{") else form.get("paths", [])
        folders = {path for path in asked if any(name.startswith(f"{path}/") for name in files)}
        found = [files[path].entry(path) for path in asked if path in files]
        found += [{"type": "directory", "path": path, "oid": "0" * 40} for path in folders]
        return JSONResponse(found)

    async def resolve(self, request: Request) -> Response:
        sha, files = self.repository(request).at(request.path_params["revision"])
        file = files.get(request.path_params["path"])
        if file is None:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": sha}
        return Response(file.content, media_type="application/octet-stream", headers=headers)


def client_environment(hub, home, token=None, **more):
    """Environment of a client in a process of its own, whose only Hub is this one."""
    hidden = ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HOME", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    endpoint = {"HF_ENDPOINT": hub.url if isinstance(hub, HubServer) else hub, "HF_HOME": str(home)}
    account = {"HF_TOKEN": token} if token else {}
    return {**kept, **endpoint, **account, "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1", **more}
