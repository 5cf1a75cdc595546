"""What huggingface_hub makes of a cache, for TestTheCacheIsSharedWithPython. HF_HUB_CACHE, HF_ENDPOINT and HF_HUB_OFFLINE are set.

    check_hub.py read REVISION FILE...      the files at a revision as they lie in the cache, by every way to ask for them
    check_hub.py fetch REVISION FILE...     the same, asking the hub
    check_hub.py remove COMMIT              a commit removed as `hf cache` does it

Prints {file: SHA-256}. An inconsistency that the package sees is an error.
"""
import hashlib
import json
import os
import sys

import huggingface_hub
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache

REPO = "o/n"


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def scan():
    info = scan_cache_dir()
    assert not info.warnings, info.warnings
    return info


def files(revision, names, local):
    folder = snapshot_download(REPO, revision=revision, allow_patterns=names, local_files_only=local)
    out = {}
    for name in names:
        path = hf_hub_download(REPO, name, revision=revision, local_files_only=local)
        assert os.path.samefile(path, os.path.join(folder, name)), (path, folder)
        cached = try_to_load_from_cache(REPO, name, revision=revision)
        assert isinstance(cached, str) and os.path.samefile(cached, path), (cached, path)
        out[name] = sha256(path)
    (repo,) = scan().repos
    assert repo.repo_id == REPO and repo.repo_type == "model", repo
    (at,) = [r for r in repo.revisions if r.commit_hash == os.path.basename(folder)]
    assert revision in at.refs or revision == at.commit_hash, (revision, at)
    assert {os.path.relpath(f.file_path, folder) for f in at.files} >= set(names), at.files
    return out


mode, revision, names = sys.argv[1], sys.argv[2], sys.argv[3:]
print("huggingface_hub", huggingface_hub.__version__, file=sys.stderr)
if mode == "remove":
    scan().delete_revisions(revision).execute()
    print("{}")
else:
    print(json.dumps(files(revision, names, mode == "read")))
