#!/bin/sh
# Starts MLflow's server: PostgreSQL has runs, versions and users, a bucket has the files.
# Instead, `start.sh upgrade` brings the database's tables to the installed MLflow, `start.sh save`
# writes the bucket's files as a tar to standard output, and `start.sh load` reads such a tar.
# psycopg takes the database's address, user and password from PGHOST, PGPORT, PGUSER and
# PGPASSWORD, so that no password stands in an address or in the list of processes.
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/read_secrets.sh
. "$folder/../read_secrets.sh"

read_secrets PGPASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY \
    MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY
require PGHOST PGPASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY MLFLOW_S3_ENDPOINT_URL S3_BUCKET \
    MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY PUBLIC_HOST

export PGUSER="${PGUSER:-mlflow}"
export MLFLOW_AUTH_CONFIG_PATH="$folder/basic_auth.ini"
export MLFLOW_DISABLE_TELEMETRY=true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false

case "${1:-}" in
    upgrade) exec mlflow db upgrade postgresql+psycopg:///mlflow ;;
    save | load) exec python "$folder/bucket.py" "$1" "$S3_BUCKET" ;;
esac
python "$folder/bucket.py" create "$S3_BUCKET"
exec mlflow server \
    --host "${MLFLOW_HOST:-0.0.0.0}" --port "${MLFLOW_PORT:-5000}" \
    --workers "${MLFLOW_WORKERS:-1}" \
    --backend-store-uri postgresql+psycopg:///mlflow \
    --artifacts-destination "s3://$S3_BUCKET/artifacts" \
    --app-name basic-auth \
    --static-prefix /mlflow \
    --allowed-hosts "$PUBLIC_HOST,$PUBLIC_HOST:*,mlflow:*,localhost:*,127.0.0.1:*" \
    --cors-allowed-origins "https://$PUBLIC_HOST,https://$PUBLIC_HOST:*"
