#!/usr/bin/env bash
# The container image without an engine for containers: what the Dockerfile copies is enough to build,
# and what it installs beside the program is what the program is linked to.
. "$(dirname "$0")/../lib.sh"

dockerfile=$WEIR_ROOT/deploy/Dockerfile
folder=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX")
at_exit rm -rf "$folder"

# The first stage's COPY lines, into an empty folder; CMake configures there.
sed '/^FROM debian:12-slim/,$d' "$dockerfile" | sed -n 's/^COPY //p' >"$folder/copies"
check "the Dockerfile copies something" [ -s "$folder/copies" ]
while read -r line; do
    read -ra words <<<"$line"
    to=$folder/src/${words[-1]}
    for word in "${words[@]:0:${#words[@]}-1}"; do
        if [ "${words[-1]}" = ./ ]; then
            cp "$WEIR_ROOT/$word" "$folder/src/" || fail "cannot copy $word"
        else
            mkdir -p "$(dirname "$to")" && cp -R "$WEIR_ROOT/$word" "$to" || fail "cannot copy $word"
        fi
    done
done <"$folder/copies"
if (cd "$folder/src" && cmake --preset release -DCMAKE_BUILD_TYPE=Release) >"$folder/log" 2>&1; then
    pass
else
    fail "what the Dockerfile copies cannot be built: $(tail -n 5 "$folder/log")"
fi
check "the build knows how to make weir" \
    sh -c "cd '$folder/src' && cmake --build build/release --target help | grep -q 'weir'"

# The second stage's packages, against the libraries that the linker asked for.
installed=$(sed -n '/^FROM debian:12-slim/,$p' "$dockerfile" | grep -oE '\blib[a-z0-9.+-]+\b' | sort -u)
needed=$(readelf -d "$WEIR" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libgcc_s|libstdc\+\+)\.so')
check "weir is linked to something" [ -n "$needed" ]
for library in $needed; do
    path=$(ldd "$WEIR" | awk -v name="$library" '$1 == name {print $3}')
    # a merged /usr: dpkg knows the file by one of two names
    package=$(dpkg -S "$path" "/usr$path" "${path#/usr}" 2>/dev/null | sed 's/:.*//' | head -n 1)
    check "the image has the package ${package:-of $path} for $library" \
        grep -qxF "${package:-?}" <<<"$installed"
done
check_done container
