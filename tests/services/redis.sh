#!/bin/sh
# A real Redis for the tests: on a free port of 127.0.0.1, in a folder of its own, durable.
#
#   redis.sh start DIR [ARGS...]   starts it (ARGS: more of redis-server's); writes DIR/env
#                                  (REDIS_URL=..., REDIS_PORT=..., and with openssl here also
#                                  REDIS_TLS_URL=..., REDIS_TLS_CA=...) and DIR/pid
#   redis.sh resume DIR            starts it again on the same data and port, after a kill or halt
#   redis.sh halt DIR              ends it and keeps its data
#   redis.sh stop DIR              ends it and removes DIR
set -eu

say() { echo "redis.sh: $*" >&2; }
die() { say "$*"; exit 1; }

listening() { # port
    grep -qihE ":$(printf %04X "$1") [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

free_port() { # from a range below the kernel's own choices, so that no client takes it meanwhile
    for _ in $(seq 200); do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        if ! listening "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port"
}

launch() { # dir
    : >"$1/log"
    redis-server "$1/redis.conf" >"$1/log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$1/pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || return 1
        grep -q 'Ready to accept connections' "$1/log" && return 0
        sleep 0.05
    done
    end "$1"
    return 1
}

end() { # dir: exactly the process that was started
    [ -s "$1/pid" ] || return 0
    pid=$(cat "$1/pid")
    if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$1" ] && grep -q '^redis-server' "/proc/$pid/comm"; then
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$1/pid"
}

certificate() { # dir: one for 127.0.0.1 that is its own authority
    command -v openssl >/dev/null || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$1/tls.key" -out "$1/tls.crt" 2>"$1/log"
}

config() { # dir port tls_port [args...]: redis-server's own --name value, as lines
    printf 'bind 127.0.0.1\nport %s\ndir "%s"\n' "$2" "$1"
    [ ${#1} -gt 90 ] || printf 'unixsocket "%s/socket"\n' "$1" # a socket's path is short
    printf 'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
    case $(redis-server --version) in *v=[0-6].*) ;; *) echo 'enable-debug-command local' ;; esac
    if [ -e "$1/tls.crt" ]; then
        printf 'tls-port %s\ntls-cert-file "%s/tls.crt"\ntls-key-file "%s/tls.key"\n' "$3" "$1" "$1"
        printf 'tls-ca-cert-file "%s/tls.crt"\ntls-auth-clients no\n' "$1"
    fi
    shift 3
    for arg; do
        case $arg in
        --*) printf '\n%s' "${arg#--}" ;;
        *) printf ' "%s"' "$arg" ;;
        esac
    done
    echo
}

start() { # dir [args...]
    command -v redis-server >/dev/null || die "redis-server is missing: apt-get install redis-server"
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    [ ! -e "$dir/pid" ] || die "$dir is in use (it has a pid): redis.sh stop $1"
    shift
    certificate "$dir"
    for _ in 1 2 3; do
        port=$(free_port)
        tls_port=$(free_port)
        [ "$port" != "$tls_port" ] || continue
        config "$dir" "$port" "$tls_port" "$@" >"$dir/redis.conf"
        if launch "$dir"; then
            printf 'REDIS_URL=redis://127.0.0.1:%s/0\nREDIS_PORT=%s\n' "$port" "$port" >"$dir/env"
            [ ! -e "$dir/tls.crt" ] || printf 'REDIS_TLS_URL=rediss://127.0.0.1:%s/0\nREDIS_TLS_CA=%s\n' \
                "$tls_port" "$dir/tls.crt" >>"$dir/env"
            return
        fi
        say "redis-server did not start on port $port; the end of its log:"
        tail -5 "$dir/log" >&2
    done
    die "gave up; see $dir/log"
}

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
verb=$1
shift
case $verb in
start) start "$@" ;;
resume) dir=$(cd "$1" && pwd); end "$dir"; launch "$dir" || die "it does not come back; see $dir/log" ;;
halt) [ -d "${1:?}" ] || exit 0; end "$(cd "$1" && pwd)" ;;
stop) [ -d "${1:?}" ] || exit 0; dir=$(cd "$1" && pwd); end "$dir"; rm -rf "$dir" ;;
*) usage ;;
esac
