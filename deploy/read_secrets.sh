# To be sourced: `read_secrets NAME ...` sets each variable from the file that NAME_FILE names.
# shellcheck shell=sh

read_secrets() {
    for name in "$@"; do
        file=$(printenv "${name}_FILE") || continue
        if [ ! -s "$file" ]; then
            echo "The file of ${name}_FILE, $file, is missing or empty: see docs/deploy.md." >&2
            exit 1
        fi
        export "$name=$(cat "$file")"
    done
}

require() {
    for name in "$@"; do
        if [ -z "$(printenv "$name")" ]; then
            echo "Set $name, or ${name}_FILE to a file that holds it: see docs/deploy.md." >&2
            exit 1
        fi
    done
}
