#!/bin/sh
# Runs a command with secrets that are mounted as files: for each variable NAME_FROM_FILE=path, NAME becomes what the file holds.
# The values are in no image, no compose file and no list of processes.
set -eu
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)_FROM_FILE=.*/\1/p'); do
    eval "path=\${${name}_FROM_FILE}"
    # shellcheck disable=SC2154 # set by eval above, of a name that sed has checked
    if [ ! -r "$path" ]; then
        echo "with-secrets: $name is to come from $path, which cannot be read" >&2
        exit 1
    fi
    value=$(cat "$path")
    export "$name=$value"
    unset "${name}_FROM_FILE"
done
exec "$@"
