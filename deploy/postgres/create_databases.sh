#!/bin/sh
# Makes the databases of runs and of users, and the role that owns both. PostgreSQL's image runs it
# once, when its volume is empty.
set -eu

psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" \
    --dbname postgres <<SQL
\\set password \`cat "\$MLFLOW_DB_PASSWORD_FILE"\`
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
SQL
