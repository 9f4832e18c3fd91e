"""The bucket of MLflow's files: `bucket.py create|save|load BUCKET`.

`create` makes it where the object store lacks it, `save` writes all its files as a tar to standard
output, and `load` writes the files of such a tar from standard input into it.
"""

import os
import sys
import tarfile
import time
from types import SimpleNamespace
from typing import Any, BinaryIO

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

WAIT_SECONDS = 120.0
PAUSE_SECONDS = 1.0
ABSENT = ("404", "NoSuchBucket")


def connect() -> Any:
    """Return a client of the object store.

    The address comes from MLFLOW_S3_ENDPOINT_URL, the keys from AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.
    """
    return boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])


def create(client: Any, name: str) -> None:
    """Make a bucket unless it is there; wait for the object store to start.

    Raises:
        BotoCoreError, ClientError: the object store refuses, or does not answer in two minutes.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            client.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ABSENT:
                raise
            client.create_bucket(Bucket=name)
        except BotoCoreError:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
            continue
        return


def save(client: Any, name: str, output: BinaryIO) -> int:
    """Write the files of a bucket as a tar, one after the other; return how many there are.

    Raises:
        BotoCoreError, ClientError: the object store refuses, or does not answer.
    """
    count = 0
    with tarfile.open(fileobj=output, mode="w|") as tar:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for listed in page.get("Contents", ()):
                found = client.get_object(Bucket=name, Key=listed["Key"])
                member = tarfile.TarInfo(listed["Key"])
                member.size = found["ContentLength"]
                member.mtime = int(found["LastModified"].timestamp())
                tar.addfile(member, found["Body"])
                count += 1
    return count


def load(client: Any, name: str, source: BinaryIO) -> int:
    """Write the files of a tar that `save` wrote into a bucket; return how many there are.

    Files of the same name are replaced, others stay.

    Raises:
        BotoCoreError, ClientError: the object store refuses, or does not answer.
        tarfile.TarError: it is no tar, or not whole.
    """
    count, one_by_one = 0, TransferConfig(use_threads=False)
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                stream = SimpleNamespace(read=content.read)  # tarfile can't say that it can't seek
                client.upload_fileobj(stream, name, member.name, Config=one_by_one)
                count += 1
    return count


def main(action: str, name: str) -> None:
    """Do what is asked, and end with one sentence where that fails."""
    try:
        client = connect()
        create(client, name)
        if action == "save":
            count = save(client, name, sys.stdout.buffer)
            print(f"Saved {count} files of the bucket {name}.", file=sys.stderr)
        elif action == "load":
            count = load(client, name, sys.stdin.buffer)
            print(f"Loaded {count} files into the bucket {name}.", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The bucket {name} can't be used: {error}")
    except tarfile.TarError as error:
        sys.exit(f"Standard input is not a whole tar of a bucket's files: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
