# SPDX-License-Identifier: AGPL-3.0-or-later
"""Evidence on S3: a real server (moto's, on loopback) that answers, loses objects, and goes away."""

import boto3
import pytest

from pipeline.errors import EvidenceError
from pipeline.evidence import Clip, EvidenceSettings, open_evidence
from pipeline.evidence.clip import clip_id_of
from pipeline.state import Database

moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")

BUCKET = "walkout-evidence"
OVERLAY = {"frames": []}


@pytest.fixture
def server():
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.url = f"http://{host}:{port}"
    return client


@pytest.fixture
def store(s3, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    settings = EvidenceSettings(
        url=f"s3://{BUCKET}/shop-7",
        storage_options={
            "endpoint_url": s3.url, "skip_instance_cache": True,
            "config_kwargs": {"connect_timeout": 1, "read_timeout": 3, "retries": {"max_attempts": 0}},
        },
    )  # fmt: skip
    yield open_evidence(settings.url, database, settings)
    database.close()


def clip(event_id="shelf-1", visit_id="v-anna"):
    return Clip(clip_id_of(event_id, "clip", "cam1"), "tiny", event_id, "clip", "cam1", visit_id, (visit_id,), 5, 9)


def keys(s3):
    return sorted(o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def test_what_is_stored_comes_back(store, s3):
    film = bytes(range(256)) * 40_000  # 10 MB: more than one part of an upload
    store.put(clip(), film, OVERLAY)
    assert store.clips("shelf-1")[0].state == "ready"
    assert store.read(clip().clip_id) == film and store.overlay(clip().clip_id) == OVERLAY
    assert all(key.startswith("shop-7/tiny/shelf-1/clip-") for key in keys(s3)) and len(keys(s3)) == 2


def test_an_object_that_has_gone_or_was_changed_is_a_state(store, s3):
    store.put(clip("shelf-1"), b"film", OVERLAY)
    store.put(clip("shelf-2"), b"film", OVERLAY)
    for key in keys(s3):
        if key.endswith(".mp4"):
            if "shelf-1" in key:
                s3.delete_object(Bucket=BUCKET, Key=key)
            else:
                s3.put_object(Bucket=BUCKET, Key=key, Body=b"fake")
    assert store.clips("shelf-1")[0].state == "missing"
    with pytest.raises(EvidenceError, match="corrupt"):
        store.read(clip("shelf-2").clip_id)
    assert store.clips("shelf-2")[0].state == "corrupt"


def test_erasure_and_retention_delete_the_objects(store, s3):
    store.put(clip("shelf-1"), b"anna", OVERLAY)
    store.put(clip("shelf-2", "v-ben"), b"ben", OVERLAY)
    store.erase_visit("v-anna", "staff-1", "asked for it")
    assert len(keys(s3)) == 2 and all("shelf-2" in key for key in keys(s3))
    store.expire(now_ns=2**62)
    assert keys(s3) == []


def test_a_server_that_is_away_is_an_error_and_no_verdict_on_the_clip(store, server):
    store.put(clip(), b"film", OVERLAY)
    server.stop()
    (found,) = store.clips("shelf-1")
    assert found.state == "missing" and "cannot be looked at" in found.reason
    with pytest.raises(EvidenceError, match="cannot be read"):
        store.read(clip().clip_id)
    with pytest.raises(EvidenceError, match="cannot be written"):
        store.put(clip("shelf-2"), b"film", OVERLAY)
    assert store.clip(clip().clip_id).state == "ready"  # it will be there again


def test_a_bucket_that_is_not_there(s3, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/other.sqlite")
    store = open_evidence(
        "s3://nobody-made-this/x", database, EvidenceSettings(storage_options={"endpoint_url": s3.url})
    )
    with pytest.raises(EvidenceError, match="cannot be written"):
        store.put(clip(), b"film", OVERLAY)
    database.close()
