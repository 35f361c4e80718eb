#!/bin/sh
# Once, before the first start: random passwords as files in docker/secrets, and .env with the profile to start.
# The folder is closed to others; the files are readable, because the users inside the containers have other numbers.
# Never overwrites a secret. An .env of earlier releases keeps its passwords: they become files.
set -eu
cd "$(dirname "$0")/.."
secrets=docker/secrets
[ ! -e "$secrets" ] || { echo "$secrets exists already; nothing changed" >&2; exit 1; }
random() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32; }
kept() { [ ! -e .env ] || sed -n "s/^$1=//p" .env | head -n 1; }
put() { printf '%s' "$2" >"$secrets/$1"; chmod 0444 "$secrets/$1"; }
umask 077
mkdir "$secrets"
user=$(kept MINIO_USER); password=$(kept MINIO_PASSWORD); root=$(kept MILVUS_ROOT_PASSWORD)
user=${user:-llavero}; password=${password:-$(random)}; root=${root:-$(random)}
put minio_user "$user"
put minio_password "$password"
put milvus_token "root:$root"
put grafana_password "$(random)"
put milvus.yaml "minio:
  accessKeyID: $user
  secretAccessKey: $password
common:
  security:
    authorizationEnabled: true
    defaultRootPassword: $root
"
[ -e .env ] || echo "COMPOSE_PROFILES=full" >.env
echo "wrote $secrets" >&2
