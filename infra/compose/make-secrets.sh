#!/bin/sh
# Makes the secrets that compose.yaml mounts, once: random, in infra/compose/secrets/, which git ignores. Run again, it changes nothing.
set -eu
folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/secrets
# The folder keeps other users out; the files are readable, since the containers' user (1000) is not the one who runs this.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

digits() {
    od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

put() {
    if [ ! -s "$folder/$1" ]; then
        printf '%s' "$2" >"$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
    fi
}

put postgres_password "$(digits 24)"
put prefect_database_url "postgresql+asyncpg://prefect:$(cat "$folder/postgres_password")@postgres:5432/prefect"
put prefect_auth "admin:$(digits 24)"
put ray_token "$(digits 32)"
put store_key_id "$(digits 10)"
put store_key "$(digits 20)"
put store_config "{\"identities\": [{\"name\": \"pixelpairs\", \"credentials\": [{\"accessKey\": \"$(cat "$folder/store_key_id")\", \"secretKey\": \"$(cat "$folder/store_key")\"}], \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}"
echo "secrets are in $folder; the web page of Prefect asks for the words in prefect_auth"
