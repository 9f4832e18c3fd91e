#!/bin/sh
# Writes a random secret into each file of deploy/secrets/ that is missing; others stay. s3.json, the
# object store's settings, is written anew from the keys each time.
# Only this user can enter the folder. The containers' users can read the files, since Compose gives
# each container its own files with the permissions that they have here.
set -eu

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

for name in postgres_password mlflow_db_password mlflow_admin_password mlflow_app_password \
    mlflow_flask_key s3_access_key s3_secret_key; do
    [ -s "$folder/$name" ] || openssl rand -hex 24 > "$folder/$name"
done
cat > "$folder/s3.json" <<JSON
{"identities": [{"name": "mlflow",
  "credentials": [{"accessKey": "$(cat "$folder/s3_access_key")",
                   "secretKey": "$(cat "$folder/s3_secret_key")"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
echo "The secrets are in $folder. Keep a copy of them away from this machine."
