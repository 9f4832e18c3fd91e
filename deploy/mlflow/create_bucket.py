"""Makes the bucket of MLflow's files where the object store lacks it: `create_bucket.py BUCKET`."""

import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

WAIT_SECONDS = 120.0
PAUSE_SECONDS = 1.0
ABSENT = ("404", "NoSuchBucket")


def create_bucket(name: str) -> None:
    """Make a bucket unless it is there; wait for the object store to start.

    The address comes from MLFLOW_S3_ENDPOINT_URL, the keys from AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.

    Raises:
        BotoCoreError, ClientError: the object store refuses, or does not answer in two minutes.
    """
    client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
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


if __name__ == "__main__":
    try:
        create_bucket(sys.argv[1])
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The bucket {sys.argv[1]} can't be used: {error}")
