#!/bin/sh
# Starts the page, or the command that is given, with the secrets in their files.
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/read_secrets.sh
. "$folder/../read_secrets.sh"

read_secrets MLFLOW_TRACKING_PASSWORD EXPRESSION_STUDIO_AUTH
require MLFLOW_TRACKING_URI MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD

cd "$folder/../.."
[ $# -gt 0 ] || set -- python app.py --no-seed
exec "$@"
