#!/bin/sh
# Writes .env beside docker-compose.yml: random passwords, readable by you alone. Never overwrites one.
set -eu
cd "$(dirname "$0")/.."
[ ! -e .env ] || { echo ".env exists already; nothing changed" >&2; exit 1; }
random() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32; }
umask 077
cat >.env <<END
COMPOSE_PROFILES=full
MINIO_USER=llavero
MINIO_PASSWORD=$(random)
MILVUS_ROOT_PASSWORD=$(random)
END
echo "wrote .env" >&2
